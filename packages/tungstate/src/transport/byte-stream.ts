import type { Duplex } from "node:stream";

/**
 * A stream of bytes in both directions: a Node Duplex (`net.Socket`, `tls.TLSSocket`, ...) or a
 * pair of Web streams.
 */
export type ByteStream =
  | Duplex
  | {
      /** The bytes from the peer. */
      readonly readable: ReadableStream<Uint8Array>;
      /** The bytes to the peer. */
      readonly writable: WritableStream<Uint8Array>;
    };
