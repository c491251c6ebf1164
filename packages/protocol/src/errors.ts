/** Who has to change something for an error to go away. */
export type Fault = "local" | "peer" | "transport";

/** One row of an error table. */
export interface ErrorEntry {
  /** Whose fault the error is. */
  readonly fault: Fault;
  /** The close code that the peer is told, where the connection is open and the error ends it. */
  readonly closeCode?: number;
  /** The HTTP status that answers it, where it happens during a server's handshake. */
  readonly status?: number;
  /** What the error means. */
  readonly text: string;
}

// Rows of both tables below: a bundler can leave out a table only if it contains no spread.
const NOT_OPEN = { fault: "local", text: "the connection is not open" } as const;
const WRITE_BUFFER_FULL = { fault: "local", text: "more output is buffered than maxWriteBufferSize allows" } as const;
const INVALID_STATE = { fault: "local", text: "this call is not possible in this state" } as const;

/** What calls on a connection report on every platform. */
const CALL_ERRORS = { NOT_OPEN, WRITE_BUFFER_FULL, INVALID_STATE } as const satisfies Record<string, ErrorEntry>;

/**
 * Everything that the protocol can report, in one table. `docs/errors.md` lists the same rows; a
 * test holds the two together. Close codes: RFC 6455 §7.4.1. Statuses: RFC 6455 §4.2.2, RFC 9110
 * §15.
 */
export const PROTOCOL_ERRORS = {
  // frames (RFC 6455 §5.2)
  RESERVED_BITS: { fault: "peer", closeCode: 1002, text: "a reserved bit is set that no extension uses" },
  INVALID_OPCODE: { fault: "peer", closeCode: 1002, text: "the opcode is reserved" },
  UNMASKED_FRAME: { fault: "peer", closeCode: 1002, text: "a client must mask its frames" },
  MASKED_FRAME: { fault: "peer", closeCode: 1002, text: "a server must not mask its frames" },
  NON_MINIMAL_LENGTH: { fault: "peer", closeCode: 1002, text: "the payload length is not in its shortest form" },
  INVALID_LENGTH: {
    fault: "peer",
    closeCode: 1002,
    text: "the most significant bit of a 64-bit payload length is set",
  },
  FRAGMENTED_CONTROL: { fault: "peer", closeCode: 1002, text: "a control frame must not be fragmented" },
  CONTROL_TOO_LONG: { fault: "peer", closeCode: 1002, text: "a control frame carries at most 125 bytes" },
  UNEXPECTED_CONTINUATION: {
    fault: "peer",
    closeCode: 1002,
    text: "a continuation frame without a message to continue",
  },
  EXPECTED_CONTINUATION: { fault: "peer", closeCode: 1002, text: "a new message before the last one was finished" },
  INVALID_CLOSE_PAYLOAD: { fault: "peer", closeCode: 1002, text: "a close payload of one byte" },
  INVALID_CLOSE_CODE: { fault: "peer", closeCode: 1002, text: "a close code that must not be sent" },
  // payloads
  INVALID_UTF8: { fault: "peer", closeCode: 1007, text: "text that is not UTF-8" },
  FRAME_TOO_BIG: { fault: "peer", closeCode: 1009, text: "a frame is larger than maxFrameSize" },
  MESSAGE_TOO_BIG: { fault: "peer", closeCode: 1009, text: "a message is larger than maxMessageSize" },
  TOO_MANY_FRAGMENTS: { fault: "peer", closeCode: 1008, text: "a message has more fragments than maxFragments" },
  TOO_MANY_CHUNKS: { fault: "peer", closeCode: 1008, text: "a frame came in more pieces than maxFrameChunks" },
  INVALID_DEFLATE: { fault: "peer", closeCode: 1007, text: "compressed data that does not inflate" },
  DEFLATE_FAILED: { fault: "local", closeCode: 1011, text: "the DEFLATE engine failed" },
  // liveness
  HEARTBEAT_TIMEOUT: { fault: "transport", text: "the peer answered no ping within heartbeat.timeout" },
  CLOSE_TIMEOUT: { fault: "peer", text: "the closing handshake took longer than closeTimeout" },
  CONNECTION_LOST: { fault: "transport", text: "the byte stream ended without a closing handshake" },
  // use
  NOT_OPEN,
  WRITE_BUFFER_FULL,
  MESSAGE_IN_PROGRESS: { fault: "local", text: "a message is being sent in fragments and must be finished first" },
  NO_MESSAGE_IN_PROGRESS: { fault: "local", text: "no message is being sent in fragments" },
  INVALID_STATE,
  // handshake, both roles (RFC 6455 §4, RFC 9112)
  HEAD_TOO_BIG: { fault: "peer", status: 431, text: "the head is larger than maxHeadSize" },
  TOO_MANY_HEADERS: { fault: "peer", status: 431, text: "the head has more header fields than maxHeaders" },
  TOO_MANY_PARTS: { fault: "peer", status: 408, text: "the head came in more pieces than maxParts" },
  MALFORMED_HEAD: { fault: "peer", status: 400, text: "the head is not HTTP/1.1" },
  // handshake, server
  METHOD_NOT_GET: { fault: "peer", status: 405, text: "the method of a WebSocket handshake must be GET" },
  METHOD_NOT_CONNECT: { fault: "peer", status: 405, text: "the method of a WebSocket over HTTP/2 must be CONNECT" },
  UNSUPPORTED_PROTOCOL: { fault: "peer", status: 501, text: "the protocol of an extended CONNECT must be websocket" },
  UNSUPPORTED_HTTP_VERSION: { fault: "peer", status: 505, text: "a WebSocket handshake needs HTTP/1.1" },
  NOT_AN_UPGRADE: { fault: "peer", status: 426, text: "the request is not an upgrade to WebSocket" },
  UNSUPPORTED_VERSION: { fault: "peer", status: 426, text: "Sec-WebSocket-Version must be 13" },
  INVALID_HOST: { fault: "peer", status: 400, text: "the request must have exactly one valid Host header field" },
  INVALID_ORIGIN: { fault: "peer", status: 400, text: "there is more than one Origin header field" },
  INVALID_KEY: { fault: "peer", status: 400, text: "Sec-WebSocket-Key is not 16 bytes in base64" },
  INVALID_SUBPROTOCOL: { fault: "peer", status: 400, text: "Sec-WebSocket-Protocol is not a list of distinct tokens" },
  INVALID_EXTENSIONS: { fault: "peer", status: 400, text: "Sec-WebSocket-Extensions is not well formed" },
  UNEXPECTED_BODY: { fault: "peer", status: 400, text: "a handshake request must not have a body" },
  TOO_MUCH_EARLY_DATA: {
    fault: "peer",
    status: 400,
    text: "more than maxEarlyData arrived after the request before the response was sent",
  },
  // handshake, client
  UNEXPECTED_STATUS: { fault: "peer", text: "the server did not switch to WebSocket" },
  INVALID_UPGRADE_HEADER: { fault: "peer", text: "the response's Upgrade header is not websocket" },
  INVALID_CONNECTION_HEADER: { fault: "peer", text: "the response's Connection header has no upgrade token" },
  INVALID_ACCEPT: { fault: "peer", text: "Sec-WebSocket-Accept does not match the key" },
  UNREQUESTED_SUBPROTOCOL: { fault: "peer", text: "the server chose a subprotocol that was not offered" },
  UNREQUESTED_EXTENSION: { fault: "peer", text: "the server chose an extension or a parameter that was not offered" },
} as const satisfies Record<string, ErrorEntry>;

/** A name of PROTOCOL_ERRORS. */
export type ProtocolErrorCode = keyof typeof PROTOCOL_ERRORS;

/**
 * The one error class. `code` names a row of an error table; `fault` and `closeCode` are that
 * row's.
 */
export class WebSocketError<Code extends string = string> extends Error {
  override readonly name = "WebSocketError";
  /** The name of the error in its table. */
  readonly code: Code;
  /** Whose fault the error is. */
  readonly fault: Fault;
  /** The close code that the peer gets; undefined for errors that close nothing. */
  readonly closeCode: number | undefined;
  /** The HTTP status that a server answers with. */
  readonly status: number | undefined;

  constructor(code: Code, entry: ErrorEntry, detail?: string, options?: ErrorOptions) {
    super(detail === undefined ? entry.text : `${entry.text}: ${detail}`, options);
    this.code = code;
    this.fault = entry.fault;
    this.closeCode = entry.closeCode;
    this.status = entry.status;
  }
}

/**
 * Returns the error for a row of a table. `detail` says what was expected and what came.
 */
export type ErrorMaker<Code extends string> = (
  code: Code,
  detail?: string,
  options?: ErrorOptions,
) => WebSocketError<Code>;

/** Returns the maker of a table's errors. A bundler can leave out a maker that is not called. */
export function errorMaker<Code extends string>(table: Readonly<Record<Code, ErrorEntry>>): ErrorMaker<Code> {
  return (code, detail, options) => new WebSocketError<Code>(code, table[code], detail, options);
}

/**
 * Returns the error for a row of PROTOCOL_ERRORS. `detail` says what was expected and what came.
 */
export const protocolError: ErrorMaker<ProtocolErrorCode> = /* @__PURE__ */ errorMaker(PROTOCOL_ERRORS);

/**
 * Returns the error for a row of CALL_ERRORS. A program that uses no other row contains no other
 * row.
 */
export const callError: ErrorMaker<keyof typeof CALL_ERRORS> = /* @__PURE__ */ errorMaker(CALL_ERRORS);
