import { RedisConnections } from "./connections.ts";
import type { RedisOptions } from "./options.ts";
import { RedisBroker } from "./redis-broker.ts";
import { RedisPresenceStore } from "./redis-presence-store.ts";

/** Broker and presence store over the same connections. */
export interface OpenRedis extends AsyncDisposable {
  /** For the hub's option `broker`. */
  readonly broker: RedisBroker;
  /** For the hub's option `presence`. */
  readonly presenceStore: RedisPresenceStore;
  /**
   * Returns the names, without credentials, of servers that are not connected; their channels
   * cannot be published to.
   */
  unavailable(): readonly string[];
  /** Closes the connections. The end of the hub does the same. */
  close(): void;
}

/**
 * Connects to the Redis that hubs share: `redis://`, `rediss://`, `redis+cluster://h1,h2,h3`,
 * `redis+sentinel://h1,h2/master`. Several URLs share the channels. Rejects if one cannot be
 * reached or used; the message says which, and why.
 */
export async function openRedis(urls: readonly string[], options: RedisOptions = {}): Promise<OpenRedis> {
  const connections = new RedisConnections(urls, options);
  await connections.open();
  return {
    broker: new RedisBroker(connections),
    presenceStore: new RedisPresenceStore(connections),
    unavailable: () => connections.unavailable(),
    close: () => connections.close(),
    async [Symbol.asyncDispose]() {
      connections.close();
    },
  };
}
