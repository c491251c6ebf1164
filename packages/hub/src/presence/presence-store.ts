import type { ClientInfo } from "../broker/broker.ts";

export interface PresenceStats {
  readonly clients: number;
  /** Different users among them; all anonymous clients are one user. */
  readonly users: number;
}

/** A client in a channel. */
export interface PresenceEntry {
  readonly channel: string;
  readonly info: ClientInfo;
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
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Adds a client, or replaces its information. */
  add(channel: string, info: ClientInfo): Promise<void>;
  /** A client that is not there is no error. */
  remove(channel: string, info: ClientInfo): Promise<void>;
  /** Adds the time to live to many entries at once; one that has expired is there again. */
  renew(entries: readonly PresenceEntry[]): Promise<void>;
  /** In no order; empty where nobody is. */
  clients(channel: string): Promise<readonly ClientInfo[]>;
  stats(channel: string): Promise<PresenceStats>;
}
