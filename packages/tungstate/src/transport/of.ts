import { protocolError } from "@tungstate/protocol";
import { invalidOption } from "@tungstate/protocol/internal";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { DuplexTransport } from "./duplex.ts";
import { HandleTransport } from "./handle.ts";
import type { NodeRuntime } from "../native/runtime.ts";
import { takeHandle } from "../native/system.ts";
import type { Transport } from "./transport.ts";
import { WebStreamTransport } from "./web.ts";
import { describe } from "../options/describe.ts";
import type { ByteStream } from "./byte-stream.ts";

/** What making a transport needs. */
export interface TransportSettings {
  readonly noDelay: boolean;
  readonly runtime: NodeRuntime;
}

/** Returns the transport for a byte stream of any kind. */
export function transportOf(stream: ByteStream, settings: TransportSettings): Transport {
  if (stream instanceof Socket) {
    stream.setNoDelay(settings.noDelay);
    const { handles } = settings.runtime;
    const taken = handles === undefined ? undefined : takeHandle(stream);
    if (taken !== undefined && handles !== undefined) {
      return new HandleTransport(taken.handle, handles, stream, taken.early);
    }
  }
  if (stream instanceof Duplex) return new DuplexTransport(stream);
  if (stream?.readable instanceof ReadableStream && stream.writable instanceof WritableStream) {
    return new WebStreamTransport(stream);
  }
  throw invalidOption(
    "a byte stream",
    "a Duplex or a pair { readable, writable } of Web streams",
    stream,
    describe(stream),
  );
}

/**
 * Ends a transport and returns its stream for another user. Throws INVALID_STATE for a transport
 * that cannot be separated from its stream, such as that of Web streams.
 */
export function releaseStream(transport: Transport): Duplex {
  if (transport instanceof HandleTransport || transport instanceof DuplexTransport) return transport.release();
  throw protocolError("INVALID_STATE", "the byte stream of this connection cannot be released");
}
