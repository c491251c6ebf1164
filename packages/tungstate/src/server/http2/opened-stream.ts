import type { Http2Fields } from "@tungstate/protocol";
import type { Http2Session, ServerHttp2Stream } from "node:http2";

/** A stream that a client has opened by an extended CONNECT (RFC 8441 §4). */
export interface OpenedStream {
  readonly stream: ServerHttp2Stream;
  readonly session: Http2Session;
  /** The fields of the request, pseudo-header fields included. */
  readonly fields: Http2Fields;
}

/** Takes the WebSocket handshakes of some paths. */
export type StreamTaker = (opened: OpenedStream) => void;
