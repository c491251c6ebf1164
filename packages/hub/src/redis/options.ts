import type { ConnectionOptions } from "node:tls";
import { argumentError, checkNames, checkTime } from "tungstate/internal";
import { quiet } from "../schedule/quiet.ts";

/** Options of the connections to Redis. */
export interface RedisOptions {
  /**
   * Prefix of all keys and pub/sub channels. Hubs with the same prefix are nodes of one hub.
   * Default: "tungstate".
   */
  readonly prefix?: string;
  /**
   * Time limit of a reply of Redis in ms; after it the connection is closed and opened again. A
   * silent connection is probed every half of it. At least 100. Default: 5,000.
   */
  readonly timeout?: number;
  /**
   * Time in ms after which the clients of a dead node are no longer present. At least 100. Default:
   * 60,000.
   */
  readonly presenceTtl?: number;
  /**
   * Memory in bytes that a Redis may use for all of its data. Beyond it, publications with history
   * are rejected with error 106; everything else continues. Infinity: no limit. Default: three
   * quarters of `maxmemory`; no limit without `maxmemory`.
   */
  readonly memoryLimit?: number;
  /** TLS options for `rediss:` URLs, as in `node:tls`. Default: none. */
  readonly tls?: ConnectionOptions;
  /**
   * Called with each failure of a connection, once per loss, and every 10 s at most while a Redis
   * is full. Errors contain no credentials. Default: none.
   */
  readonly onError?: (error: Error) => void;
}

export interface RedisSettings {
  readonly prefix: string;
  readonly timeout: number;
  readonly presenceTtl: number;
  /** Undefined: three quarters of maxmemory. */
  readonly memoryLimit: number | undefined;
  readonly tls: ConnectionOptions | undefined;
  readonly onError: (error: Error) => void;
}

/** Throws a RangeError where an option makes no sense. */
export function resolveRedisOptions(options: RedisOptions): RedisSettings {
  checkNames(
    options,
    { prefix: true, timeout: true, presenceTtl: true, memoryLimit: true, tls: true, onError: true },
    "Redis",
  );
  const { prefix = "tungstate", timeout = 5_000, presenceTtl = 60_000, tls, onError = () => undefined } = options;
  checkTime("timeout", timeout, 100);
  checkTime("presenceTtl", presenceTtl, 100);
  const { memoryLimit } = options;
  if (memoryLimit !== undefined && !(memoryLimit > 0)) {
    throw argumentError(RangeError, `memoryLimit must be a number of bytes above 0, got ${String(memoryLimit)}`);
  }
  return {
    prefix,
    timeout,
    presenceTtl,
    memoryLimit,
    tls,
    onError: quiet(onError, () => undefined),
  };
}
