import { CLOSE_CODE, type HeaderInput, WebSocketError } from "@tungstate/protocol";
import { connectByRoutes } from "../client/connect.ts";
import { Routes } from "../dial/routes.ts";
import type { CloseInfo, WebSocketConnection } from "../connection/types.ts";
import { Backoff, type Hint } from "./backoff.ts";
import { reconnectingError } from "./errors.ts";
import { type Networks, networksOf } from "./networks.ts";
import type { Connector, ReconnectSettings } from "./options.ts";
import { type Pause, pause } from "./pause.ts";
import { provide } from "./provide.ts";
import type { Attempt, Ending, Gap, Waiting } from "./types.ts";
import { canSetUserTimeout } from "./user-timeout.ts";
import { AGAIN, givenUp, classifyClose, refusesCredentials, type RetryDecision } from "./classify-close.ts";

/** Notifications of the loop. */
export interface ReconnectLoopHost {
  onConnecting(attempt: Pick<Attempt, "attempt" | "after">): void;
  onOpen(connection: WebSocketConnection, gap: Gap | undefined): void;
  /** Returns how many messages the connection had not handed to its byte stream. */
  onLost(connection: WebSocketConnection): number;
  onWaiting(waiting: Waiting): void;
  /** There will be no other connection. */
  onEnd(info: CloseInfo): void;
}

/** The environment of the loop, replaced by tests. */
export interface Surroundings {
  readonly networks?: Networks;
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number;
}

/** How it ends when no connection was open. */
export const NEVER_OPEN = { code: CLOSE_CODE.ABNORMAL, reason: "", clean: false } as const;

/**
 * Minimum time in ms between two attempts that network changes start: interfaces may come and go
 * all the time.
 */
const LEAST_BETWEEN = 1_000; // ms

/** The reconnect loop: attempts, the waits between them, and when to give up. */
export class ReconnectLoop {
  private readonly settings: ReconnectSettings;
  private readonly host: ReconnectLoopHost;
  private readonly networks: Networks;
  private readonly wallClock: () => number;
  private readonly connect: Connector;
  private readonly routes: Routes;
  private readonly backoff: Backoff;
  private readonly life = new AbortController();
  private waiting: { readonly pause: Pause; readonly hint: Hint } | undefined;
  private last = false;
  /** The last connection, while there is none. */
  private lost: { readonly info: CloseInfo; readonly at: number; readonly unsent: number } | undefined;
  private attempts = 0;
  private begunAt = 0;
  /** Whether an attempt with other credentials was made since they were refused. */
  private refreshed = false;
  private userTimeout: Promise<boolean> | undefined;

  constructor(settings: ReconnectSettings, host: ReconnectLoopHost, surroundings: Surroundings) {
    this.settings = settings;
    this.host = host;
    this.networks = surroundings.networks ?? networksOf(settings.clock);
    this.wallClock = surroundings.wallClock ?? Date.now;
    this.routes = new Routes(settings.options);
    this.connect = settings.connect ?? ((url, options) => connectByRoutes(url, options, this.routes));
    this.backoff = new Backoff(settings.backoff, settings.random);
  }

  /**
   * Connects again and again until it gives up or `abort` is called. Rejects if a function of the
   * application throws.
   */
  async run(): Promise<void> {
    const { signal } = this.life;
    let after: Ending | undefined;
    while (!signal.aborted) {
      const made = await this.attempt(after);
      let openFor: number | undefined;
      if (made instanceof WebSocketError) after = { type: "failed", error: made };
      else if (signal.aborted) made.terminate();
      else {
        const begun = this.settings.clock.now();
        after = { type: "closed", info: await this.serve(made) };
        openFor = this.settings.clock.now() - begun;
      }
      if (signal.aborted || after === undefined) return;
      const decision = this.classifyClose(after);
      if (!decision.again) {
        this.host.onEnd(endOf(after, decision.error));
        return;
      }
      await this.wait(after, decision.hint, openFor);
    }
  }

  /** Makes the current connection the last one. */
  endAfterThis(): void {
    this.last = true;
  }

  /** Ends what is under way, without further notifications. */
  abort(reason: unknown): void {
    this.life.abort(reason);
    this.waiting?.pause.end();
  }

  retryNow(): void {
    this.waiting?.pause.hurry(this.waiting.hint.notBefore);
  }

  private async attempt(after: Ending | undefined): Promise<WebSocketConnection | WebSocketError> {
    const { settings, host } = this;
    const { signal } = this.life;
    const attempt = this.backoff.attempt;
    this.begunAt = settings.clock.now();
    this.attempts++;
    host.onConnecting({ attempt, after });
    try {
      const [url, headers, protocols] = await provide<[string | URL, HeaderInput, string | readonly string[]]>(
        [settings.url, settings.headers, settings.protocols],
        { attempt, after, signal },
        settings.clock,
        settings.providerTimeout,
      );
      let { options } = settings;
      if (options.tcpUserTimeout !== undefined && !(await (this.userTimeout ??= canSetUserTimeout()))) {
        options = { ...options, tcpUserTimeout: undefined };
      }
      return await this.connect(url, { ...options, headers, protocols, signal });
    } catch (error) {
      if (error instanceof WebSocketError) return error;
      return reconnectingError("PROVIDER_FAILED", String(error), { cause: error });
    }
  }

  /** Waits from the opening of a connection to its end. */
  private async serve(connection: WebSocketConnection): Promise<CloseInfo> {
    const { clock } = this.settings;
    const { lost, attempts } = this;
    this.refreshed = false;
    this.attempts = 0;
    this.host.onOpen(
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
    this.lost = { info, at: clock.now(), unsent: this.host.onLost(connection) };
    if (info.error?.fault === "transport") this.routes.failed(connection.route?.interface);
    return info;
  }

  private classifyClose(ending: Ending): RetryDecision {
    if (this.last) return { again: false, error: undefined };
    const { url, headers, protocols, backoff, retry } = this.settings;
    const mayRefresh = [url, headers, protocols].some((each) => typeof each === "function") && !this.refreshed;
    const decision = classifyClose(ending, { maxDelay: backoff.maxDelay, mayRefresh, now: this.wallClock() });
    if (refusesCredentials(ending)) this.refreshed = true;
    const wish = retry?.(ending, this.backoff.attempt);
    if (wish === undefined || wish === decision.again) return decision;
    return wish ? AGAIN : givenUp(ending);
  }

  private async wait(after: Ending, hint: Hint, openFor: number | undefined): Promise<void> {
    const { settings, networks } = this;
    const { clock, watchNetworks } = settings;
    const delay = this.backoff.next(openFor, hint);
    const wait = pause(clock, delay);
    this.waiting = { pause: wait, hint };
    const earliest = Math.max(hint.notBefore, this.begunAt + LEAST_BETWEEN - clock.now());
    const unwatch = watchNetworks ? networks.watch(settings.interfaces, () => wait.hurry(earliest)) : undefined;
    this.host.onWaiting({ delay, after, attempt: this.backoff.attempt, offline: watchNetworks && networks.offline });
    await wait.over;
    unwatch?.();
    this.waiting = undefined;
  }
}

/** Returns the final close information. */
function endOf(ending: Ending, error: WebSocketError | undefined): CloseInfo {
  if (ending.type === "failed") return { ...NEVER_OPEN, error: error ?? ending.error };
  return { ...ending.info, error: ending.info.error ?? error };
}
