import type { Logger } from "pino";
import { Incidents } from "../logging/incidents.ts";
import type { Stores } from "./hub.ts";
import type { ServeConfig } from "../settings/config.ts";

export interface OpenStores extends Stores {
  readonly unavailable: () => readonly string[];
  close(): void;
}

/**
 * Opens the Redis stores that the settings name, or returns undefined without any. Rejects if they
 * cannot be used.
 */
export async function openStores(
  { redis, redisOptions }: Pick<ServeConfig, "redis" | "redisOptions">,
  log: Logger,
): Promise<OpenStores | undefined> {
  if (redis.length === 0) return undefined;
  const { openRedis } = await import("@tungstate/hub/redis");
  // several connections report one failure, and again with each attempt to reconnect
  const incidents = new Incidents((error, repeats) =>
    log.error(repeats === 0 ? { err: error } : { err: error, repeats }, "redis"),
  );
  const opened = await openRedis(redis, { ...redisOptions, onError: (error) => incidents.add(error) });
  return {
    broker: opened.broker,
    presence: opened.presenceStore,
    unavailable: () => (opened.unavailable().length > 0 ? ["Redis is not connected"] : []),
    close: () => opened.close(),
  };
}
