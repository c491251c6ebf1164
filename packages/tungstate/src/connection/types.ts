import type { HeaderFields, Message, PreparedMessage, WebSocketError } from "@tungstate/protocol";
import type { Route } from "../transport/route.ts";
import type { TlsInfo } from "../transport/tls-info.ts";

/** What can be sent as one message: text, bytes, a message as it was received, or one prepared for many receivers. */
export type MessageData = string | ArrayBuffer | ArrayBufferView | Message | PreparedMessage;

/** Options of `write` and `send`. */
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
  /** The reason in the peer's Close; "" for none. */
  readonly reason: string;
  /** Whether the closing handshake was completed. */
  readonly clean: boolean;
  /** Why, where it was not an orderly close. */
  readonly error: WebSocketError | undefined;
}

/**
 * `open`: data flows both ways. `closing`: a Close was sent or received. `closed`: the connection is over. A ReconnectingConnection is also `connecting`,
 * and `waiting` for its next attempt; other connections are not.
 */
export type ConnectionState = "connecting" | "open" | "waiting" | "closing" | "closed";

/** Counters of a connection. */
export interface ConnectionStats {
  /** Messages received from the peer. */
  readonly messagesReceived: number;
  /** Messages written. */
  readonly messagesSent: number;
  /** Bytes read from the transport. */
  readonly bytesReceived: number;
  /** Bytes handed to the transport. */
  readonly bytesSent: number;
}

/** Events of a connection, with the arguments of their listeners. */
export interface ConnectionEvents {
  /**
   * A message has come. While there is such a listener, and no iterator or stream reads, messages
   * are read.
   */
  message: [message: Message];
  /** A ping has come; it is answered by itself (RFC 6455 §5.5.3). */
  ping: [payload: Uint8Array];
  /** A pong has come, asked for or not. */
  pong: [payload: Uint8Array];
  /** What was waiting has been handed to the transport; write again. Only after a `write` that returned false. */
  drain: [];
  /** The connection has ended. It is the last event. */
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
  /** Emits `message` events again after `pause`. */
  resume(): void;
  /**
   * Adds a listener. A listener that throws, or whose promise rejects, ends the connection with
   * 1011.
   */
  on<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this;
  /** Adds a listener that is called once. */
  once<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this;
  /** Removes a listener. */
  off<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this;
  /** Removes a listener, for functions that expect an EventEmitter, such as `events.once`. */
  removeListener<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this;
  /** Returns the number of listeners of an event. */
  listenerCount(event: keyof ConnectionEvents): number;
  /** Returns the two halves as Web Streams, each with its own back pressure. */
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
  /** What the connection can still do: see ConnectionState. */
  readonly state: ConnectionState;
  /** The way to the server: interface, addresses, proxy. Only of connections that `connect` has made. */
  readonly route: Route | undefined;
  /** What TLS has agreed on. Only of connections that `connect` or `clientTls` has made. */
  readonly tls: TlsInfo | undefined;
  /** The local IP address; undefined where the byte stream has none. */
  readonly localAddress: string | undefined;
  /**
   * The peer's IP address; undefined where the byte stream has none. Behind a proxy, the proxy's.
   */
  readonly remoteAddress: string | undefined;
  /** Messages and bytes so far. */
  readonly stats: ConnectionStats;
}
