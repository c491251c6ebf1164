import { count, time } from "../../options/check.ts";
import { checkNames, type OptionNames } from "../../options/names.ts";
import type { Clock } from "../../schedule/clock.ts";
import { SessionPool } from "./session-pool.ts";

/** Options of Http2Sessions. */
export interface Http2SessionsOptions {
  /** Time in ms until a session without streams is closed. Default 10,000. */
  readonly idleTimeout?: number;
  /**
   * With `httpVersion: "auto"`: how long a server that does not support WebSocket over HTTP/2 is
   * connected to by HTTP/1.1 at once, in ms. Default 300,000.
   */
  readonly fallbackTime?: number;
  /** Number of such servers that are remembered. Default 1,000. */
  readonly maxFallbacks?: number;
}

const HTTP2_SESSIONS_OPTIONS: OptionNames<Http2SessionsOptions> = {
  idleTimeout: true,
  fallbackTime: true,
  maxFallbacks: true,
};

/** Returns the sessions of connections with a clock, which users do not see. */
export let poolOf: (sessions: Http2Sessions, clock: Clock) => SessionPool;

/**
 * HTTP/2 sessions that connections share: each is one TCP connection, with TLS for `wss:`. A
 * session is used for connections with the same origin and the same options for TLS, proxies and
 * interfaces only.
 */
export class Http2Sessions {
  static {
    poolOf = (sessions, clock) => sessions.#poolOf(clock);
  }

  readonly #pools = new Map<Clock, SessionPool>();
  readonly #settings;

  constructor(options: Http2SessionsOptions = {}) {
    checkNames(options, HTTP2_SESSIONS_OPTIONS);
    this.#settings = {
      idleTimeout: time(options, "idleTimeout", 10_000),
      fallbackTime: time(options, "fallbackTime", 300_000),
      maxFallbacks: count(options, "maxFallbacks", 1_000, 1),
    };
  }

  /** Number of sessions that take new streams. */
  get size(): number {
    let size = 0;
    for (const pool of this.#pools.values()) size += pool.size;
    return size;
  }

  /**
   * Closes the sessions without streams. The others take no new streams and close with their last
   * one.
   */
  close(): void {
    for (const pool of this.#pools.values()) pool.close();
  }

  #poolOf(clock: Clock): SessionPool {
    let pool = this.#pools.get(clock);
    if (pool === undefined) this.#pools.set(clock, (pool = new SessionPool(clock, this.#settings)));
    return pool;
  }
}
