import type { ConnectionOptions } from "node:tls";
import { checkNames, checkTime } from "tungstate/internal";
import { quiet } from "../schedule/quiet.ts";

/** Options of the connections to Redis. */
export interface RedisOptions {
  /** Begins the names of all keys and pub/sub channels. Hubs with the same one are nodes of one hub. Default: "tungstate". */
  readonly prefix?: string;
  /**
   * How long Redis may take to answer, ms; then its connection is given up, and another one made. A silent connection is asked every half of
   * it. Default: 5,000.
   */
  readonly timeout?: number;
  /** How long a client stays present whose node has died, ms. Default: 60,000. */
  readonly presenceTtl?: number;
  /**
   * Bytes of memory that a Redis may use, all of its data included, while publications are kept there: beyond it, those with history are refused
   * (error 106), and everything else goes on. Infinity: no limit. Default: three quarters of its `maxmemory`; no limit where it has none.
   */
  readonly memoryLimit?: number;
  /** For rediss: URLs. */
  readonly tls?: ConnectionOptions;
  /** What went wrong with a connection; once for each time that it is lost. Never has credentials in it. */
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
    throw new RangeError(`memoryLimit must be a number of bytes above 0, got ${String(memoryLimit)}`);
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
