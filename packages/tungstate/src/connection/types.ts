import type { HeaderFields, Message, PreparedMessage, WebSocketError } from "@tungstate/protocol";
import type { Route } from "../transport/route.ts";
import type { TlsInfo } from "../transport/tls-info.ts";

/** What can be sent as one message: text, bytes, a received message, or a prepared message. */
export type MessageData = string | ArrayBuffer | ArrayBufferView | Message | PreparedMessage;

/** Options of `write` and `send`. */
export interface WriteOptions {
  /** False: sends the message uncompressed. Default: true if compression is in use. */
  readonly compress?: boolean;
  /**
   * True: takes ownership of a received message. It becomes unreadable, and its memory is reused at
   * once instead of at the next garbage collection. Use it to forward large messages. Default:
   * false.
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
  /** The error that ended the connection; undefined after a normal close. */
  readonly error: WebSocketError | undefined;
}

/**
 * `open`: data flows both ways. `closing`: a Close was sent or received. `closed`: the connection
 * is over. A ReconnectingConnection is also `connecting`, and `waiting` for its next attempt; other
 * connections are not.
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
   * A message was received. Messages are read while this event has a listener and nothing else
   * reads.
   */
  message: [message: Message];
  /** A ping was received. The connection answers it (RFC 6455 §5.5.3). */
  ping: [payload: Uint8Array];
  /** A pong was received, requested or not. */
  pong: [payload: Uint8Array];
  /** At most `writeBufferSize` bytes are buffered again, after a `write` that returned false. */
  drain: [];
  /** The connection has ended. It is the last event. */
  close: [info: CloseInfo];
  /** The connection is about to end with this error. `close` follows. */
  error: [error: WebSocketError];
}

/**
 * One WebSocket connection, the same for clients and servers. It starts paused: messages wait until
 * you read.
 *
 * You may ignore the promises that its methods return: they cause no unhandled rejection.
 */
export interface WebSocketConnection extends AsyncIterable<Message>, AsyncDisposable {
  /**
   * Adds a message to the output buffer. Returns false when more than `writeBufferSize` bytes are
   * buffered, or more than 1 MiB was sent in this event-loop tick: wait for `flush` or `drain`, or
   * use `send`. The message is sent nevertheless. Returns false also when the connection is not
   * open: the message is then dropped. Throws WRITE_BUFFER_FULL, with nothing sent, when the
   * message would exceed `maxWriteBufferSize`, and INVALID_ARGUMENT.
   */
  write(data: MessageData, options?: WriteOptions): boolean;
  /**
   * Does the same as `write`, then waits until there is room in the output buffer. Throws
   * INVALID_ARGUMENT. Rejects with NOT_OPEN when the connection is not open or ends meanwhile
   * (`cause` is the reason), and with WRITE_BUFFER_FULL.
   */
  send(data: MessageData, options?: WriteOptions): Promise<void>;
  /**
   * Sends one message in fragments, one per part, and buffers at most `writeBufferSize` bytes of
   * it. Default type: "binary". Throws INVALID_ARGUMENT. Rejects with NOT_OPEN as `send` does, with
   * the error of the source, and with MESSAGE_IN_PROGRESS.
   */
  sendStream(
    parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    type?: "text" | "binary",
  ): Promise<void>;
  /**
   * Waits until everything that was written is handed to the transport. Rejects with NOT_OPEN when
   * the connection ends before that, and when it has ended and nothing is buffered.
   */
  flush(): Promise<void>;
  /** Yields all messages of the receive queue as one array, whenever there are any. */
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
  /** Returns the connection as two Web Streams, each with its own back pressure. */
  split(): { readable: ReadableStream<Message>; writable: WritableStream<MessageData> };
  /**
   * Resolves with the round-trip time in milliseconds. Throws INVALID_ARGUMENT for a payload of
   * more than 125 bytes. Rejects with NOT_OPEN when the connection is not open, or ends before the
   * pong comes.
   */
  ping(payload?: Uint8Array | string): Promise<number>;
  /**
   * Starts the closing handshake; resolves when the connection has ended, at the latest after
   * `maxCloseTime`. Never rejects. Defaults: code 1000, no reason. Throws INVALID_ARGUMENT for a
   * code or a reason that cannot be sent; `sendableClose` returns sendable ones for any CloseInfo.
   */
  close(code?: number, reason?: string): Promise<CloseInfo>;
  /**
   * Destroys the stream at once and drops the receive queue. Only listeners of `error` and `close`
   * are called after it.
   */
  terminate(): void;
  /** Resolves when the connection has ended; never rejects. */
  readonly closed: Promise<CloseInfo>;
  /** The subprotocol in use, "" for none. */
  readonly protocol: string;
  /** The extensions in use, as in Sec-WebSocket-Extensions, "" for none. */
  readonly extensions: string;
  /**
   * The header fields of the peer's handshake: for a client those of the 101 response, for a server
   * those of the request.
   */
  readonly headers: HeaderFields;
  /** Bytes written and not yet handed to the transport. */
  readonly bufferedAmount: number;
  /** The state: see ConnectionState. */
  readonly state: ConnectionState;
  /** The route to the server: interface, addresses, proxy. Only for connections of `connect`. */
  readonly route: Route | undefined;
  /** The negotiated TLS parameters. Only for connections of `connect` and `clientTls`. */
  readonly tls: TlsInfo | undefined;
  /** The local IP address; undefined where the byte stream has none. */
  readonly localAddress: string | undefined;
  /**
   * The peer's IP address; undefined where the byte stream has none. Behind a proxy, the proxy's.
   */
  readonly remoteAddress: string | undefined;
  /** Counters of messages and bytes. */
  readonly stats: ConnectionStats;
}
