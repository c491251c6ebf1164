import type { ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import { connectError } from "../../errors.ts";
import { abortable } from "../../schedule/abortable.ts";
import type { Clock } from "../../schedule/clock.ts";
import { type ClientSession, openSession, type OpenedStream, type ResponseLimits } from "./client-session.ts";
import { FallbackMemory } from "./fallback-memory.ts";
import type { HandshakeTime } from "./handshake-time.ts";
import { type Made, Making, type MakingProgress } from "./making.ts";

/** What a connection wants from the pool. */
export interface Demand {
  /** Names the server and everything that a session to it depends on. */
  readonly key: string;
  /** `auto`: HTTP/1.1 if the server does not support WebSocket over HTTP/2. */
  readonly version: "2" | "auto";
  readonly signal: AbortSignal;
  readonly time: HandshakeTime;
  readonly limits: ResponseLimits;
  /** The fields of the request. */
  readonly fields: OutgoingHttpHeaders;
  /** A session that has refused the request before. */
  readonly refusedBy?: ClientSession | undefined;
  /** Opens a byte stream to the server. */
  open(signal: AbortSignal): Promise<OpenedStream>;
}

/** A stream of a session, or a server that has HTTP/1.1 only. */
export type Acquired =
  | { readonly version: "2"; readonly session: ClientSession; readonly stream: ClientHttp2Stream }
  | { readonly version: "1.1"; readonly opened: OpenedStream | undefined };

export interface PoolSettings {
  /** Time in ms until a session without streams is closed. */
  readonly idleTimeout: number;
  /** How long a server without WebSocket over HTTP/2 is remembered, in ms. */
  readonly fallbackTime: number;
  readonly maxFallbacks: number;
}

/** The HTTP/2 sessions of all clients with the same clock. */
export class SessionPool {
  private readonly clock: Clock;
  private readonly settings: PoolSettings;
  private readonly sessions = new Map<string, readonly ClientSession[]>();
  private readonly makings = new Map<string, readonly Making[]>();
  private readonly fallbacks: FallbackMemory;

  constructor(clock: Clock, settings: PoolSettings) {
    this.clock = clock;
    this.settings = settings;
    this.fallbacks = new FallbackMemory(clock, settings.fallbackTime, settings.maxFallbacks);
  }

  /** Sessions that take new streams. */
  get size(): number {
    let size = 0;
    for (const sessions of this.sessions.values()) size += sessions.length;
    return size;
  }

  /** Opens a stream on a session that has room, or on a new one. */
  async acquire(demand: Demand): Promise<Acquired> {
    const { key, version, signal, time } = demand;
    for (;;) {
      if (version === "auto" && this.fallbacks.has(key)) return { version: "1.1", opened: undefined };
      const sessions = (this.sessions.get(key) ?? []).filter((session) => session !== demand.refusedBy);
      const session = sessions.find(({ hasRoom }) => hasRoom);
      if (session !== undefined) {
        const stream = requestOn(session, demand.fields);
        if (stream !== undefined) return { version: "2", session, stream };
        continue; // it has ended meanwhile
      }
      // RFC 9113 §6.5.2: a server sets the limit to zero "for short durations"; it would do so for
      // another session as well
      const full = sessions.find(({ limit }) => limit === 0);
      if (full !== undefined) {
        await this.awaitRoom(full, demand);
        continue;
      }
      const making = this.join(demand);
      const joined = this.clock.now();
      const made = await making.wait(signal);
      const { settingsSince } = making.progress;
      if (settingsSince !== undefined) time.begin(Math.max(joined, settingsSince));
      if (made.version === "1.1") return { version: "1.1", opened: made.take() };
    }
  }

  /** Ends the sessions without streams; the others end with their last stream. */
  close(): void {
    for (const sessions of this.sessions.values()) for (const session of sessions) session.retire();
  }

  /** Returns an attempt that is expected to have room, or starts one. */
  private join(demand: Demand): Making {
    const { key, version } = demand;
    const capacity = this.sessions.get(key)?.at(-1)?.limit ?? Infinity;
    const makings = this.makings.get(key) ?? [];
    const known = makings.find((each) => each.version === version && !each.isGivenUp && each.waiting < capacity);
    if (known !== undefined) return known;
    const making: Making = new Making(version, (signal, progress) =>
      this.make(demand, signal, progress).finally(() => {
        const others = (this.makings.get(key) ?? []).filter((each) => each !== making);
        if (others.length === 0) this.makings.delete(key);
        else this.makings.set(key, others);
      }),
    );
    this.makings.set(key, [...makings, making]);
    return making;
  }

  private async make(demand: Demand, signal: AbortSignal, progress: MakingProgress): Promise<Made> {
    const { key, version, limits, time } = demand;
    const { clock } = this;
    const opened = await demand.open(signal);
    if (opened.tls !== undefined && opened.tls.alpn !== "h2") return this.fallBack(key, opened);
    progress.step = "settings";
    progress.tried = opened.tried;
    progress.settingsSince = clock.now();
    const { idleTimeout } = this.settings;
    const session = await openSession(opened, { clock, limits, idleTimeout, timeout: time.timeout }, signal);
    if (!session.hasExtendedConnect) {
      session.end();
      if (version === "auto") return this.fallBack(key, undefined);
      throw connectError("EXTENDED_CONNECT_DISABLED", "SETTINGS_ENABLE_CONNECT_PROTOCOL is not 1", {
        tried: opened.tried,
      });
    }
    session.onRetired = () => this.remove(key, session);
    if (!session.isRetired) this.sessions.set(key, [...(this.sessions.get(key) ?? []), session]);
    session.beIdle();
    return { version: "2", session };
  }

  private fallBack(key: string, opened: OpenedStream | undefined): Made {
    this.fallbacks.add(key);
    let left = opened;
    return {
      version: "1.1",
      take: () => {
        const taken = left;
        left = undefined;
        return taken;
      },
    };
  }

  private remove(key: string, session: ClientSession): void {
    const others = (this.sessions.get(key) ?? []).filter((each) => each !== session);
    if (others.length === 0) this.sessions.delete(key);
    else this.sessions.set(key, others);
  }

  /** Waits for other settings of a session, for the rest of the time of the handshake. */
  private async awaitRoom(session: ClientSession, { signal, time }: Demand): Promise<void> {
    const { tried } = session.opened;
    time.begin(this.clock.now());
    await abortable<void>(
      signal,
      (resolve, reject) => {
        const forget = session.onChange(() => {
          cancelTimer();
          resolve();
        });
        const cancelTimer = this.clock.after(time.left, () => {
          forget();
          const detail = `SETTINGS_MAX_CONCURRENT_STREAMS is 0 after ${time.timeout} ms`;
          reject(connectError("STREAM_LIMIT", detail, { tried }));
        });
        return () => {
          forget();
          cancelTimer();
        };
      },
      { step: "handshake", tried },
    );
  }
}

/** Undefined if the session opens no more streams. */
function requestOn(session: ClientSession, fields: OutgoingHttpHeaders): ClientHttp2Stream | undefined {
  try {
    return session.request(fields);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!ENDED.has(code)) throw error;
    session.retire();
    return undefined;
  }
}

/** Codes of node:http2 for a session that opens no more streams. */
const ENDED: ReadonlySet<string> = new Set([
  "ERR_HTTP2_INVALID_SESSION",
  "ERR_HTTP2_GOAWAY_SESSION",
  "ERR_HTTP2_OUT_OF_STREAMS",
]);
