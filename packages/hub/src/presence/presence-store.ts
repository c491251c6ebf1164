import type { ClientInfo } from "../broker/broker.ts";
import { type CommandError, commandError } from "../codes.ts";

/** How many clients a channel has. */
export interface PresenceStats {
  /** Clients in the channel. */
  readonly clients: number;
  /** Distinct users among them; all anonymous clients are one user. */
  readonly users: number;
}

/** A client in a channel. */
export interface PresenceEntry {
  /** The channel. */
  readonly channel: string;
  /** The client. */
  readonly info: ClientInfo;
}

/** Which clients of a channel to return. */
export interface PresenceFilter {
  /**
   * The `next` of the previous page. Default: from the beginning. Any other text is rejected with a
   * CommandError (107).
   */
  readonly after?: string | undefined;
  /** Approximate maximum number of clients. Default: no limit. */
  readonly limit?: number | undefined;
  /**
   * Approximate maximum size as JSON, in bytes; at least one client is returned. Default: no limit.
   */
  readonly maxBytes?: number | undefined;
}

/** Some of a channel's clients. */
export interface PresencePage {
  /** The clients, in no order. */
  readonly clients: readonly ClientInfo[];
  /** Cursor of the next page; undefined: this was the last one. */
  readonly next: string | undefined;
}

/**
 * The clients of each channel, for all nodes.
 * - Expiry: an entry that is neither added again nor renewed within `ttl` is removed, so that the
 *   clients of a node that died disappear.
 * - Atomicity: `clients` and `stats` see each entry completely or not at all.
 * - Order: the calls of one node about one client take effect in their order.
 */
export interface PresenceStore {
  /** Lifetime of an entry without renewal, in ms. */
  readonly ttl: number;
  /** Called once, before anything else. Rejects if the store cannot be reached. */
  start(): Promise<void>;
  /** Ends the use of the store. Entries stay until they expire. */
  stop(): Promise<void>;
  /** Adds a client, or replaces its information. */
  add(channel: string, info: ClientInfo): Promise<void>;
  /** Removes a client; an unknown one is not an error. */
  remove(channel: string, info: ClientInfo): Promise<void>;
  /** Renews the lifetime of many entries; an expired one is added again. */
  renew(entries: readonly PresenceEntry[]): Promise<void>;
  /**
   * Returns a page of clients, in no order; empty if there are none. A client that is present from
   * the first page to the last is in at least one of them, and may be in two. A client that joins
   * or leaves meanwhile may be in one.
   */
  clients(channel: string, filter?: PresenceFilter): Promise<PresencePage>;
  /** Counts the clients and users of a channel. */
  stats(channel: string): Promise<PresenceStats>;
}

/** Returns the error for a cursor that no page has returned. */
export function invalidCursor(): CommandError {
  return commandError("BAD_REQUEST", "the cursor must be the one that the previous page returned");
}
