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
import { type NamespaceOptions, Namespaces } from "./namespaces.ts";
import { MemoryPresenceStore } from "../presence/memory-presence-store.ts";
import type { PresenceStore } from "../presence/presence-store.ts";
import { checkObject, type LimitOptions, type Limits, resolveLimits } from "./limits.ts";
import { quiet } from "../schedule/quiet.ts";

/** How the hub pings its clients. */
export interface PingOptions {
  /** Interval between two pings in ms, in whole seconds. Default: 25,000. */
  readonly interval: number;
  /** Time limit for the reply in ms; less than the interval. Default: 8,000. */
  readonly timeout: number;
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

/** The type of an option's value. `code`: a function or an object, which a file cannot express. */
export type HubOptionKind = "flag" | "number" | "text" | "object" | "objectOrFalse" | "code";

/** The options of a hub by the type of their value, for programs that read them from a file. */
export const HUB_OPTIONS = {
  namespaces: "object",
  broker: "code",
  presence: "code",
  tokens: "code",
  authenticate: "code",
  anonymous: "flag",
  limits: "object",
  ping: "objectOrFalse",
  connectTimeout: "number",
  refreshGrace: "number",
  positionCheckInterval: "number",
  announceInterval: "number",
  name: "text",
  version: "text",
  onConnect: "code",
  onDisconnect: "code",
  onMessage: "code",
  onError: "code",
  memoryBudget: "code",
  clock: "code",
  newId: "code",
} as const satisfies Readonly<Record<keyof HubOptions, HubOptionKind>>;

/** Option names, for rejecting unknown ones. */
const NAMES = Object.fromEntries(Object.keys(HUB_OPTIONS).map((name) => [name, true])) as Record<
  keyof HubOptions,
  true
>;

/** Options that are functions. */
const FUNCTIONS = ["authenticate", "onConnect", "onDisconnect", "onMessage", "onError", "newId"] as const;

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
  checkNames(options, NAMES, "a hub");
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
