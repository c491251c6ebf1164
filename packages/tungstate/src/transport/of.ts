import { protocolError } from "@tungstate/protocol";
import { invalidOption } from "@tungstate/protocol/internal";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { DuplexTransport } from "./duplex.ts";
import { HandleTransport } from "./handle.ts";
import type { NodeRuntime } from "../native/runtime.ts";
import { takeHandle } from "../native/system.ts";
import { takeTlsHandle } from "../native/tls-handle.ts";
import { TlsHandleTransport } from "./tls-handle.ts";
import type { Transport } from "./transport.ts";
import { WebStreamTransport } from "./web.ts";
import { describe } from "../options/describe.ts";
import type { ByteStream } from "./byte-stream.ts";

/** Which APIs of Node.js a connection uses: see `ConnectionOptions.transport`. */
export type TransportKind = "auto" | "socket";

/** Settings of a transport. */
export interface TransportSettings {
  readonly noDelay: boolean;
  readonly runtime: NodeRuntime;
  readonly transport: TransportKind;
}

/** Returns the transport for a byte stream of any kind. */
export function transportOf(stream: ByteStream, settings: TransportSettings): Transport {
  if (stream instanceof Socket) {
    stream.setNoDelay(settings.noDelay);
    const handles = settings.transport === "socket" ? undefined : settings.runtime.handles;
    if (handles !== undefined) {
      const taken = takeHandle(stream);
      if (taken !== undefined) return new HandleTransport(taken.handle, handles, stream, taken.early);
      const takenTls = takeTlsHandle(stream);
      if (takenTls !== undefined) return new TlsHandleTransport(stream, takenTls, handles);
    }
  }
  if (stream instanceof Duplex) return new DuplexTransport(stream, settings.transport === "auto");
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
  if (
    transport instanceof HandleTransport ||
    transport instanceof TlsHandleTransport ||
    transport instanceof DuplexTransport
  )
    return transport.release();
  throw protocolError("INVALID_STATE", "the byte stream of this connection cannot be released");
}
