import type { ConnectionOptions } from "node:tls";
import { timeFault } from "tungstate/internal";
import { checkNames } from "../options/names.ts";
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
  /** For rediss: URLs. */
  readonly tls?: ConnectionOptions;
  /** What went wrong with a connection; once for each time that it is lost. Never has credentials in it. */
  readonly onError?: (error: Error) => void;
}

export interface RedisSettings {
  readonly prefix: string;
  readonly timeout: number;
  readonly presenceTtl: number;
  readonly tls: ConnectionOptions | undefined;
  readonly onError: (error: Error) => void;
}

/** Throws a RangeError where an option makes no sense. */
export function resolveRedisOptions(options: RedisOptions): RedisSettings {
  checkNames("the options of Redis", options, {
    prefix: true,
    timeout: true,
    presenceTtl: true,
    tls: true,
    onError: true,
  });
  const { prefix = "tungstate", timeout = 5_000, presenceTtl = 60_000, tls, onError = () => undefined } = options;
  const fault = timeFault("timeout", timeout, 100) ?? timeFault("presenceTtl", presenceTtl, 100);
  if (fault !== undefined) throw new RangeError(fault);
  return {
    prefix,
    timeout,
    presenceTtl,
    tls,
    onError: quiet(onError, () => undefined),
  };
}
