import type { Message, WebSocketError } from "@tungstate/protocol";
import type {
  CloseInfo,
  ConnectionEvents,
  ConnectionState,
  MessageData,
  WebSocketConnection,
} from "../connection/types.ts";

/** Why there is no connection: an open one has ended, or an attempt has failed. */
export type Ending =
  | {
      /** An open connection has ended. */
      readonly type: "closed";
      /** How it has ended. */
      readonly info: CloseInfo;
    }
  | {
      /** An attempt has failed. */
      readonly type: "failed";
      /** Why it has failed. */
      readonly error: WebSocketError;
    };

/** An attempt to connect. */
export interface Attempt {
  /** Its number, from 1; it starts again after a stable connection. */
  readonly attempt: number;
  /**
   * Why the attempt is made; undefined for the first one. A refused token appears here as
   * HandshakeRejectedError with 401.
   */
  readonly after: Ending | undefined;
  /** Aborted when the result is not needed any more. */
  readonly signal: AbortSignal;
}

/** A wait between two attempts. */
export interface Waiting {
  /** Milliseconds until the next attempt. */
  readonly delay: number;
  /** Why there is no connection. */
  readonly after: Ending;
  /** The number that the next attempt will have. */
  readonly attempt: number;
  /** Whether this machine has only loopback addresses. The attempt is made all the same. */
  readonly offline: boolean;
}

/**
 * A position between messages where some may be missing: one connection has ended before it, the
 * next begins after it. It appears among messages, and so has a `type` as they do.
 */
export interface Gap {
  /** Distinguishes a gap from a message. */
  readonly type: "gap";
  /** How the last connection ended. */
  readonly lost: CloseInfo;
  /** Milliseconds without a connection. */
  readonly duration: number;
  /** Number of attempts, at least 1. */
  readonly attempts: number;
  /**
   * Messages that the last connection had accepted and not handed to its byte stream. They are not
   * sent again, because part of them may have left. Earlier ones were handed over; only the server
   * knows whether they arrived.
   */
  readonly unsent: number;
  /**
   * Received messages that were dropped, because another connection ended before they were read.
   */
  readonly unread: number;
}

/** The current activity of a reconnecting connection. */
export type ReconnectingStatus =
  | ({
      /** An attempt is under way. */
      readonly state: "connecting";
    } & Pick<Attempt, "attempt" | "after">)
  | {
      /** There is a connection. */
      readonly state: "open";
      /** The connection. */
      readonly connection: WebSocketConnection;
    }
  | ({
      /** The next attempt has not begun yet. */
      readonly state: "waiting";
    } & Waiting)
  | {
      /** `close` was called, and the connection ends. */
      readonly state: "closing";
    }
  | {
      /** It has ended for good. */
      readonly state: "closed";
      /** How it has ended. */
      readonly info: CloseInfo;
    };

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
 * A connection that outlives its connections. Everything a WebSocketConnection has means the same here, for all of them together:
 *
 * - `state` says what it does at the moment, and `status` the details. `writable` says whether it accepts messages.
 * - What is written while there is no connection waits in the outbox.
 * - Reading goes on with the next connection's messages behind those of the last one.
 * - `close` and `error` come once, at the end: after `close()`, or when it makes no sense to try again.
 * - `protocol`, `headers`, `route`, `tls` and the addresses are those of the current connection, empty while there is none; `stats` are of all.
 * - `sendStream` waits for a connection, and rejects when that one ends under way. `ping` rejects while there is none.
 * - `flush` waits for a connection where something waits for one. It rejects with what ended a connection that takes something down with it.
 * - Once it has ended for good, `send`, `sendStream`, `flush` and `ping` reject with NOT_OPEN.
 */
export interface ReconnectingConnection extends WebSocketConnection {
  /** `connecting`, `open`, `waiting` (for the next attempt), `closing` or `closed`. */
  readonly state: ConnectionState;
  /** Whether messages are accepted: until `close()`, `terminate()` or the end. Without a connection they wait in the outbox. */
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
