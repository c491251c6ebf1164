import type { Message } from "@tungstate/protocol";
import type { ConnectionEvents, ConnectionState, MessageData, WebSocketConnection } from "../connection/types.ts";
import type { Activity, Attempt, Gap, Waiting } from "./core/types.ts";

/** The current activity of a reconnecting connection. */
export type ReconnectingStatus = Activity<WebSocketConnection>;

/** Events of a reconnecting connection, with the arguments of their listeners. */
export interface ReconnectingEvents extends ConnectionEvents {
  /** An attempt begins. */
  connecting: [attempt: Pick<Attempt, "attempt" | "after">];
  /**
   * A connection is open, the first or another one. What a listener writes to `connection` is sent
   * before the outbox: use it to subscribe again.
   */
  open: [connection: WebSocketConnection, gap: Gap | undefined];
  /**
   * A connection is open again; emitted before `open`. Earlier messages may still be unread: see
   * `withGaps`.
   */
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
 * A connection that outlives its connections. Everything a WebSocketConnection has means the same
 * here, for all of them together:
 *
 * - `state` says what it does at the moment, and `status` the details. `writable` says whether it
 *   accepts messages.
 * - What is written while there is no connection waits in the outbox.
 * - Reading goes on with the next connection's messages behind those of the last one.
 * - `close` and `error` come once, at the end: after `close()`, or when it makes no sense to try
 *   again.
 * - `protocol`, `headers`, `route`, `tls` and the addresses are those of the current connection,
 *   empty while there is none; `stats` are of all.
 * - `sendStream` waits for a connection, and rejects when that one ends under way. `ping` rejects
 *   while there is none.
 * - `flush` waits for a connection if messages wait for one. It rejects with the error of a
 *   connection whose unsent messages are lost.
 * - Once it has ended permanently, `send`, `sendStream`, `flush` and `ping` reject with NOT_OPEN.
 */
export interface ReconnectingConnection extends WebSocketConnection {
  /** `connecting`, `open`, `waiting` (for the next attempt), `closing` or `closed`. */
  readonly state: ConnectionState;
  /**
   * Whether messages are accepted: until `close()`, `terminate()` or the end. Without a connection
   * they wait in the outbox.
   */
  readonly writable: boolean;
  /** The current activity: an attempt, a connection, a wait, or the end. */
  readonly status: ReconnectingStatus;
  /** The open connection; undefined while there is none. */
  readonly current: WebSocketConnection | undefined;
  /** Resolves when there is a connection; rejects when there will be none. */
  ready(): Promise<WebSocketConnection>;
  /** Iterates over all messages, with a Gap wherever some may be missing. */
  withGaps(): AsyncIterableIterator<Message | Gap>;
  /** Ends the current wait. A time that the server asked for is still waited for. */
  retryNow(): void;
  /** Adds a listener. One that throws, or whose promise rejects, ends the connection with 1011. */
  on<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this;
  /** Adds a listener that is called once. */
  once<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this;
  /** Removes a listener. */
  off<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this;
  /** Removes a listener, for functions that expect an EventEmitter, such as `events.once`. */
  removeListener<E extends keyof ReconnectingEvents>(
    event: E,
    listener: (...args: ReconnectingEvents[E]) => unknown,
  ): this;
  /** Returns the number of listeners of an event. */
  listenerCount(event: keyof ReconnectingEvents): number;
}
