import type { Duplex } from "node:stream";

/** Anything with bytes going both ways: a Node Duplex (`net.Socket`, `tls.TLSSocket`, ...) or a Web stream pair. */
export type ByteStream =
  | Duplex
  | {
      /** The bytes from the peer. */
      readonly readable: ReadableStream<Uint8Array>;
      /** The bytes to the peer. */
      readonly writable: WritableStream<Uint8Array>;
    };
