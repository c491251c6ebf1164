import { checkHeaders, type HeaderInput } from "@tungstate/protocol";
import { invalidOption } from "@tungstate/protocol/internal";
import { type Clock, systemClock } from "../schedule/clock.ts";
import { checkConnectOptions, CONNECT_OPTIONS, type ConnectOptions } from "../client/connect.ts";
import { interfaceNames } from "../dial/options.ts";
import { checkProxyHeaders } from "../dial/proxy/headers.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { parseUrl } from "../client/url.ts";
import { BACKOFF_OPTIONS, type BackoffOptions, DEFAULT_BACKOFF } from "./core/backoff.ts";
import type { Provided } from "./core/provide.ts";
import type { Ending } from "./core/types.ts";
import type { LoopSettings } from "./core/reconnect-loop.ts";
import { OUTBOX_OPTIONS, type OutboxOptions } from "./core/outbox.ts";
import { type OptionNames, checkNames } from "../options/names.ts";
import { checkFunction, flag, size, time } from "../options/check.ts";
import { describe } from "../options/describe.ts";

/**
 * A function that makes a connection: `connect`, or a replacement. It must obey `options.signal`.
 */
export type Connector = (url: string | URL, options: ConnectOptions) => Promise<WebSocketConnection>;

/**
 * Options of `reconnecting`: those of `connect`, for each connection, and when to connect again.
 */
export interface ReconnectOptions extends Omit<ConnectOptions, "headers" | "protocols"> {
  /** Header fields of each handshake, or a function that returns them for an attempt. */
  readonly headers?: Provided<HeaderInput>;
  /** Subprotocols to offer, most wanted first, or a function that returns them for an attempt. */
  readonly protocols?: Provided<string | readonly string[]>;
  /** Time limit in ms for the functions of `url`, `headers` and `protocols`. Default 10,000. */
  readonly providerTimeout?: number;
  /** Options of the waits between attempts. */
  readonly backoff?: Partial<BackoffOptions>;
  /**
   * Called after each connection and each failed attempt, with the number of the attempt. Returns
   * true to try again, false to give up, and undefined for the default, which gives up after close
   * codes and responses that would come again. Default: none.
   */
  readonly retry?: (ending: Ending, attempt: number) => boolean | undefined;
  /** Options of the outbox, which keeps messages while there is no connection. */
  readonly outbox?: Partial<OutboxOptions>;
  /** Ends a wait when this machine gets a new address. Default true. */
  readonly watchNetworks?: boolean;
  /** Returns numbers from 0 to just below 1, for the random waits. Default Math.random. */
  readonly random?: () => number;
  /** Makes the connections. Default: `connect`, with memory of the routes that failed. */
  readonly connect?: Connector;
  /**
   * As for `connect`. Where it cannot be set, without Linux or the package koffi, it is ignored;
   * the heartbeat alone detects a dead link then.
   */
  readonly tcpUserTimeout?: number | undefined;
}

const RECONNECT_OPTIONS: OptionNames<ReconnectOptions> = {
  ...CONNECT_OPTIONS,
  providerTimeout: true,
  backoff: { ...BACKOFF_OPTIONS },
  retry: true,
  outbox: { ...OUTBOX_OPTIONS },
  watchNetworks: true,
  random: true,
  connect: true,
};

/** The options, checked and complete. */
export interface ReconnectSettings extends LoopSettings {
  readonly url: Provided<string | URL>;
  readonly headers: Provided<HeaderInput>;
  readonly protocols: Provided<string | readonly string[]>;
  readonly providerTimeout: number;
  readonly outbox: OutboxOptions;
  readonly writeBufferSize: number;
  readonly watchNetworks: boolean;
  /** Interfaces whose addresses count; empty for all. */
  readonly interfaces: readonly string[];
  readonly connect: Connector | undefined;
  readonly clock: Clock;
  /** Options of each connection. */
  readonly options: ConnectOptions;
}

const POLICIES: ReadonlySet<unknown> = new Set<OutboxOptions["policy"]>(["reject", "drop-oldest", "wait"]);

/**
 * Checks the options. Throws INVALID_ARGUMENT, INVALID_URL or INVALID_PROXY for those with which
 * every attempt would fail.
 */
export function reconnectSettings(url: Provided<string | URL>, given: ReconnectOptions): ReconnectSettings {
  checkNames(given, RECONNECT_OPTIONS);
  const { headers = [], protocols = [], backoff: _backoff, outbox: _outbox, retry, random, connect, ...rest } = given;
  const { providerTimeout: _providerTimeout, watchNetworks: _watchNetworks, proxyHeaders, ...others } = rest;
  const options: ConnectOptions =
    proxyHeaders === undefined ? others : { ...others, proxyHeaders: checkProxyHeaders(proxyHeaders) };
  if (typeof url !== "function") parseUrl(url);
  for (const name of ["retry", "random", "connect", "wrap"] as const) checkFunction(given, name);
  const backoff = group(given, "backoff");
  const outbox = group(given, "outbox");
  const { policy = "reject" } = outbox;
  if (!POLICIES.has(policy)) {
    const expected = [...POLICIES].map((each) => JSON.stringify(each)).join(", ");
    throw invalidOption("outbox.policy", `one of ${expected}`, policy, describe(policy));
  }
  checkConnectOptions(typeof protocols === "function" ? options : { ...options, protocols });
  const { initialDelay, maxDelay, resetAfter } = DEFAULT_BACKOFF;
  return {
    url,
    // checked now, and copied from what may be an iterator: the fields are needed more than once
    headers: typeof headers === "function" ? headers : checkHeaders(headers),
    protocols,
    providerTimeout: time(given, "providerTimeout", 10_000),
    backoff: {
      initialDelay: time(backoff, "initialDelay", initialDelay, "backoff."),
      maxDelay: time(backoff, "maxDelay", maxDelay, "backoff."),
      resetAfter: time(backoff, "resetAfter", resetAfter, "backoff."),
    },
    retry,
    outbox: { size: size({ "outbox.size": outbox.size }, "outbox.size", 1024 * 1024, 0), policy },
    watchNetworks: flag(given, "watchNetworks", true),
    interfaces: interfaceNames(options),
    random: random ?? Math.random,
    connect,
    clock: options.clock ?? systemClock,
    writeBufferSize: size(options, "writeBufferSize", 128 * 1024, 0),
    options,
  };
}

/** Returns a group of options. */
function group<K extends "backoff" | "outbox">(given: ReconnectOptions, name: K): NonNullable<ReconnectOptions[K]> {
  const value = given[name] ?? {};
  if (typeof value === "object") return value;
  throw invalidOption(`${name}`, "an object", value, describe(value));
}
