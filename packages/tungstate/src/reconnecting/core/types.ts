import type { WebSocketError } from "@tungstate/protocol";
import type { CloseInfo } from "../../connection/types.ts";

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

/** The current activity; `C` is the platform's connection. */
export type Activity<C> =
  | ({
      /** An attempt is under way. */
      readonly state: "connecting";
    } & Pick<Attempt, "attempt" | "after">)
  | {
      /** There is a connection. */
      readonly state: "open";
      /** The connection. */
      readonly connection: C;
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
      /** It has ended permanently. */
      readonly state: "closed";
      /** How it has ended. */
      readonly info: CloseInfo;
    };
