import type { HeaderFields, Message, PreparedMessage, WebSocketError } from "@tungstate/protocol";
import type { Route } from "../transport/route.ts";
import type { TlsInfo } from "../transport/tls-info.ts";

/** What can be sent as one message: text, bytes, a message as it was received, or one prepared for many receivers. */
export type MessageData = string | ArrayBuffer | ArrayBufferView | Message | PreparedMessage;

export interface WriteOptions {
  /** False: do not compress this message, which would not get smaller by it. Default true, where compression is in use. */
  readonly compress?: boolean;
  /**
   * True, for a message that was received: it is written and done with. It can't be read any more, and its memory serves the next ones at once instead
   * of at the next garbage collection: for who passes large messages on. Default false.
   */
  readonly transfer?: boolean;
}

/** How a connection ended. */
export interface CloseInfo {
  /** The peer's close code; 1005 if its Close had none, 1006 if none came (RFC 6455 §7.1.5). */
  readonly code: number;
  readonly reason: string;
  /** Whether the closing handshake was completed. */
  readonly clean: boolean;
  /** Why, where it was not an orderly close. */
  readonly error: WebSocketError | undefined;
}

/** `open`: both ways. `closing`: a Close was sent or received. `closed`: nothing more will happen. */
export type ConnectionState = "open" | "closing" | "closed";

export interface ConnectionStats {
  readonly messagesReceived: number;
  readonly messagesSent: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

export interface ConnectionEvents {
  message: [message: Message];
  ping: [payload: Uint8Array];
  pong: [payload: Uint8Array];
  /** What was waiting has been handed to the transport; write again. Only after a `write` that returned false. */
  drain: [];
  close: [info: CloseInfo];
  /** Why the connection is about to end; always followed by `close`. */
  error: [error: WebSocketError];
}

/**
 * One WebSocket connection, the same for clients and servers. Paused until somebody reads.
 *
 * You may ignore the promises that its methods return: they cause no unhandled rejection.
 */
export interface WebSocketConnection extends AsyncIterable<Message>, AsyncDisposable {
  /**
   * Buffers a message. Returns false when more than `writeBufferSize` bytes wait: wait for `flush` or `drain` before you write more, or use `send`. Returns false
   * also when more than 1 MiB has left in this tick of the event loop, to let others have their turn.
   * Returns false also when the connection is no longer open: the message is dropped, and `flush` and `send` reject with
   * NOT_OPEN. Throws WRITE_BUFFER_FULL beyond `maxWriteBufferSize`, with nothing sent, and INVALID_ARGUMENT.
   */
  write(data: MessageData, options?: WriteOptions): boolean;
  /**
   * Writes, then waits until there is room for more. Throws INVALID_ARGUMENT. Rejects with NOT_OPEN when the connection is not open, or ends while
   * this waits (`cause` says why), and with WRITE_BUFFER_FULL.
   */
  send(data: MessageData, options?: WriteOptions): Promise<void>;
  /**
   * Sends one message in fragments as its parts come, keeping no more than `writeBufferSize` of it. Throws INVALID_ARGUMENT. Rejects with NOT_OPEN as
   * `send`, with what the source threw, and with MESSAGE_IN_PROGRESS.
   */
  sendStream(
    parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    type?: "text" | "binary",
  ): Promise<void>;
  /**
   * Resolves when all that was written has been handed to the transport. Rejects with NOT_OPEN when the connection ends before that, and when nothing
   * waits and nothing can be written any more.
   */
  flush(): Promise<void>;
  /** All messages that wait at this moment, as often as there are any: an iteration by batches. */
  batches(): AsyncIterable<readonly Message[]>;
  /** Stops `message` events; messages then wait in the receive queue. */
  pause(): void;
  resume(): void;
  on<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this;
  once<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this;
  off<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this;
  split(): { readable: ReadableStream<Message>; writable: WritableStream<MessageData> };
  /**
   * Resolves with the round-trip time in milliseconds. Throws INVALID_ARGUMENT for a payload of more than 125 bytes. Rejects with NOT_OPEN when the
   * connection is not open, or ends before the pong comes.
   */
  ping(payload?: Uint8Array | string): Promise<number>;
  /**
   * Starts the closing handshake; resolves when the connection has ended, at the latest after `closeTimeout`. Never rejects. Throws INVALID_ARGUMENT,
   * with nothing done, for a code or reason that no Close can carry; `sendableClose` makes one of any CloseInfo.
   */
  close(code?: number, reason?: string): Promise<CloseInfo>;
  /** Ends the byte stream at once, and drops what nobody has read. No listener but those of `error` and `close` is called any more. */
  terminate(): void;
  /** Resolves when the connection has ended; never rejects. */
  readonly closed: Promise<CloseInfo>;
  /** The subprotocol in use, "" for none. */
  readonly protocol: string;
  /** The extensions in use, as in Sec-WebSocket-Extensions, "" for none. */
  readonly extensions: string;
  /** The header fields of the peer's handshake: for a client those of the 101 response, for a server those of the request. */
  readonly headers: HeaderFields;
  /** Bytes written and not yet handed to the transport. */
  readonly bufferedAmount: number;
  readonly state: ConnectionState;
  /** The way to the server: interface, addresses, proxy. Only of connections that `connect` has made. */
  readonly route: Route | undefined;
  /** What TLS has agreed on. Only of connections that `connect` or `clientTls` has made. */
  readonly tls: TlsInfo | undefined;
  readonly localAddress: string | undefined;
  readonly remoteAddress: string | undefined;
  readonly stats: ConnectionStats;
}
