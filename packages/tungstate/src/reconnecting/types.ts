import type { Message, WebSocketError } from "@tungstate/protocol";
import type { CloseInfo, ConnectionEvents, MessageData, WebSocketConnection } from "../connection/types.ts";

/** Why there is no connection at the moment: an open one has ended, or an attempt to make one has failed. */
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

/** What is known when an attempt begins. */
export interface Attempt {
  /** Counted from 1, anew behind each connection that was stable. */
  readonly attempt: number;
  /** Why one is needed: undefined for the very first. A token that was refused shows here as HandshakeRejectedError with 401. */
  readonly after: Ending | undefined;
  /** Aborted when nobody waits for the answer any more. */
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
  /** Whether this machine has no address but those that never leave it. The attempt is made all the same. */
  readonly offline: boolean;
}

/**
 * A place in the flow of messages where some may be missing: one connection has ended before it, another one begins
 * behind it. It stands among messages, so it has a `type` as they do.
 */
export interface Gap {
  /** Tells a gap from a message. */
  readonly type: "gap";
  /** How the connection before has ended. */
  readonly lost: CloseInfo;
  /** Milliseconds without a connection. */
  readonly duration: number;
  /** Attempts that it took, 1 at least. */
  readonly attempts: number;
  /**
   * Messages that the connection before had been given and had not handed to its byte stream when it ended. They are not sent
   * again, since part of them may have left. Those before them were handed over; whether they arrived only the server knows.
   */
  readonly unsent: number;
  /** Messages that had been received and were dropped, because another connection had ended before anybody read them. */
  readonly unread: number;
}

/** What a reconnecting connection is doing. */
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
   * There is a connection, the first or another one. What a listener writes to `connection` itself goes ahead of all that waits in
   * the outbox: the place to subscribe again.
   */
  open: [connection: WebSocketConnection, gap: Gap | undefined];
  /** There is a connection again; ahead of `open`. Messages that came before may still wait to be read: see `withGaps`. */
  gap: [gap: Gap];
  /** A connection has ended, or an attempt has failed, and another attempt follows. */
  waiting: [waiting: Waiting];
  /** A message that will not be sent: the outbox was full (`drop-oldest`), or it was never open again. */
  drop: [data: MessageData];
}

/**
 * A connection that outlives its connections. Everything a WebSocketConnection has means the same here, for all of them together:
 *
 * - `state` is `open` until it is closed for good; `status` says what is going on meanwhile.
 * - What is written while there is no connection waits in the outbox.
 * - Reading goes on with the next connection's messages behind those of the last one.
 * - `close` and `error` come once, at the end: after `close()`, or when it makes no sense to try again.
 * - `protocol`, `headers`, `route`, `tls` and the addresses are those of the current connection, empty while there is none; `stats` are of all.
 * - `sendStream` waits for a connection, and rejects when that one ends under way. `ping` rejects while there is none.
 * - `flush` waits for a connection where something waits for one. It rejects with what ended a connection that takes something down with it.
 * - Once it has ended for good, `send`, `sendStream`, `flush` and `ping` reject with NOT_OPEN.
 */
export interface ReconnectingConnection extends WebSocketConnection {
  /** What is going on: the attempt, the connection, the wait, or how it ended. */
  readonly status: ReconnectingStatus;
  /** The connection, while there is one. */
  readonly current: WebSocketConnection | undefined;
  /** Resolves as soon as there is a connection; rejects when there will be none. */
  ready(): Promise<WebSocketConnection>;
  /** All messages, with a Gap wherever some may be missing. */
  withGaps(): AsyncIterableIterator<Message | Gap>;
  /** Ends a wait, because you know that it is worth trying now. A time that the server has asked for is still waited for. */
  retryNow(): void;
  /** Adds a listener. One that throws, or whose promise rejects, ends the connection with 1011. */
  on<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this;
  /** Adds a listener that is called once. */
  once<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this;
  /** Removes a listener. */
  off<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this;
}
