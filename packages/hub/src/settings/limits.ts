import { inspect } from "node:util";
import { argumentError, checkNames } from "tungstate/internal";
import { isObject } from "../json/json.ts";
import { type Method, METHODS } from "../protocol/command.ts";

/** A token bucket: a rate, and a burst after a pause. */
export interface Rate {
  /** Units added to the bucket per second. */
  readonly perSecond: number;
  /** Capacity of the bucket. */
  readonly burst: number;
}

/** Commands that have a rate. */
export type LimitedMethod = Method;

/** Limits of one client. */
export interface Limits {
  /** Maximum number of subscriptions, server-side ones included. Default: 128. */
  readonly channels: number;
  /** Maximum bytes of a channel name. Default: 255. */
  readonly channelLength: number;
  /**
   * Maximum bytes of a frame. Set the `maxMessageSize` of the connections to the same value.
   * Default: 65,536.
   */
  readonly messageSize: number;
  /** Maximum nesting depth of objects and arrays in a command. Default: 64. */
  readonly depth: number;
  /**
   * Maximum bytes in the send queue of a connection that does not accept output. Default:
   * 1,048,576.
   */
  readonly queueBytes: number;
  /**
   * Maximum number of commands in progress; above it the connection is not read, not even the rest
   * of the same frame. Default: 256.
   */
  readonly pending: number;
  /**
   * Maximum number of publications in one reply, of a history command or of a recovery. Default:
   * 1,000.
   */
  readonly historyPage: number;
  /**
   * Approximate maximum of history bytes in one reply. A larger publication is sent alone. Missed
   * publications follow page by page as fast as the client reads; a history command requests the
   * next page with `since`. Default: 65,536.
   */
  readonly pageBytes: number;
  /**
   * Maximum size of the info of a client, and of its info in a channel, in bytes. Default: 16,384.
   */
  readonly infoBytes: number;
  /**
   * Maximum number of connections of one user on this node; anonymous ones are not counted. 0: no
   * limit. Default: 0.
   */
  readonly connectionsPerUser: number;
  /**
   * Commands per second, by method; false: no limit. Further commands get error 111. All
   * connections of a user share one allowance. The anonymous connections of an address share up to
   * 32, which outlive the connections. Default: RATES.
   */
  readonly rates: Readonly<Record<LimitedMethod, Rate>> | false;
  /**
   * Work per second in bytes, with the allowances of `rates`; false: no limit. A publication costs
   * its bytes for each subscriber on this node, and a reply its bytes; errors and unknown commands
   * cost extra. Above it the connection is not read for a while. Default: 8 MiB per second and as
   * burst; false if `rates` is false.
   */
  readonly cost: Rate | false;
}

/**
 * Default rates: enough for most applications, and low enough that one client cannot load a node.
 */
export const RATES: Readonly<Record<LimitedMethod, Rate>> = {
  connect: { perSecond: 1, burst: 5 },
  subscribe: { perSecond: 100, burst: 500 },
  publish: { perSecond: 100, burst: 500 },
  presence: { perSecond: 20, burst: 100 },
  presence_stats: { perSecond: 20, burst: 100 },
  history: { perSecond: 20, burst: 100 },
  rpc: { perSecond: 100, burst: 500 },
  send: { perSecond: 100, burst: 500 },
  refresh: { perSecond: 1, burst: 10 },
  sub_refresh: { perSecond: 100, burst: 500 },
  unsubscribe: { perSecond: 100, burst: 500 },
  ping: { perSecond: 20, burst: 100 },
};

/** Default cost: 8 MiB of work per second, and as much at once, for each allowance. */
export const COST: Rate = { perSecond: 8 * 1024 * 1024, burst: 8 * 1024 * 1024 };

const DEFAULT_LIMITS: Limits = {
  channels: 128,
  channelLength: 255,
  messageSize: 65_536,
  depth: 64,
  queueBytes: 1_048_576,
  pending: 256,
  historyPage: 1_000,
  pageBytes: 65_536,
  infoBytes: 16_384,
  connectionsPerUser: 0,
  rates: RATES,
  cost: COST,
};

/** Limits to change; what is left out keeps its default. */
export interface LimitOptions extends Partial<Omit<Limits, "rates" | "cost">> {
  /** Rates that differ from RATES; false: no limits. */
  readonly rates?: Partial<Record<LimitedMethod, Rate>> | false;
  /** Changes `cost`; false: no limit. */
  readonly cost?: Partial<Rate> | false;
}

const LIMIT_NAMES: Readonly<Record<keyof Limits, true>> = {
  channels: true,
  channelLength: true,
  messageSize: true,
  depth: true,
  queueBytes: true,
  pending: true,
  historyPage: true,
  pageBytes: true,
  infoBytes: true,
  connectionsPerUser: true,
  rates: true,
  cost: true,
};

/** Returns all limits, with defaults. Throws a TypeError or RangeError. */
export function resolveLimits(options: LimitOptions): Limits {
  const { rates: givenRates, cost: givenCost, ...numbers } = { ...DEFAULT_LIMITS, ...options };
  checkNames({ ...DEFAULT_LIMITS, ...options }, LIMIT_NAMES, "limits");
  for (const [name, value] of Object.entries(numbers)) {
    const least = name === "connectionsPerUser" ? 0 : 1;
    if (typeof value !== "number" || !Number.isInteger(value) || value < least) {
      throw argumentError(
        RangeError,
        `limits.${name} must be an integer of at least ${least}, got ${JSON.stringify(value)}`,
      );
    }
  }
  checkObject("limits.cost", givenCost, "an object, or false");
  const cost = givenCost === false ? false : { ...COST, ...givenCost };
  if (cost !== false) checkRate("limits.cost", cost);
  if (givenRates === false) return { ...numbers, rates: false, cost: options.cost === undefined ? false : cost };
  checkObject("limits.rates", givenRates, "an object, or false");
  const rates = { ...RATES, ...givenRates };
  for (const [method, rate] of Object.entries(rates)) {
    if (!METHODS.some((each) => each === method))
      throw argumentError(
        TypeError,
        `limits.rates must have names of commands (${METHODS.join(", ")}), got ${JSON.stringify(method)}`,
      );
    checkRate(`limits.rates.${method}`, rate);
  }
  return { ...numbers, rates, cost };
}

/** Throws a TypeError unless `value` is an object, false (if `expected` names it) or undefined. */
export function checkObject(name: string, value: unknown, expected: "an object" | "an object, or false"): void {
  if (value === undefined || isObject(value) || (value === false && expected !== "an object")) return;
  throw argumentError(TypeError, `${name} must be ${expected}, got ${inspect(value, { depth: 0 })}`);
}

function checkRate(name: string, rate: Rate): void {
  checkNames(rate, { perSecond: true, burst: true }, name);
  const { perSecond, burst } = rate;
  // Infinity times the 0 ms between two commands is no number
  if (Number.isFinite(perSecond) && perSecond > 0 && Number.isFinite(burst) && burst >= 1) return;
  throw argumentError(
    RangeError,
    `${name} must have the finite numbers perSecond (above 0) and burst (at least 1), got ${inspect(perSecond)} and ${inspect(burst)}`,
  );
}
