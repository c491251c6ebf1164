import type { WebSocketError } from "@tungstate/protocol";
import type { CloseInfo, ConnectionState, ConnectionStats } from "../connection/types.ts";
import type { Activity, Attempt, Gap, Waiting } from "../reconnecting/core/types.ts";
import type { Message, MessageData } from "../platform/message.ts";

/** One connection, as far as a page sees it. */
export interface BrowserWebSocketConnection {
  /** Sends a message. Returns false when the connection is not open. */
  write(data: MessageData): boolean;
  /** Resolves when the connection has ended; never rejects. */
  readonly closed: Promise<CloseInfo>;
  /** `open`, `closing` or `closed`. */
  readonly state: "open" | "closing" | "closed";
  /** The subprotocol in use, "" for none. */
  readonly protocol: string;
  /** The extensions in use, "" for none. */
  readonly extensions: string;
  /** Bytes that the browser has buffered. */
  readonly bufferedAmount: number;
}

/** The current activity of a reconnecting connection. */
export type ReconnectingStatus = Activity<BrowserWebSocketConnection>;

/** Events of a reconnecting connection, with the arguments of their listeners. */
export interface ReconnectingEvents {
  /** A message was received. */
  message: [message: Message];
  /** At most `writeBufferSize` bytes are buffered again, after a `write` that returned false. */
  drain: [];
  /** It has ended permanently. This is the last event. */
  close: [info: CloseInfo];
  /** It is about to end with this error. `close` follows. */
  error: [error: WebSocketError];
  /** An attempt begins. */
  connecting: [attempt: Pick<Attempt, "attempt" | "after">];
  /** A connection is open. What a listener writes to `connection` is sent before the outbox. */
  open: [connection: BrowserWebSocketConnection, gap: Gap | undefined];
  /** A connection is open again; emitted before `open`. */
  gap: [gap: Gap];
  /** A connection has ended or an attempt has failed, and another attempt follows. */
  waiting: [waiting: Waiting];
  /**
   * A message that will not be sent: the outbox was full (`drop-oldest`), or no connection
   * followed.
   */
  drop: [data: MessageData];
}

/**
 * A connection that connects again when it is lost, with the interface of `reconnecting` of
 * `tungstate`. A page cannot read headers, addresses, pings or the status of a failed handshake,
 * and cannot apply back pressure to the server.
 */
export interface ReconnectingConnection extends AsyncIterable<Message>, AsyncDisposable {
  /** `connecting`, `open`, `waiting` (for the next attempt), `closing` or `closed`. */
  readonly state: ConnectionState;
  /** Whether messages are accepted: until `close()`, `terminate()` or the end. */
  readonly writable: boolean;
  /** The current activity: an attempt, a connection, a wait, or the end. */
  readonly status: ReconnectingStatus;
  /** The open connection; undefined while there is none. */
  readonly current: BrowserWebSocketConnection | undefined;
  /** The subprotocol of the current connection, "" for none. */
  readonly protocol: string;
  /** The extensions of the current connection, "" for none. */
  readonly extensions: string;
  /** Bytes in the outbox and in the browser's buffer. */
  readonly bufferedAmount: number;
  /** Counters of messages, and of the bytes of their payloads, of all connections. */
  readonly stats: ConnectionStats;
  /** Resolves when it has ended permanently; never rejects. */
  readonly closed: Promise<CloseInfo>;
  /** Resolves when a connection is open. Rejects when it has ended permanently. */
  ready(): Promise<BrowserWebSocketConnection>;
  /**
   * Sends a message, or keeps it in the outbox. Returns false above `writeBufferSize` bytes: wait
   * for `flush` or `drain`, or use `send`. Throws WRITE_BUFFER_FULL when the outbox is full, and
   * INVALID_ARGUMENT.
   */
  write(data: MessageData): boolean;
  /**
   * Does the same as `write`, then waits until there is room. Rejects with NOT_OPEN once it has
   * ended, and with WRITE_BUFFER_FULL.
   */
  send(data: MessageData): Promise<void>;
  /** Waits until nothing is buffered. Rejects with NOT_OPEN once it has ended. */
  flush(): Promise<void>;
  /** Yields all messages of the receive queue as one array, whenever there are any. */
  batches(): AsyncIterable<readonly Message[]>;
  /** Iterates over all messages, with a Gap wherever some may be missing. */
  withGaps(): AsyncIterable<Message | Gap>;
  /** Stops `message` events; messages then wait in the receive queue. */
  pause(): void;
  /** Emits `message` events again after `pause`. */
  resume(): void;
  /**
   * Connects again unless a message is received within `heartbeat.timeout`. Call it after a message
   * that the server answers, to detect a lost connection sooner. Does nothing without the option
   * `heartbeat`.
   */
  expectReply(): void;
  /** Ends the current delay, except a delay that the server has requested. */
  retryNow(): void;
  /** Closes permanently. Throws INVALID_ARGUMENT for a code other than 1000 and 3000 to 4999. */
  close(code?: number, reason?: string): Promise<CloseInfo>;
  /** Ends it permanently, without a closing handshake. */
  terminate(): void;
  /** Adds a listener. One that throws, or whose promise rejects, ends the connection. */
  on<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this;
  /** Adds a listener that is called once. */
  once<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this;
  /** Removes a listener. */
  off<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this;
  /** Returns the number of listeners of an event. */
  listenerCount(event: keyof ReconnectingEvents): number;
}
