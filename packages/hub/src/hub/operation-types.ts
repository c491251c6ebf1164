import type { FanOut, Position } from "../broker/broker.ts";
import type { CommandError } from "../codes.ts";

/** Options of `publish` and `broadcast`. */
export interface PublishOptions {
  /**
   * A second publication to the channel with the same key is not published: the position of the
   * first one is returned.
   */
  readonly idempotencyKey?: string | undefined;
  /** Lifetime of the key in ms; a RangeError unless it is above 0. Default: 300,000. */
  readonly idempotencyTtl?: number | undefined;
  /** Tags that go with the publication to the clients. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Delivers the publication without keeping it. Default: false. */
  readonly skipHistory?: boolean | undefined;
  /**
   * Requires that subscribers can get a delta: rejects with a CommandError (108) if the namespace
   * has none. Default: false.
   */
  readonly delta?: boolean | undefined;
}

/**
 * The position of a publication, and its delivery as far as it is known: on this node, at this
 * moment.
 */
export interface PublishReport extends Position, Readonly<FanOut> {
  /** Whether nothing was published, because the idempotency key was known. */
  readonly duplicate: boolean;
}

/** What became of a broadcast in one channel. */
export type BroadcastReport =
  | {
      /** The channel. */
      readonly channel: string;
      /** The result in this channel. */
      readonly report: PublishReport;
    }
  | {
      /** The channel. */
      readonly channel: string;
      /** Why nothing was published in this channel. */
      readonly error: CommandError;
    };

/** Options of `history`. */
export interface HistoryOptions {
  /**
   * Returns only publications after this position (before it, in reverse). Default: from the
   * beginning.
   */
  readonly since?: Position | undefined;
  /** Maximum number of publications; -1: no limit. Default: 0, only the position. */
  readonly limit?: number | undefined;
  /** Returns the newest publications first. Default: false. */
  readonly reverse?: boolean | undefined;
  /**
   * Approximate maximum size of the publications as JSON, in bytes; at least one is returned. The
   * next page begins after the offset of the last one (`since`). Default: no limit.
   */
  readonly maxBytes?: number | undefined;
}

/** Selects clients of a user. */
export interface ClientSelection {
  /** The id of the only client meant; undefined: all clients of the user. */
  readonly client?: string | undefined;
}

/** Options of `disconnect`. */
export interface DisconnectOptions extends ClientSelection {
  /** Close code. Default: 3503, after which clients do not reconnect. */
  readonly code?: number | undefined;
  /** Close reason, at most 123 bytes. Default: "force disconnect". */
  readonly reason?: string | undefined;
  /** Ids of clients that are left alone. */
  readonly except?: readonly string[] | undefined;
}
