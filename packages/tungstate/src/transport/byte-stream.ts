import type { Duplex } from "node:stream";

/** Anything with bytes going both ways: a Node Duplex (`net.Socket`, `tls.TLSSocket`, ...) or a Web stream pair. */
export type ByteStream =
  Duplex | { readonly readable: ReadableStream<Uint8Array>; readonly writable: WritableStream<Uint8Array> };
