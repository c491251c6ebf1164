import type { Redis, RedisOptions as AllOptions } from "ioredis";
import { jittered, systemRandom } from "../schedule/jitter.ts";
import type { StoreMetrics } from "../metrics.ts";
import type { RedisSettings } from "./options.ts";
import { HubError } from "../errors.ts";

const FIRST_DELAY = 50; // ms until a lost connection is made again
const MAX_DELAY = 1_000; // ms
const MAX_READ_ONLY_DELAY = 5_000; // ms, where each connection leads to a replica
const RESET_AFTER = 5_000; // ms that a connection has to last for the delays to begin anew
const LOADING_PAUSE = 500; // ms between two questions whether the data has been loaded

/** Connection options of ioredis; replies have their RESP2 shapes. */
export type ConnectionOptions = Omit<AllOptions, "replyMapping">;

let client: typeof Redis | undefined;

/** Loads ioredis, an optional peer. Rejects if it is not installed. */
export async function loadClient(): Promise<void> {
  try {
    ({ Redis: client } = await import("ioredis"));
  } catch (error) {
    throw new HubError("PACKAGE_MISSING", "@tungstate/hub/redis needs the package ioredis: npm install ioredis", {
      cause: error,
    });
  }
}

export interface LinkContext {
  readonly settings: RedisSettings;
  readonly metrics: StoreMetrics;
}

export interface LinkEvents {
  /** It is connected, for the first time or again. */
  up(): void;
  /** It has lost its connection. */
  down?(): void;
  /** A server of a cluster no longer has a slot that was used. */
  moved?(): void;
}

/**
 * One connection to Redis that reconnects when it is lost. It never stays silent: a command is sent
 * at intervals, and the connection is dropped if there is no reply. Nothing is sent twice: a
 * command without a reply fails when the connection is lost.
 */
export class Link {
  readonly redis: Redis;
  readonly name: string;
  private readonly context: LinkContext;
  private readonly pings: NodeJS.Timeout;
  private lastError: Error | undefined;
  /** Rejects `open` while it waits. */
  private rejectOpen: ((error: Error) => void) | undefined;
  private hasBeenUp = false;
  /** Whether the server has loaded its data and has the expected role. */
  private isChecked = false;
  private checkedAt = 0;
  private attempts = 0;
  private isReadOnly = false;
  private isClosed = false;
  private isCorked = false;
  private nextUp: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /** `name` for messages, without credentials. */
  constructor(name: string, options: ConnectionOptions, context: LinkContext, events: LinkEvents) {
    const { timeout } = context.settings;
    this.name = name;
    this.context = context;
    if (client === undefined) throw new HubError("INVALID_STATE", "links are made when ioredis is loaded");
    this.redis = new client({
      ...options,
      lazyConnect: true,
      connectTimeout: timeout,
      socketTimeout: timeout, // counted from a command without an answer
      // it asks INFO, which a rule may forbid, and writes to the console where it does: `check`
      // asks instead
      enableReadyCheck: false,
      retryStrategy: () => this.nextDelay(),
      sentinelRetryStrategy: () => (this.hasBeenUp ? this.nextDelay() : null),
      sentinelCommandTimeout: timeout,
      // a second time could be one time too many
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      autoResubscribe: false,
      // a primary that has become a replica
      reconnectOnError: (error) => {
        if (!error.message.startsWith("READONLY")) return false;
        this.isReadOnly = true;
        return true;
      },
    });
    this.redis.on("error", (error: Error) => {
      // the first failure is the rejection of `open`
      if (this.lastError === undefined && this.rejectOpen === undefined)
        context.settings.onError(new HubError("STORE_UNAVAILABLE", `${name}: ${error.message}`));
      this.lastError = error;
    });
    this.redis.on("ready", () => void this.check(events, options.db ?? 0, "sentinels" in options));
    this.redis.on("close", () => {
      this.isChecked = false;
      if (this.isClosed || !this.hasBeenUp) return;
      if (this.lastError === undefined) {
        this.lastError = new HubError("STORE_UNAVAILABLE", "the connection was closed");
        context.settings.onError(new HubError("STORE_UNAVAILABLE", `${name}: ${this.lastError.message}`));
      }
      events.down?.();
    });
    this.redis.on("moved", () => events.moved?.());
    this.pings = setInterval(() => this.ping(), timeout / 2);
    this.pings.unref();
  }

  get isUp(): boolean {
    // the status changes shortly after the end of the stream
    return this.isChecked && this.redis.status === "ready" && this.redis.stream.writable;
  }

  /** Connects for the first time. Rejects if that fails; the link is closed then. */
  async open(): Promise<void> {
    const { timeout } = this.context.settings;
    let timer: NodeJS.Timeout | undefined;
    const failed = new Promise<never>((_, reject) => {
      this.rejectOpen = reject;
      timer = setTimeout(() => reject(new HubError("STORE_UNAVAILABLE", `no answer within ${timeout} ms`)), timeout);
    });
    const connected = this.redis.connect();
    try {
      await Promise.race([connected.then(() => this.whenUp()), failed]);
    } catch (error) {
      connected.catch(() => undefined);
      this.close();
      // the event of ioredis has more details than the rejection
      const { message } = this.lastError ?? (error instanceof Error ? error : new Error(String(error)));
      throw new HubError("STORE_UNUSABLE", `Redis at ${this.name} can't be used: ${message}`, { cause: error });
    } finally {
      this.rejectOpen = undefined;
      clearTimeout(timer);
    }
  }

  /** As `open`, for a server that may connect later. Does nothing while it is connecting. */
  openLater(): void {
    if (this.redis.status === "wait") this.redis.connect().catch(() => undefined);
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    clearInterval(this.pings);
    this.nextUp?.resolve();
    this.redis.disconnect();
  }

  /** The server is not a primary: reconnects, which may lead to the primary. */
  leaveReplica(): void {
    if (this.isReadOnly || !this.isUp) return;
    this.isReadOnly = true;
    this.redis.disconnect(true);
  }

  /** Resolves when it is connected, at the latest after the timeout. */
  whenUp(): Promise<void> {
    if (this.isUp || this.isClosed) return Promise.resolve();
    if (this.nextUp === undefined) {
      let wake = (): void => undefined;
      const promise = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const timer = setTimeout(wake, this.context.settings.timeout);
      timer.unref();
      this.nextUp = { promise, resolve: wake };
      void promise.then(() => {
        clearTimeout(timer);
        this.nextUp = undefined;
      });
    }
    return this.nextUp.promise;
  }

  /** Sends what is written until the end of this callback together. */
  cork(): void {
    if (this.isCorked || !this.isUp) return;
    const { stream } = this.redis;
    this.isCorked = true;
    stream.cork();
    process.nextTick(() => {
      this.isCorked = false;
      stream.uncork();
    });
  }

  /**
   * Checks a new connection: the server must have loaded its data, and the one that sentinels name
   * must be a primary. INFO tells both; PING tells the first to users who may not call INFO.
   */
  private async check(events: LinkEvents, database: number, isPrimary: boolean): Promise<void> {
    const { redis, context } = this;
    const { stream } = redis;
    const isCurrent = (): boolean => !this.isClosed && redis.status === "ready" && redis.stream === stream;
    // ioredis continues in database 0 if the server refuses another one
    const refusal = database === 0 ? undefined : await this.selectionFault(database);
    if (!isCurrent()) return;
    if (refusal !== undefined) {
      const isNews = this.lastError?.message !== refusal.message;
      this.lastError = refusal;
      if (this.rejectOpen !== undefined) {
        this.rejectOpen(refusal);
        return;
      }
      if (isNews) context.settings.onError(new HubError("STORE_REFUSED", `${this.name}: ${refusal.message}`));
      redis.disconnect(true);
      return;
    }
    for (;;) {
      const state = await this.stateOf(isPrimary);
      if (!isCurrent()) return;
      if (state === "not primary") {
        redis.disconnect(true);
        return;
      }
      if (state === "ready") break;
      await new Promise<void>((resolve) => void setTimeout(resolve, LOADING_PAUSE).unref());
      if (!isCurrent()) return;
    }
    if (this.hasBeenUp) context.metrics.reconnects++;
    this.hasBeenUp = true;
    this.isChecked = true;
    this.checkedAt = performance.now();
    this.lastError = undefined;
    this.nextUp?.resolve();
    events.up();
  }

  private async selectionFault(database: number): Promise<Error | undefined> {
    try {
      await this.redis.select(database);
      return undefined;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      return new HubError("STORE_UNUSABLE", `database ${database} cannot be selected: ${reason}`, { cause });
    }
  }

  private async stateOf(isPrimary: boolean): Promise<"ready" | "loading" | "not primary"> {
    try {
      const info = String(await this.redis.call("INFO"));
      if (/^loading:[1-9]/m.test(info)) return "loading";
      return isPrimary && /^role:(?!master)/m.test(info) ? "not primary" : "ready";
    } catch {
      // forbidden, or the connection is lost, which the caller notices
    }
    try {
      await this.redis.ping();
      return "ready";
    } catch (error) {
      return error instanceof Error && error.message.startsWith("LOADING") ? "loading" : "ready";
    }
  }

  /**
   * Returns the ms until the next attempt: longer each time, less a random part of up to a half, so
   * that nodes do not reconnect at the same time.
   */
  private nextDelay(): number {
    if (this.hasBeenUp && this.checkedAt > 0 && performance.now() - this.checkedAt >= RESET_AFTER && !this.isReadOnly) {
      this.attempts = 0;
    }
    this.checkedAt = 0;
    const longest = this.isReadOnly ? MAX_READ_ONLY_DELAY : MAX_DELAY;
    this.isReadOnly = false;
    return jittered(Math.min(longest, FIRST_DELAY * 2 ** Math.min(this.attempts++, 10)), systemRandom);
  }

  private ping(): void {
    if (this.isUp) this.redis.ping().catch(() => undefined); // the owner of the lost connection reports it
  }
}
