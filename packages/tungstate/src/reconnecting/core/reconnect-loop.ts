import { CLOSE_CODE, WebSocketError } from "@tungstate/protocol";
import { isArgumentError } from "@tungstate/protocol/internal";
import type { CloseInfo } from "../../connection/types.ts";
import type { Timers } from "../../schedule/timers.ts";
import { Backoff, type BackoffOptions, type Hint } from "./backoff.ts";
import { AGAIN, classifyCloseInfo, givenUp, type RetryDecision } from "./close-decision.ts";
import { reconnectingError } from "./errors.ts";
import { type Pause, pause } from "./pause.ts";
import type { Attempt, Ending, Gap, Waiting } from "./types.ts";

export interface LoopSettings {
  readonly backoff: BackoffOptions;
  /** Overrules the default decision: see the option `retry`. */
  readonly retry: ((ending: Ending, attempt: number) => boolean | undefined) | undefined;
  /** Returns numbers from 0 to just below 1. */
  readonly random: () => number;
  readonly clock: Timers;
}

/** Connects on one platform, and knows what its failures mean. `C` is the platform's connection. */
export interface Connecting<C> {
  /** Whether an attempt after refused credentials can have others. */
  readonly mayRefresh: boolean;
  /** The network, if its changes end a wait. */
  readonly network: Network | undefined;
  /**
   * Whether a wait without a network is the longest one: the platform reports when the network is
   * back.
   */
  readonly waitsOffline: boolean;
  /**
   * Makes one attempt. Rejects with a WebSocketError, or with what a function of the application
   * threw.
   */
  connect(attempt: Attempt): Promise<C>;
  /** Classifies a failed attempt. */
  classifyFailure(error: WebSocketError, mayRefresh: boolean): RetryDecision;
  /** Returns whether an attempt failed because the credentials were refused. */
  refusesCredentials(error: WebSocketError): boolean;
  /** An open connection was lost by a failure of the network. */
  lost?(connection: C): void;
}

/** The network of this machine. */
export interface Network {
  /** Whether there is none but loopback. */
  readonly offline: boolean;
  /** Calls `onGain` when another route may be there. Returns a function that ends it. */
  watch(onGain: () => void): () => void;
}

/** Notifications of the loop. `C` is the platform's connection. */
export interface ReconnectLoopHost<C> {
  onConnecting(attempt: Pick<Attempt, "attempt" | "after">): void;
  onOpen(connection: C, gap: Gap | undefined): void;
  /** Returns how many messages the connection had not handed to its byte stream. */
  onLost(connection: C): number;
  onWaiting(waiting: Waiting): void;
  /** There will be no other connection. */
  onEnd(info: CloseInfo): void;
}

/** How it ends when no connection was open. */
export const NEVER_OPEN = { code: CLOSE_CODE.ABNORMAL, reason: "", clean: false } as const;

/**
 * Minimum time in ms between two attempts that network changes start: interfaces may come and go
 * all the time.
 */
const LEAST_BETWEEN = 1_000; // ms

/** The reconnect loop: attempts, the waits between them, and when to give up. */
export class ReconnectLoop<C extends { readonly closed: Promise<CloseInfo>; terminate(): void }> {
  readonly #settings: LoopSettings;
  readonly #connecting: Connecting<C>;
  readonly #host: ReconnectLoopHost<C>;
  readonly #backoff: Backoff;
  readonly #life = new AbortController();
  #waiting: { readonly pause: Pause; readonly hint: Hint } | undefined;
  #last = false;
  /** The last connection, while there is none. */
  #lost: { readonly info: CloseInfo; readonly at: number; readonly unsent: number } | undefined;
  #attempts = 0;
  #begunAt = 0;
  /** Whether an attempt with other credentials was made since they were refused. */
  #refreshed = false;

  constructor(settings: LoopSettings, connecting: Connecting<C>, host: ReconnectLoopHost<C>) {
    this.#settings = settings;
    this.#connecting = connecting;
    this.#host = host;
    this.#backoff = new Backoff(settings.backoff, settings.random);
  }

  /**
   * Connects again and again until it gives up or `abort` is called. Rejects if a function of the
   * application throws.
   */
  async run(): Promise<void> {
    const { signal } = this.#life;
    let after: Ending | undefined;
    while (!signal.aborted) {
      const made = await this.#attempt(after);
      let openFor: number | undefined;
      if (made instanceof WebSocketError) after = { type: "failed", error: made };
      else if (signal.aborted) made.terminate();
      else {
        const begun = this.#settings.clock.now();
        after = { type: "closed", info: await this.#serve(made) };
        openFor = this.#settings.clock.now() - begun;
      }
      if (signal.aborted || after === undefined) return;
      const decision = this.#classify(after);
      if (!decision.again) {
        this.#host.onEnd(endOf(after, decision.error));
        return;
      }
      await this.#wait(after, decision.hint, openFor);
    }
  }

  /** Makes the current connection the last one. */
  endAfterThis(): void {
    this.#last = true;
  }

  /** Ends what is under way, without further notifications. */
  abort(reason: unknown): void {
    this.#life.abort(reason);
    this.#waiting?.pause.end();
  }

  retryNow(): void {
    this.#waiting?.pause.hurry(this.#waiting.hint.notBefore);
  }

  async #attempt(after: Ending | undefined): Promise<C | WebSocketError> {
    const settings = this.#settings;
    const host = this.#host;
    const { signal } = this.#life;
    const attempt = this.#backoff.attempt;
    this.#begunAt = settings.clock.now();
    this.#attempts++;
    host.onConnecting({ attempt, after });
    try {
      return await this.#connecting.connect({ attempt, after, signal });
    } catch (error) {
      if (error instanceof WebSocketError) return error;
      if (isArgumentError(error)) return reconnectingError("INVALID_OPTIONS", error.message, { cause: error });
      return reconnectingError("PROVIDER_FAILED", String(error), { cause: error });
    }
  }

  /** Waits from the opening of a connection to its end. */
  async #serve(connection: C): Promise<CloseInfo> {
    const { clock } = this.#settings;
    const lost = this.#lost;
    const attempts = this.#attempts;
    this.#refreshed = false;
    this.#attempts = 0;
    this.#host.onOpen(
      connection,
      lost && {
        type: "gap",
        lost: lost.info,
        duration: clock.now() - lost.at,
        attempts,
        unsent: lost.unsent,
        unread: 0,
      },
    );
    const info = await connection.closed;
    this.#lost = { info, at: clock.now(), unsent: this.#host.onLost(connection) };
    if (info.error?.fault === "transport") this.#connecting.lost?.(connection);
    return info;
  }

  #classify(ending: Ending): RetryDecision {
    if (this.#last) return { again: false, error: undefined };
    const { backoff, retry } = this.#settings;
    const decision =
      ending.type === "closed" ? classifyCloseInfo(ending.info, backoff.maxDelay) : this.#classifyFailure(ending.error);
    const wish = retry?.(ending, this.#backoff.attempt);
    if (wish === undefined || wish === decision.again) return decision;
    return wish ? AGAIN : givenUp(ending);
  }

  #classifyFailure(error: WebSocketError): RetryDecision {
    const connecting = this.#connecting;
    const decision = connecting.classifyFailure(error, connecting.mayRefresh && !this.#refreshed);
    if (connecting.refusesCredentials(error)) this.#refreshed = true;
    return decision;
  }

  async #wait(after: Ending, hint: Hint, openFor: number | undefined): Promise<void> {
    const { clock } = this.#settings;
    const { network } = this.#connecting;
    const { waitsOffline } = this.#connecting;
    const next = this.#backoff.next(openFor, hint);
    const offline = network?.offline === true;
    const delay = offline && waitsOffline ? Math.max(next, this.#settings.backoff.maxDelay) : next;
    const wait = pause(clock, delay);
    this.#waiting = { pause: wait, hint };
    const earliest = Math.max(hint.notBefore, this.#begunAt + LEAST_BETWEEN - clock.now());
    const unwatch = network?.watch(() => wait.hurry(earliest));
    this.#host.onWaiting({ delay, after, attempt: this.#backoff.attempt, offline });
    await wait.over;
    unwatch?.();
    this.#waiting = undefined;
  }
}

/** Returns the final close information. */
function endOf(ending: Ending, error: WebSocketError | undefined): CloseInfo {
  if (ending.type === "failed") return { ...NEVER_OPEN, error: error ?? ending.error };
  return { ...ending.info, error: ending.info.error ?? error };
}
