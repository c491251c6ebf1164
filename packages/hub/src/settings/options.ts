import { inspect } from "node:util";
import { type MemoryBudget, sharedMemoryBudget } from "tungstate";
import { argumentError, checkNames, checkTime } from "tungstate/internal";
import { MemoryBroker } from "../broker/memory-broker.ts";
import { MemoryEngine } from "../broker/memory-engine.ts";
import { type Broker, StoreUnavailableError } from "../broker/broker.ts";
import type { ClientSession } from "./client-session.ts";
import { type Clock, systemClock } from "../schedule/clock.ts";
import type { CodeAndReason } from "../codes.ts";
import type { Authenticate, TokenError, TokenVerifier } from "./credentials.ts";
import { isObject } from "../json/json.ts";
import { type NamespaceOptions, Namespaces } from "./namespaces.ts";
import { MemoryPresenceStore } from "../presence/memory-presence-store.ts";
import type { PresenceStore } from "../presence/presence-store.ts";
import { type Method, METHODS } from "../protocol/command.ts";
import { quiet } from "../schedule/quiet.ts";

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

/** How the hub pings its clients. */
export interface PingOptions {
  /** Interval between two pings in ms, in whole seconds. Default: 25,000. */
  readonly interval: number;
  /** Time limit for the reply in ms; less than the interval. Default: 8,000. */
  readonly timeout: number;
}

/** Limits to change; what is left out keeps its default. */
export interface LimitOptions extends Partial<Omit<Limits, "rates" | "cost">> {
  /** Rates that differ from RATES; false: no limits. */
  readonly rates?: Partial<Record<LimitedMethod, Rate>> | false;
  /** Changes `cost`; false: no limit. */
  readonly cost?: Partial<Rate> | false;
}

/** Options of a hub. */
export interface HubOptions {
  /**
   * The channels that exist: options by namespace, the part of a channel name before its first
   * colon; "" for names without a colon.
   */
  readonly namespaces: Readonly<Record<string, NamespaceOptions>>;
  /** Default: a new MemoryBroker. */
  readonly broker?: Broker;
  /** Default: a new MemoryPresenceStore. */
  readonly presence?: PresenceStore;
  /**
   * Verifies the tokens of clients. Default: none; `authenticate` and the functions of namespaces
   * get the tokens then.
   */
  readonly tokens?: TokenVerifier;
  /**
   * Returns the credentials of clients without a token that `tokens` has verified. It is called
   * again when such a client refreshes. Default: none.
   */
  readonly authenticate?: Authenticate;
  /**
   * Whether clients without a token, and unknown to `authenticate`, may connect. Default: false.
   */
  readonly anonymous?: boolean;
  /** What one client may use. Default: see Limits. */
  readonly limits?: LimitOptions;
  /** Pings of the hub; false: none, so that connections need a heartbeat of their own. */
  readonly ping?: Partial<PingOptions> | false;
  /** Time limit in ms from the connection to its connect command. Default: 10,000. */
  readonly connectTimeout?: number;
  /**
   * How long an expired connection or subscription is kept for its refresh, in ms. Default: 25,000.
   */
  readonly refreshGrace?: number;
  /**
   * How often the position of a quiet channel is checked if the broker may lose publications, in
   * ms; Infinity: never. Default: 30,000.
   */
  readonly positionCheckInterval?: number;
  /**
   * Interval between two announcements of this node to the others, in ms. After three missed ones
   * it counts as gone. Default: 3,000.
   */
  readonly announceInterval?: number;
  /** The node's name in `info`. Default: "hub". */
  readonly name?: string;
  /** The version that clients and `info` get. Default: "". */
  readonly version?: string;
  /**
   * Called when a client is connected: its credentials are checked, and its connect command is
   * answered.
   */
  readonly onConnect?: (session: ClientSession) => void;
  /** Called when a connected client has gone, with the code and reason of its end. */
  readonly onDisconnect?: (session: ClientSession, why: CodeAndReason) => void;
  /**
   * Called with a message of a client that belongs to no channel. Without it, clients that send one
   * are disconnected (3508).
   */
  readonly onMessage?: (session: ClientSession, data: unknown) => void;
  /**
   * Called with internal errors: of a broker, or of a function of the application; and with a
   * TokenError for each wrong claim of a properly signed token, the same one at most once a minute.
   * Errors contain no tokens and no keys. A store that is unreachable (StoreUnavailableError) is
   * not reported here; it reports itself.
   */
  readonly onError?: (error: unknown) => void;
  /** The memory budget for what the hub keeps and queues. Default: `sharedMemoryBudget`. */
  readonly memoryBudget?: MemoryBudget;
  /** Time and ticks; for tests. Default: the system's. */
  readonly clock?: Clock;
  /** Returns the ids of clients and nodes: any unique string. Default: UUIDs. */
  readonly newId?: () => string;
}

const HUB_OPTIONS: Readonly<Record<keyof HubOptions, true>> = {
  namespaces: true,
  broker: true,
  presence: true,
  tokens: true,
  authenticate: true,
  anonymous: true,
  limits: true,
  ping: true,
  connectTimeout: true,
  refreshGrace: true,
  positionCheckInterval: true,
  announceInterval: true,
  name: true,
  version: true,
  onConnect: true,
  onDisconnect: true,
  onMessage: true,
  onError: true,
  memoryBudget: true,
  clock: true,
  newId: true,
};

/** Options that are functions. */
const FUNCTIONS = ["authenticate", "onConnect", "onDisconnect", "onMessage", "onError", "newId"] as const;

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

/** The options, checked and complete. */
export interface HubSettings {
  readonly namespaces: Namespaces;
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly tokens: TokenVerifier | undefined;
  readonly authenticate: Authenticate | undefined;
  readonly anonymous: boolean;
  readonly limits: Limits;
  readonly ping: PingOptions | false;
  readonly connectTimeout: number;
  readonly refreshGrace: number;
  readonly positionCheckInterval: number;
  readonly announceInterval: number;
  readonly name: string;
  readonly version: string;
  readonly onConnect: (session: ClientSession) => void;
  readonly onDisconnect: (session: ClientSession, why: CodeAndReason) => void;
  readonly onMessage: ((session: ClientSession, data: unknown) => void) | undefined;
  readonly onError: (error: unknown) => void;
  /** A token was refused. */
  readonly onTokenRefused: (error: TokenError) => void;
  readonly memoryBudget: MemoryBudget;
  readonly clock: Clock;
  readonly newId: () => string;
}

/** Checks the options. Throws a TypeError or RangeError. */
export function resolveOptions(options: HubOptions): HubSettings {
  checkNames(options, HUB_OPTIONS, "a hub");
  for (const name of FUNCTIONS) checkFunction(name, options[name]);
  if (options.tokens !== undefined) {
    for (const name of ["connection", "subscription"] as const) {
      const check: unknown = options.tokens?.[name];
      checkFunction(`tokens.${name}`, check, true);
    }
  }
  const { clock = systemClock, memoryBudget = sharedMemoryBudget } = options;
  const { onError: tell = () => undefined } = options;
  const onError = quiet(
    // the result may be the promise of an async function
    (error: unknown): unknown => (isOutage(error) ? undefined : tell(error)),
    () => undefined,
  );
  checkObject("ping", options.ping, "an object, or false");
  checkObject("limits", options.limits, "an object");
  const ping = options.ping === false ? false : { interval: 25_000, timeout: 8_000, ...options.ping };
  if (ping !== false) {
    checkNames(ping, { interval: true, timeout: true }, "ping");
    if (checkedTime("ping.interval", ping.interval, 1000) % 1000 !== 0) {
      throw argumentError(
        RangeError,
        `ping.interval must be a multiple of 1000 (ms), at least 1000, got ${ping.interval}`,
      );
    }
    checkedTime("ping.timeout", ping.timeout);
    if (!(ping.timeout > 0) || ping.timeout >= ping.interval) {
      throw argumentError(
        RangeError,
        `ping.timeout must be more than 0 and less than ping.interval (ms), got ${ping.timeout}`,
      );
    }
  }
  return {
    namespaces: new Namespaces(options.namespaces),
    broker: options.broker ?? new MemoryBroker(new MemoryEngine({ clock, memoryBudget })),
    presence: options.presence ?? new MemoryPresenceStore({ clock, memoryBudget }),
    tokens: options.tokens,
    authenticate: options.authenticate,
    anonymous: flag("anonymous", options.anonymous),
    limits: resolveLimits(options.limits ?? {}),
    ping,
    connectTimeout: checkedTime("connectTimeout", options.connectTimeout ?? 10_000),
    refreshGrace: checkedTime("refreshGrace", options.refreshGrace ?? 25_000),
    positionCheckInterval: positionCheckInterval(options.positionCheckInterval),
    announceInterval: checkedTime("announceInterval", options.announceInterval ?? 3_000),
    name: options.name ?? "hub",
    version: options.version ?? "",
    onConnect: quiet(options.onConnect ?? (() => undefined), onError),
    onDisconnect: quiet(options.onDisconnect ?? (() => undefined), onError),
    onMessage: options.onMessage === undefined ? undefined : quiet(options.onMessage, onError),
    onError,
    onTokenRefused: wrongClaims(onError, clock),
    memoryBudget,
    clock,
    newId: options.newId ?? (() => crypto.randomUUID()),
  };
}

function resolveLimits(options: LimitOptions): Limits {
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
function checkObject(name: string, value: unknown, expected: "an object" | "an object, or false"): void {
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

/** Throws a TypeError unless `value` is a function, or undefined if it is not required. */
function checkFunction(name: string, value: unknown, isRequired = false): void {
  if (typeof value === "function" || (value === undefined && !isRequired)) return;
  throw argumentError(TypeError, `${name} must be a function, got ${inspect(value, { depth: 0 })}`);
}

/** Default: false. */
function flag(name: string, value: unknown = false): boolean {
  if (typeof value === "boolean") return value;
  throw argumentError(TypeError, `${name} must be true or false, got ${JSON.stringify(value)}`);
}

const SAME_CLAIM_INTERVAL = 60_000; // ms between two reports of the same fault
const MAX_REPORTED = 100; // different faults in that time

/**
 * Reports wrong claims, the same fault at most once a minute: a refused client may reconnect at
 * once. Other faults of tokens are not reported, because anybody can cause them without a key.
 */
function wrongClaims(onError: (error: unknown) => void, clock: Clock): (error: TokenError) => void {
  const reportedAt = new Map<string, number>();
  return (error) => {
    if (error.claim === undefined) return;
    const now = clock.now();
    for (const [message, at] of reportedAt) if (now - at >= SAME_CLAIM_INTERVAL) reportedAt.delete(message);
    if (reportedAt.has(error.message) || reportedAt.size >= MAX_REPORTED) return;
    reportedAt.set(error.message, now);
    onError(error);
  };
}

/** Whether the error is of a store that is unreachable, which reports itself. */
function isOutage(error: unknown): boolean {
  return error instanceof Error && (error instanceof StoreUnavailableError || isOutage(error.cause));
}

/** Infinity: positions are not checked. */
function positionCheckInterval(value = 30_000): number {
  return value === Infinity ? value : checkedTime("positionCheckInterval (or Infinity: never)", value);
}

/** Throws a RangeError unless a timer can express it. */
function checkedTime(name: string, value: number, least = 1): number {
  return checkTime(name, value, least);
}
