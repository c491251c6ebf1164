import type { WebSocketError } from "@tungstate/protocol";
import type { CloseInfo, ConnectionStats } from "../connection/types.ts";
import type { Message, MessageData } from "../platform/message.ts";

/** Events of a connection, with the arguments of their listeners. */
export interface WorkerConnectionEvents {
  /** A message was received. */
  message: [message: Message];
  /** At most `writeBufferSize` bytes are buffered again, after a `write` that returned false. */
  drain: [];
  /** The connection has ended. It is the last event. */
  close: [info: CloseInfo];
  /** The connection is about to end with this error. `close` follows. */
  error: [error: WebSocketError];
}

/**
 * A connection over a server socket of the platform, with the members of `WebSocketConnection` of
 * `tungstate` that such a socket allows. It starts paused: messages wait until you read.
 *
 * You may ignore the promises that its methods return: they cause no unhandled rejection.
 */
export interface WorkerConnection extends AsyncIterable<Message>, AsyncDisposable {
  /**
   * Sends a message. Returns false when more than `writeBufferSize` bytes are buffered: wait for
   * `flush` or `drain`, or use `send`. Returns false also when the connection is not open: the
   * message is then dropped. Throws INVALID_ARGUMENT.
   */
  write(data: MessageData): boolean;
  /** Does the same as `write`, then waits until there is room. Rejects with NOT_OPEN. */
  send(data: MessageData): Promise<void>;
  /** Waits until nothing is buffered. Rejects with NOT_OPEN when the connection has ended. */
  flush(): Promise<void>;
  /** Yields all messages of the receive queue as one array, whenever there are any. */
  batches(): AsyncIterable<readonly Message[]>;
  /** Stops `message` events; messages then wait in the receive queue. */
  pause(): void;
  /** Emits `message` events again after `pause`. */
  resume(): void;
  /** Adds a listener. One that throws, or whose promise rejects, ends the connection with 1011. */
  on<E extends keyof WorkerConnectionEvents>(event: E, listener: (...args: WorkerConnectionEvents[E]) => unknown): this;
  /** Adds a listener that is called once. */
  once<E extends keyof WorkerConnectionEvents>(
    event: E,
    listener: (...args: WorkerConnectionEvents[E]) => unknown,
  ): this;
  /** Removes a listener. */
  off<E extends keyof WorkerConnectionEvents>(
    event: E,
    listener: (...args: WorkerConnectionEvents[E]) => unknown,
  ): this;
  /** Removes a listener, for functions that expect an EventEmitter, such as `events.once`. */
  removeListener<E extends keyof WorkerConnectionEvents>(
    event: E,
    listener: (...args: WorkerConnectionEvents[E]) => unknown,
  ): this;
  /** Returns the number of listeners of an event. */
  listenerCount(event: keyof WorkerConnectionEvents): number;
  /**
   * Starts the closing handshake; resolves when the connection has ended, at the latest after
   * `closeTimeout`. Never rejects. Defaults: code 1000, no reason. Throws INVALID_ARGUMENT for a
   * code or a reason that cannot be sent.
   */
  close(code?: number, reason?: string): Promise<CloseInfo>;
  /**
   * Ends the connection at once and drops the receive queue. The platform cannot reset a
   * connection: the client gets a Close without a code.
   */
  terminate(): void;
  /** Resolves when the connection has ended; never rejects. */
  readonly closed: Promise<CloseInfo>;
  /** `open`; `closing`: a Close was sent; `closed`. */
  readonly state: "open" | "closing" | "closed";
  /** The subprotocol in use, "" for none. */
  readonly protocol: string;
  /** The extensions in use, "" for none. */
  readonly extensions: string;
  /** Bytes that the platform has buffered; 0 where it does not say. */
  readonly bufferedAmount: number;
  /** Counters of messages, and of the bytes of their payloads. */
  readonly stats: ConnectionStats;
}
