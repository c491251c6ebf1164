import type { Logger } from "pino";
import type { Stores } from "./hub.ts";
import type { ServePlan } from "./plan.ts";

export interface OpenStores extends Stores {
  readonly unavailable: () => readonly string[];
  close(): void;
}

/** Where the hub's channels are, if not in this process: the Redis that the settings name. Rejects where that can't be used. */
export async function openStores(
  { redis, redisPrefix: prefix }: Pick<ServePlan, "redis" | "redisPrefix">,
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
