import type { Logger } from "pino";
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
  { redis, redisPrefix: prefix }: Pick<ServeConfig, "redis" | "redisPrefix">,
  log: Logger,
): Promise<OpenStores | undefined> {
  if (redis.length === 0) return undefined;
  const { openRedis } = await import("@tungstate/hub/redis");
  const onError = (error: Error): void => log.error({ err: error }, "redis");
  const opened = await openRedis(redis, { prefix, onError });
  return {
    broker: opened.broker,
    presence: opened.presenceStore,
    unavailable: () => (opened.unavailable().length > 0 ? ["Redis is not connected"] : []),
    close: () => opened.close(),
  };
}
