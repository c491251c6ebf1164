import { argumentError } from "@tungstate/protocol/internal";
import type { OptionNames } from "../options/names.ts";
import { BACKOFF_OPTIONS, type BackoffOptions, DEFAULT_BACKOFF } from "../reconnecting/core/backoff.ts";
import type { LoopSettings } from "../reconnecting/core/reconnect-loop.ts";
import { OUTBOX_OPTIONS, type OutboxOptions } from "../reconnecting/core/outbox.ts";
import type { Provided } from "../reconnecting/core/provide.ts";
import type { Ending } from "../reconnecting/core/types.ts";
import { systemTimers, type Timers } from "../schedule/timers.ts";
import type { LinkSettings } from "./link.ts";
import type { HeartbeatOptions } from "./heartbeat.ts";
import { payloadOf } from "../platform/payload.ts";
import { platform, type PlatformWebSocketClass } from "./platform.ts";

/** Options of `reconnecting` in a browser. */
export interface ReconnectOptions {
  /**
   * Subprotocols to offer, most wanted first, or a function that returns them for an attempt.
   * Default: none.
   */
  readonly protocols?: Provided<string | readonly string[]>;
  /** Time limit in ms for the functions of `url` and `protocols`. Default 10,000. */
  readonly providerTimeout?: number;
  /** Time limit of an attempt in ms. Default 10,000. */
  readonly timeout?: number;
  /** Time limit of the closing handshake in ms. Default 5,000. */
  readonly closeTimeout?: number;
  /** Options of the waits between attempts. */
  readonly backoff?: Partial<BackoffOptions>;
  /**
   * Called after each connection and each failed attempt, with the number of the attempt. Returns
   * true to connect again, false to stop, and undefined for the default, which stops after close
   * codes that another attempt would not change. Default: none.
   */
  readonly retry?: (ending: Ending, attempt: number) => boolean | undefined;
  /** Options of the outbox, which keeps messages while there is no connection. */
  readonly outbox?: Partial<OutboxOptions>;
  /** Bytes in the browser's buffer above which `write` returns false. Default 128 KiB. */
  readonly writeBufferSize?: number;
  /**
   * Limit of unread messages in bytes. A page cannot apply back pressure to the server: beyond the
   * limit, it ends with RECEIVE_QUEUE_FULL. Default 64 MiB.
   */
  readonly receiveQueueSize?: number;
  /**
   * Sends a message after a time without messages of the server, and connects again if the server
   * does not answer. Without it, the browser may take minutes to detect a lost connection. Default:
   * none.
   */
  readonly heartbeat?: Partial<HeartbeatOptions> & Pick<HeartbeatOptions, "message">;
  /**
   * Ends a wait, and sends the heartbeat, when the browser is online again, and when the page is
   * shown or continues after it was frozen. Default true.
   */
  readonly watchNetworks?: boolean;
  /** Aborting it ends the connection at once with CLOSED_BY_SIGNAL. */
  readonly signal?: AbortSignal;
  /** Returns numbers from 0 to just below 1, for the random waits. Default Math.random. */
  readonly random?: () => number;
  /** The WebSocket class. Default: that of the platform. */
  readonly WebSocket?: PlatformWebSocketClass;
}

const OPTIONS: OptionNames<ReconnectOptions> = {
  protocols: true,
  providerTimeout: true,
  timeout: true,
  closeTimeout: true,
  backoff: { ...BACKOFF_OPTIONS },
  retry: true,
  outbox: { ...OUTBOX_OPTIONS },
  writeBufferSize: true,
  receiveQueueSize: true,
  heartbeat: { interval: true, timeout: true, message: true },
  watchNetworks: true,
  signal: true,
  random: true,
  WebSocket: true,
};

/** The options, checked and complete. */
export interface BrowserSettings extends LoopSettings, LinkSettings {
  readonly url: Provided<string | URL>;
  readonly protocols: Provided<string | readonly string[]>;
  readonly providerTimeout: number;
  readonly timeout: number;
  readonly outbox: OutboxOptions;
  readonly writeBufferSize: number;
  readonly receiveQueueSize: number;
  readonly watchNetworks: boolean;
  readonly WebSocket: PlatformWebSocketClass;
  readonly clock: Timers;
}

const MAX = 2 ** 31 - 1; // ms, and bytes

/** Checks the options. Throws INVALID_ARGUMENT. */
export function browserSettings(url: Provided<string | URL>, given: ReconnectOptions): BrowserSettings {
  checkNames(given, OPTIONS, "");
  const { backoff, outbox, heartbeat, protocols = [], retry, random = Math.random, watchNetworks = true } = given;
  const { WebSocket = platform.WebSocket } = given;
  const { policy = "reject" } = outbox ?? {};
  check(typeof WebSocket === "function", "WebSocket must be a class");
  check(retry === undefined || typeof retry === "function", "retry must be a function");
  check(typeof random === "function", "random must be a function");
  check(typeof watchNetworks === "boolean", "watchNetworks must be true or false");
  check(POLICIES.includes(policy), `outbox.policy must be one of ${POLICIES.join(", ")}`);
  if (heartbeat !== undefined && typeof heartbeat.message !== "function") payloadOf(heartbeat.message);
  return {
    url,
    protocols,
    providerTimeout: whole(given, "providerTimeout", 10_000),
    timeout: whole(given, "timeout", 10_000),
    closeTimeout: whole(given, "closeTimeout", 5_000),
    backoff: {
      initialDelay: whole(backoff, "initialDelay", DEFAULT_BACKOFF.initialDelay),
      maxDelay: whole(backoff, "maxDelay", DEFAULT_BACKOFF.maxDelay),
      resetAfter: whole(backoff, "resetAfter", DEFAULT_BACKOFF.resetAfter),
    },
    retry,
    outbox: { size: whole(outbox, "size", 1024 * 1024, 0), policy },
    writeBufferSize: whole(given, "writeBufferSize", 128 * 1024, 0),
    receiveQueueSize: whole(given, "receiveQueueSize", 64 * 1024 * 1024, 0),
    heartbeat: heartbeat && {
      interval: whole(heartbeat, "interval", 25_000),
      timeout: whole(heartbeat, "timeout", 10_000),
      message: heartbeat.message,
    },
    watchNetworks,
    random,
    WebSocket,
    clock: systemTimers,
  };
}

const POLICIES: readonly string[] = ["reject", "drop-oldest", "wait"] satisfies OutboxOptions["policy"][];

/** Returns an option that is a number of ms or bytes, checked: an integer from `least`. */
function whole<K extends string>(
  given: { readonly [N in K]?: number } | undefined,
  name: K,
  otherwise: number,
  least = 1,
): number {
  const value = given?.[name] ?? otherwise;
  check(
    Number.isInteger(value) && value >= least && value <= MAX,
    `${name} must be an integer from ${least} to ${MAX}`,
    value,
  );
  return value;
}

function check(right: boolean, expected: string, got?: number): asserts right {
  if (!right)
    throw argumentError(
      got === undefined ? TypeError : RangeError,
      got === undefined ? expected : `${expected}, got ${String(got)}`,
    );
}

/** Throws INVALID_ARGUMENT for an unknown option: a misspelled limit would have no effect. */
function checkNames(given: object, names: object, prefix: string): void {
  for (const [name, value] of Object.entries(given) as [string, unknown][]) {
    const known: unknown = Object.hasOwn(names, name) && Reflect.get(names, name);
    check(known !== false, `unknown option ${prefix}${name}: the options are ${Object.keys(names).join(", ")}`);
    if (known !== true) checkNames(Object(value), Object(known), `${name}.`);
  }
}
