import { RedisConnections } from "./connections.ts";
import type { RedisOptions } from "./options.ts";
import { RedisBroker } from "./redis-broker.ts";
import { RedisPresenceStore } from "./redis-presence-store.ts";

/** What a hub takes as `broker` and `presence`. */
export interface OpenRedis {
  /** For the hub's option `broker`. */
  readonly broker: RedisBroker;
  /** For the hub's option `presence`. */
  readonly presenceStore: RedisPresenceStore;
  /** Names of servers that are not connected at the moment: their channels can't be published to. Without credentials. */
  unavailable(): readonly string[];
  /** Ends the connections. The end of the hub does the same. */
  close(): void;
}

/**
 * Connects to the Redis that hubs share: `redis://`, `rediss://`, `redis+cluster://h1,h2,h3`, `redis+sentinel://h1,h2/master`. Several URLs
 * share the channels. Rejects where one can't be reached or used: the message says which, and why.
 */
export async function openRedis(urls: readonly string[], options: RedisOptions = {}): Promise<OpenRedis> {
  const connections = new RedisConnections(urls, options);
  await connections.open();
  return {
    broker: new RedisBroker(connections),
    presenceStore: new RedisPresenceStore(connections),
    unavailable: () => connections.unavailable(),
    close: () => connections.close(),
  };
}
