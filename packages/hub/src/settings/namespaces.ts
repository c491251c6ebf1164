import type { AccessFunction, Audience, SubscribeFunction } from "./access.ts";
import type { BrokerPublishOptions } from "../broker/broker.ts";
import { namespaceOf } from "../options/channel-name.ts";
import type { WhenFull } from "../output/connection.ts";
import { checkNames } from "../options/names.ts";

const DEFAULT_META_TTL = 30 * 24 * 3600_000; // ms
const MAX_HISTORY = 10_000_000; // publications
const DEFAULT_MAX_CHANNELS = 100_000;
const MOST_CHANNELS = 100_000_000;

/** How much history the channels of a namespace keep. */
export interface HistorySettings {
  /** How many publications a channel keeps: 1 to 10,000,000. */
  readonly size: number;
  /** How long after its last publication it keeps them, ms. */
  readonly ttl: number;
  /** How long epoch and offset outlive them, ms. Default: 30 days, at least `ttl`. */
  readonly metaTtl?: number;
  /**
   * The most channels of the namespace that keep anything while they have no subscriber: 1 to 100,000,000. The one that was used longest ago
   * is forgotten then: a client that comes back to it is told that it can't recover. Default: 100,000.
   */
  readonly maxChannels?: number;
}

/** What the channels of a namespace are like. */
export interface NamespaceOptions {
  /** Default: no history. */
  readonly history?: HistorySettings;
  /** Clients that come back get what they missed. Needs history. Default: true where there is history. */
  readonly recovery?: boolean;
  /** The most publications that are recovered; who missed more is told so. Default: all that history keeps. */
  readonly recoveryLimit?: number;
  /** Who is in the channel can be asked for. Default: false. */
  readonly presence?: boolean;
  /** Who comes and goes is told to all subscribers, or ("asking") to those who subscribed with joinLeave. Default: false. */
  readonly joinLeave?: boolean | "asking";
  /** Subscribers may ask for deltas (fossil). Needs history, and slowConsumer "disconnect". Default: false. */
  readonly delta?: boolean;
  /**
   * What happens to a subscriber whose queue is full. Default: "disconnect" (3008, it comes back and recovers) for channels
   * with history, "drop-oldest" for others.
   */
  readonly slowConsumer?: WhenFull;
  /**
   * With slowConsumer "conflate": publications with the same value of this tag replace each other while they wait. Default:
   * all publications of the channel do.
   */
  readonly conflateBy?: string;
  /** Who may subscribe without a subscription token. Default: "nobody". */
  readonly subscribe?: Exclude<Audience, "subscribers"> | SubscribeFunction;
  /** Default: "nobody"; the application publishes by `hub.publish` and the HTTP API in any case. */
  readonly publish?: Audience | AccessFunction;
  /** Who may ask for presence. Default: "subscribers". */
  readonly readPresence?: Audience | AccessFunction;
  /** Who may ask for history. Default: "subscribers". */
  readonly readHistory?: Audience | AccessFunction;
}

/** The options of a namespace with all defaults in place. */
export interface Namespace {
  readonly name: string;
  /** For the broker; sizes are 0 where there is no history. */
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

/** Options by namespace. The name is what stands before the first colon of a channel; "" is for channels without a colon. */
export class Namespaces {
  private readonly byName = new Map<string, Namespace>();

  /** Throws where an option makes no sense: what was expected, what came. */
  constructor(options: Readonly<Record<string, NamespaceOptions>>) {
    for (const [name, each] of Object.entries(options)) {
      if (name !== "" && !/^[-\w]+$/.test(name)) {
        throw new TypeError(`the name of a namespace has to consist of letters, digits, _ and -, got "${name}"`);
      }
      this.byName.set(name, resolve(name, each));
    }
  }

  /** Undefined: there is no such namespace, and so no such channel. */
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
  checkNames(`namespace "${name}"`, options, NAMES);
  const fail = (option: string, expected: string, got: unknown): never => {
    throw new TypeError(`namespace "${name}": ${option} has to be ${expected}, got ${String(got)}`);
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
    checkNames(`namespace "${name}": history`, history, HISTORY_NAMES);
    if (!isCount(history.size) || history.size > MAX_HISTORY) {
      fail("history.size", `an integer from 1 to ${MAX_HISTORY}`, history.size);
    }
    if (typeof history.ttl !== "number" || !(history.ttl > 0)) fail("history.ttl", "more than 0 ms", history.ttl);
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
    fail("slowConsumer", "disconnect, drop-oldest or conflate", slowConsumer);
  }
  if (options.conflateBy !== undefined && slowConsumer !== "conflate") {
    fail("conflateBy", 'absent unless slowConsumer is "conflate"', options.conflateBy);
  }
  const delta = options.delta ?? false;
  // a subscriber that was not sent one publication could not make sense of the next delta
  if (delta && (history === undefined || slowConsumer !== "disconnect")) {
    fail("delta", 'false unless there is history and slowConsumer is "disconnect"', delta);
  }
  const subscribe = options.subscribe ?? "nobody";
  if (typeof subscribe !== "function" && !["anyone", "authenticated", "nobody"].includes(subscribe)) {
    fail("subscribe", "anyone, authenticated, nobody or a function", subscribe);
  }
  const audience = (
    option: "publish" | "readPresence" | "readHistory",
    byDefault: Audience,
  ): Audience | AccessFunction => {
    const value = options[option] ?? byDefault;
    if (typeof value !== "function" && !["anyone", "authenticated", "subscribers", "nobody"].includes(value)) {
      fail(option, "anyone, authenticated, subscribers, nobody or a function", value);
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
