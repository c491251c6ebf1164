import { argumentError, checkNames } from "tungstate/internal";
import type { AccessFunction, Audience, SubscribeFunction } from "./access.ts";
import type { BrokerPublishOptions } from "../broker/broker.ts";
import { namespaceOf } from "../options/channel-name.ts";
import type { WhenFull } from "../output/connection.ts";

const DEFAULT_META_TTL = 30 * 24 * 3600_000; // ms
const MAX_HISTORY = 10_000_000; // publications
const DEFAULT_MAX_CHANNELS = 100_000;
const MOST_CHANNELS = 100_000_000;

/** How much history the channels of a namespace keep. */
export interface HistorySettings {
  /** Number of publications that a channel keeps: 1 to 10,000,000. */
  readonly size: number;
  /** How long it keeps them after the last one, in ms. */
  readonly ttl: number;
  /** How long it keeps epoch and offset after that, in ms. Default: 30 days, at least `ttl`. */
  readonly metaTtl?: number;
  /**
   * Maximum number of channels of the namespace that are remembered without a subscriber: 1 to
   * 100,000,000. Above it, the least recently used one is evicted, and a client that returns to it
   * gets `recovered: false`. Default: 100,000.
   */
  readonly maxChannels?: number;
}

/** Options of the channels of a namespace. */
export interface NamespaceOptions {
  /** History of the channels. Default: none. */
  readonly history?: HistorySettings;
  /**
   * Whether clients that reconnect get the publications that they missed. Needs history. Default:
   * true with history.
   */
  readonly recovery?: boolean;
  /**
   * Maximum number of publications to recover; a client that missed more gets `recovered: false`.
   * Default: all that history keeps.
   */
  readonly recoveryLimit?: number;
  /** Whether the channels have presence. Default: false. */
  readonly presence?: boolean;
  /**
   * Whether joins and leaves are pushed to all subscribers, or ("asking") to those that subscribed
   * with joinLeave. Default: false.
   */
  readonly joinLeave?: boolean | "asking";
  /**
   * Whether subscribers may ask for deltas (fossil). Needs history, and slowConsumer "disconnect".
   * Default: false.
   */
  readonly delta?: boolean;
  /**
   * What happens to a subscriber with a full queue. Default: "disconnect" (3008, after which it
   * reconnects and recovers) for channels with history, "drop-oldest" for others.
   */
  readonly slowConsumer?: WhenFull;
  /**
   * With slowConsumer "conflate": publications with the same value of this tag replace each other
   * in the queue. Default: all publications of the channel do.
   */
  readonly conflateBy?: string;
  /** Which clients may subscribe without a subscription token. Default: "nobody". */
  readonly subscribe?: Exclude<Audience, "subscribers"> | SubscribeFunction;
  /**
   * Which clients may publish. The application can always publish, by `hub.publish` and the HTTP
   * API. Default: "nobody".
   */
  readonly publish?: Audience | AccessFunction;
  /** Which clients may read presence. Default: "subscribers". */
  readonly readPresence?: Audience | AccessFunction;
  /** Which clients may read history. Default: "subscribers". */
  readonly readHistory?: Audience | AccessFunction;
}

/** The options of a namespace, checked and complete. */
export interface Namespace {
  readonly name: string;
  /** Options for the broker; sizes are 0 without history. */
  readonly publishing: BrokerPublishOptions & { readonly maxChannels: number };
  readonly hasHistory: boolean;
  readonly recovery: boolean;
  /** -1: no limit. */
  readonly recoveryLimit: number;
  readonly presence: boolean;
  readonly joinLeave: boolean | "asking";
  readonly delta: boolean;
  readonly slowConsumer: WhenFull;
  readonly conflateBy: string;
  readonly subscribe: Audience | SubscribeFunction;
  readonly publish: Audience | AccessFunction;
  readonly readPresence: Audience | AccessFunction;
  readonly readHistory: Audience | AccessFunction;
}

/**
 * The namespaces by name. The name of a channel's namespace is the part before its first colon; ""
 * is the namespace of names without a colon.
 */
export class Namespaces {
  private readonly byName = new Map<string, Namespace>();

  /** Throws a TypeError or RangeError for an invalid option. */
  constructor(options: Readonly<Record<string, NamespaceOptions>>) {
    for (const [name, each] of Object.entries(options)) {
      if (name !== "" && !/^[-\w]+$/.test(name)) {
        throw argumentError(
          TypeError,
          `the name of a namespace must consist of letters, digits, _ and -, got "${name}"`,
        );
      }
      this.byName.set(name, resolve(name, each));
    }
  }

  /**
   * Returns the namespace of a channel; undefined if there is none, so that the channel does not
   * exist.
   */
  of(channel: string): Namespace | undefined {
    return this.byName.get(namespaceOf(channel));
  }
}

const NAMES: Readonly<Record<keyof NamespaceOptions, true>> = {
  history: true,
  recovery: true,
  recoveryLimit: true,
  presence: true,
  joinLeave: true,
  delta: true,
  slowConsumer: true,
  conflateBy: true,
  subscribe: true,
  publish: true,
  readPresence: true,
  readHistory: true,
};

const HISTORY_NAMES: Readonly<Record<keyof HistorySettings, true>> = {
  size: true,
  ttl: true,
  metaTtl: true,
  maxChannels: true,
};

function resolve(name: string, options: NamespaceOptions): Namespace {
  checkNames(options, NAMES, `namespace "${name}"`);
  const fail = (option: string, expected: string, got: unknown): never => {
    throw argumentError(TypeError, `namespace "${name}": ${option} must be ${expected}, got ${String(got)}`);
  };
  for (const option of ["recovery", "presence", "delta"] as const) {
    const value: unknown = options[option];
    if (value !== undefined && typeof value !== "boolean") fail(option, "true or false", JSON.stringify(value));
  }
  if (![undefined, true, false, "asking"].includes(options.joinLeave)) {
    fail("joinLeave", 'true, false or "asking"', JSON.stringify(options.joinLeave));
  }
  const { history } = options;
  if (history !== undefined) {
    checkNames(history, HISTORY_NAMES, `namespace "${name}", history`);
    if (!isCount(history.size) || history.size > MAX_HISTORY) {
      fail("history.size", `an integer from 1 to ${MAX_HISTORY}`, history.size);
    }
    if (typeof history.ttl !== "number" || !(history.ttl > 0))
      fail("history.ttl", "a number above 0 (ms)", history.ttl);
    const { metaTtl } = history;
    if (metaTtl !== undefined && (typeof metaTtl !== "number" || !(metaTtl >= history.ttl))) {
      fail("history.metaTtl", `at least history.ttl (${history.ttl} ms)`, metaTtl);
    }
    const { maxChannels } = history;
    if (maxChannels !== undefined && (!isCount(maxChannels) || maxChannels > MOST_CHANNELS)) {
      fail("history.maxChannels", `an integer from 1 to ${MOST_CHANNELS}`, maxChannels);
    }
  }
  const recovery = options.recovery ?? history !== undefined;
  if (recovery && history === undefined) fail("recovery", "false without history", recovery);
  const recoveryLimit = options.recoveryLimit ?? -1;
  if (recoveryLimit !== -1 && !isCount(recoveryLimit)) fail("recoveryLimit", "an integer from 1", recoveryLimit);
  const slowConsumer = options.slowConsumer ?? (history === undefined ? "drop-oldest" : "disconnect");
  if (!["disconnect", "drop-oldest", "conflate"].includes(slowConsumer)) {
    fail("slowConsumer", '"disconnect", "drop-oldest" or "conflate"', slowConsumer);
  }
  if (options.conflateBy !== undefined && slowConsumer !== "conflate") {
    fail("conflateBy", 'absent unless slowConsumer is "conflate"', options.conflateBy);
  }
  const delta = options.delta ?? false;
  // a subscriber that missed one publication cannot apply the next delta
  if (delta && (history === undefined || slowConsumer !== "disconnect")) {
    fail("delta", 'false unless there is history and slowConsumer is "disconnect"', delta);
  }
  const subscribe = options.subscribe ?? "nobody";
  if (typeof subscribe !== "function" && !["anyone", "authenticated", "nobody"].includes(subscribe)) {
    fail("subscribe", '"anyone", "authenticated", "nobody" or a function', subscribe);
  }
  const audience = (
    option: "publish" | "readPresence" | "readHistory",
    byDefault: Audience,
  ): Audience | AccessFunction => {
    const value = options[option] ?? byDefault;
    if (typeof value !== "function" && !["anyone", "authenticated", "subscribers", "nobody"].includes(value)) {
      fail(option, '"anyone", "authenticated", "subscribers", "nobody" or a function', value);
    }
    return value;
  };
  return {
    name,
    publishing: {
      historySize: history?.size ?? 0,
      historyTtl: history?.ttl ?? 0,
      metaTtl: history?.metaTtl ?? Math.max(DEFAULT_META_TTL, history?.ttl ?? 0),
      maxChannels: history?.maxChannels ?? DEFAULT_MAX_CHANNELS,
    },
    hasHistory: history !== undefined,
    recovery,
    recoveryLimit,
    presence: options.presence ?? false,
    joinLeave: options.joinLeave ?? false,
    delta,
    slowConsumer,
    conflateBy: options.conflateBy ?? "",
    subscribe,
    publish: audience("publish", "nobody"),
    readPresence: audience("readPresence", "subscribers"),
    readHistory: audience("readHistory", "subscribers"),
  };
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 1;
}
