import { protocolError } from "@tungstate/protocol";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { DuplexTransport } from "./duplex.ts";
import { HandleTransport } from "./handle.ts";
import { system, takeHandle } from "../native/system.ts";
import type { Transport } from "./transport.ts";
import { WebStreamTransport } from "./web.ts";
import { describe } from "../options/check.ts";
import type { ByteStream } from "./byte-stream.ts";

/** Returns the transport for a byte stream of any kind. */
export function transportOf(stream: ByteStream, settings: { readonly noDelay: boolean }): Transport {
  if (stream instanceof Socket) {
    stream.setNoDelay(settings.noDelay);
    const taken = takeHandle(stream);
    if (taken !== undefined && system !== undefined)
      return new HandleTransport(taken.handle, system, stream, taken.early);
  }
  if (stream instanceof Duplex) return new DuplexTransport(stream);
  if (stream?.readable instanceof ReadableStream && stream.writable instanceof WritableStream) {
    return new WebStreamTransport(stream);
  }
  throw protocolError(
    "INVALID_ARGUMENT",
    `a byte stream is a Duplex or a pair { readable, writable } of Web streams, got ${describe(stream)}`,
  );
}

/**
 * Ends a transport and returns its stream for another user. Throws INVALID_STATE for a transport
 * that cannot be separated from its stream, such as that of Web streams.
 */
export function releaseStream(transport: Transport): Duplex {
  if (transport instanceof HandleTransport || transport instanceof DuplexTransport) return transport.release();
  throw protocolError("INVALID_STATE", "this transport cannot give its stream back");
}
