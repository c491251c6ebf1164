import type { ClientInfo } from "../broker/broker.ts";

/** How many clients a channel has. */
export interface PresenceStats {
  /** Clients in the channel. */
  readonly clients: number;
  /** Different users among them; all anonymous clients are one user. */
  readonly users: number;
}

/** A client in a channel. */
export interface PresenceEntry {
  /** The channel. */
  readonly channel: string;
  /** The client. */
  readonly info: ClientInfo;
}

/** Which of a channel's clients to return. */
export interface PresenceFilter {
  /** Where the page before ended: its `next`. Default: from the beginning. */
  readonly after?: string | undefined;
  /** About the most clients. Default: all. */
  readonly limit?: number | undefined;
  /** About the most bytes that they may take as JSON; one is returned at least. Default: no limit. */
  readonly maxBytes?: number | undefined;
}

/** Some of a channel's clients. */
export interface PresencePage {
  /** The clients, in no order. */
  readonly clients: readonly ClientInfo[];
  /** Where the next page begins; undefined: this was the last one. */
  readonly next: string | undefined;
}

/**
 * Who is in which channel, for all nodes.
 *
 * - Expiry: an entry that is neither added again nor renewed within `ttl` is gone, so that the clients of a node that died vanish.
 * - Atomicity: `clients` and `stats` see each entry whole, or not at all.
 * - Order: the calls of one node about one client take effect in the order they were made in.
 */
export interface PresenceStore {
  /** How long an entry lives without being renewed, ms. */
  readonly ttl: number;
  /** Called once, before anything else. Rejects where the store can't be reached. */
  start(): Promise<void>;
  /** Ends the use of the store. Entries stay until they expire. */
  stop(): Promise<void>;
  /** Adds a client, or replaces its information. */
  add(channel: string, info: ClientInfo): Promise<void>;
  /** A client that is not there is no error. */
  remove(channel: string, info: ClientInfo): Promise<void>;
  /** Adds the time to live to many entries at once; one that has expired is there again. */
  renew(entries: readonly PresenceEntry[]): Promise<void>;
  /**
   * In no order; empty where nobody is. Who is there from the first page to the last is in one of them, and may be in two of them; who comes or
   * goes meanwhile may be in one.
   */
  clients(channel: string, filter?: PresenceFilter): Promise<PresencePage>;
  /** Counts the clients and users of a channel. */
  stats(channel: string): Promise<PresenceStats>;
}
