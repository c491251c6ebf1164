import type * as Http2 from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { abortedError, connectError, type Tried } from "../../errors.ts";
import { abortable } from "../../schedule/abortable.ts";
import type { Clock } from "../../schedule/clock.ts";
import { tlsFailure } from "../../tls/failures.ts";
import type { Route } from "../../transport/route.ts";
import type { TlsInfo } from "../../transport/tls-info.ts";
import { CANCEL } from "../error-codes.ts";
import { loadHttp2 } from "../load.ts";
import { sharedSession } from "../session.ts";

/** A byte stream to a server, opened for HTTP/2 or for both versions. */
export interface OpenedStream {
  readonly stream: Duplex;
  /** The socket below TLS and below what the application has wrapped around it. */
  readonly socket: Socket;
  readonly route: Route;
  /** Undefined without TLS. */
  readonly tls: TlsInfo | undefined;
  /** Describes it for errors. */
  readonly tried: Tried;
}

/** Limits of the head of a response. */
export interface ResponseLimits {
  /** In bytes, as in SETTINGS_MAX_HEADER_LIST_SIZE. */
  readonly maxHeadSize: number;
  readonly maxHeaders: number;
}

/**
 * Bytes that the server may send on one stream before the client has read any: what a paused
 * connection holds at most in node:http2, beside its receive queue. With 256 KiB, one connection
 * receives up to 5 MB/s at a round-trip time of 50 ms.
 */
const STREAM_WINDOW = 256 * 1024;

/**
 * Bytes that the server may send on all streams of a session in one round-trip time. node:http2
 * gives them back as they arrive, whether or not a stream is read, so this is no bound of memory.
 */
const SESSION_WINDOW = 4 * 1024 * 1024;

/**
 * Most origins that a server may announce in ORIGIN frames (RFC 8336). Node.js keeps them all, and
 * this client uses none.
 */
const MAX_ORIGINS = 1_000;

/** Time for the GOAWAY of a session that ends, in ms. */
const GOAWAY_TIME = 1_000;

/** What `openSession` needs. */
export interface OpenSettings {
  readonly clock: Clock;
  /** Time limit for the SETTINGS of the server in ms. */
  readonly timeout: number;
  readonly limits: ResponseLimits;
  /** Time in ms until a session without streams is closed. */
  readonly idleTimeout: number;
}

/**
 * One HTTP/2 session of a client (RFC 9113), and the streams that are open on it. It keeps the
 * process alive only while it has streams.
 */
export class ClientSession {
  readonly opened: OpenedStream;
  /** The session of node:http2. */
  readonly session: ClientHttp2Session;
  readonly limits: ResponseLimits;
  private readonly clock: Clock;
  private readonly idleTimeout: number;
  private streams = 0;
  /** Takes no new streams. */
  private retired = false;
  private origins = 0;
  /** Whether node:http2 has read the bytes that came before the session. */
  private begun = false;
  /** Whether `end` was called before that. */
  private endDue = false;
  private cancelIdle: (() => void) | undefined;
  private readonly waiting = new Set<() => void>();
  /** Why the session ended, if not in order. */
  cause: NodeJS.ErrnoException | undefined;
  /** Called once, when it takes no more streams. */
  onRetired: (() => void) | undefined;

  constructor(http2: typeof Http2, opened: OpenedStream, { clock, limits, idleTimeout }: OpenSettings) {
    this.opened = opened;
    this.limits = limits;
    this.clock = clock;
    this.idleTimeout = idleTimeout;
    // the authority serves for requests without one, and ours have one
    const session = http2.connect("http://localhost", {
      createConnection: () => opened.stream,
      // for memory; the handshake counts exactly
      maxHeaderListPairs: limits.maxHeaders + 100,
      settings: {
        enablePush: false,
        initialWindowSize: STREAM_WINDOW,
        maxHeaderListSize: limits.maxHeadSize,
      },
    });
    this.session = session;
    session.once("connect", () => {
      // the event comes after the end of the session, too
      if (!session.destroyed) session.setLocalWindowSize(SESSION_WINDOW);
    });
    // node:http2 passes bytes that came before to the session in the next tick, without a check
    // that the session still exists
    process.nextTick(() => {
      this.begun = true;
      if (this.endDue) this.end();
    });
    session.on("error", (error: NodeJS.ErrnoException) => {
      this.cause ??= error;
      this.retire();
    });
    session.on("close", () => {
      this.retire();
      opened.socket.destroy(); // of a stream that the application has wrapped, too
    });
    // RFC 9113 §6.8: "Receivers of a GOAWAY frame MUST NOT open additional streams on the
    // connection"
    session.on("goaway", () => this.retire());
    session.on("remoteSettings", () => this.changed());
    // a server may push until it has read our SETTINGS
    session.on("stream", (pushed) => pushed.on("error", ignore).close(CANCEL));
    session.on("origin", (origins: readonly string[]) => {
      this.origins += origins.length;
      if (this.origins > MAX_ORIGINS)
        session.destroy(new Error(`the server announces more than ${MAX_ORIGINS} origins`));
    });
  }

  /** Number of the session in this process. */
  get number(): number {
    return sharedSession(this.session).number;
  }

  /** Whether the server has enabled extended CONNECT (RFC 8441 §3). */
  get hasExtendedConnect(): boolean {
    return this.session.remoteSettings.enableConnectProtocol === true;
  }

  /** Streams that the server allows at a time (SETTINGS_MAX_CONCURRENT_STREAMS). */
  get limit(): number {
    return this.retired ? 0 : (this.session.remoteSettings.maxConcurrentStreams ?? Infinity);
  }

  get isRetired(): boolean {
    return this.retired;
  }

  get hasRoom(): boolean {
    return this.streams < this.limit;
  }

  /** Opens a stream. Throws what node:http2 does; the session is retired if it can open no more. */
  request(fields: OutgoingHttpHeaders): ClientHttp2Stream {
    const { session } = this;
    const stream = session.request(fields, { endStream: false });
    this.streams++;
    this.cancelIdle?.();
    this.cancelIdle = undefined;
    this.keepsProcess(true);
    stream.on("error", ignore);
    stream.once("close", () => {
      this.streams--;
      if (this.streams === 0) this.beIdle();
      this.changed();
    });
    return stream;
  }

  /** Calls back once when there may be room: other settings, a closed stream, or the end. */
  onChange(callback: () => void): () => void {
    this.waiting.add(callback);
    return () => this.waiting.delete(callback);
  }

  /** Opens no more streams. The session ends with its last one. */
  retire(): void {
    if (this.retired) return;
    this.retired = true;
    this.onRetired?.();
    this.changed();
    if (this.streams === 0) this.end();
  }

  /** The session has no stream. */
  beIdle(): void {
    this.keepsProcess(false);
    if (this.retired) this.end();
    else this.cancelIdle = this.clock.after(this.idleTimeout, () => this.retire(), true);
  }

  /** Ends the session with GOAWAY, whether or not the server reads it. */
  end(): void {
    this.retire();
    this.cancelIdle?.();
    if (!this.begun) {
      this.endDue = true;
      return;
    }
    const { socket } = this.opened;
    this.session.destroy();
    if (socket.destroyed) return;
    const cancel = this.clock.after(GOAWAY_TIME, () => socket.destroy(), true);
    socket.once("close", cancel);
  }

  private keepsProcess(on: boolean): void {
    const { session, opened } = this;
    for (const each of session.destroyed ? [opened.socket] : [session, opened.socket]) {
      if (on) each.ref();
      else each.unref();
    }
  }

  private changed(): void {
    const callbacks = [...this.waiting];
    this.waiting.clear();
    for (const callback of callbacks) callback();
  }
}

/**
 * Starts HTTP/2 on a stream and waits for the SETTINGS of the server, which say whether extended
 * CONNECT is enabled. Rejects with SETTINGS_TIMEOUT, HTTP2_NOT_SUPPORTED if what comes is not
 * HTTP/2, HANDSHAKE_CLOSED or the reason of the signal; the stream is destroyed then.
 */
export async function openSession(
  opened: OpenedStream,
  settings: OpenSettings,
  signal: AbortSignal,
): Promise<ClientSession> {
  const { tried } = opened;
  const http2 = await loadHttp2();
  if (signal.aborted || opened.stream.destroyed) {
    opened.socket.destroy();
    if (signal.aborted) throw abortedError(signal, { step: "settings", tried });
    throw lostBeforeSettings(undefined, tried);
  }
  const client = new ClientSession(http2, opened, settings);
  const { session } = client;
  try {
    await abortable<void>(
      signal,
      (resolve, reject) => {
        const cancelTimer = settings.clock.after(settings.timeout, () => {
          stop();
          reject(connectError("SETTINGS_TIMEOUT", `${settings.timeout} ms`, { tried }));
        });
        const onSettings = (): void => {
          stop();
          resolve();
        };
        const onClose = (): void => {
          stop();
          reject(lostBeforeSettings(client.cause, tried));
        };
        const stop = (): void => {
          cancelTimer();
          session.off("remoteSettings", onSettings);
          session.off("close", onClose);
        };
        session.on("remoteSettings", onSettings);
        session.on("close", onClose);
        return stop;
      },
      { step: "settings", tried },
    );
    return client;
  } catch (error) {
    client.retire();
    opened.socket.destroy();
    throw error;
  }
}

function lostBeforeSettings(cause: NodeJS.ErrnoException | undefined, tried: Tried): Error {
  // with TLS 1.3, the alert for a client certificate arrives here
  if (cause?.code?.startsWith("ERR_SSL_") === true) return tlsFailure(cause, tried);
  // RFC 9113 §3.4: the first frame of the server is SETTINGS
  if (cause?.code === "ERR_HTTP2_ERROR") {
    return connectError("HTTP2_NOT_SUPPORTED", "what came is not HTTP/2", { step: "settings", cause, tried });
  }
  return connectError("HANDSHAKE_CLOSED", cause?.message, { step: "settings", cause, tried });
}

function ignore(): void {
  // "close" reports it
}
