export { RedisConnections } from "./connections.ts";
export { type OpenRedis, openRedis } from "./open-redis.ts";
export type { RedisOptions } from "./options.ts";
export { RedisBroker } from "./redis-broker.ts";
export { RedisPresenceStore } from "./redis-presence-store.ts";
