import { checkConnect } from "@tungstate/protocol";
import type { Server as HttpServer } from "node:http";
import {
  createServer,
  type Http2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import { pairsOf } from "../../http2/fields.ts";
import type { Clock } from "../../schedule/clock.ts";
import type { Arrivals } from "../door/arrivals.ts";
import { serverError } from "../errors.ts";
import { DEFAULT_MAX_CONCURRENT_STREAMS } from "./announce.ts";
import { refuseStream } from "./responder.ts";
import { watchSession } from "./session-watch.ts";

const IDLE_TIMEOUT = 60_000; // ms of a session without streams
const LINGER = 1_000; // ms for a client to close its end of an ended session
/** Bytes that one stream may have in the queue of its session: a batch of its transport. */
const QUEUED_BY_STREAM = 64 * 1024;
/** Megabytes of the tables of a session, as node:http2 allows by default for everything. */
const SESSION_MEMORY = 10;

/** Options of HTTP/2 on a port of `listen`. */
export interface Http2Options {
  /** Streams that a client may have open in one connection. Default 1,000. */
  readonly maxConcurrentStreams?: number;
}

/** The HTTP/2 sessions of our ports. */
export class Http2Backend {
  /** Turns sockets into sessions. It never listens. */
  readonly server: Http2Server;
  private readonly sessions = new Map<Http2Session, Socket>();
  /** Open streams of WebSockets, by session. */
  private readonly webSockets = new Map<Http2Session, number>();
  private terminated = false;
  private readonly arrivals: Arrivals;
  private readonly clock: Clock;
  private readonly detach: () => void;
  private empty: (() => void) | undefined;
  private closed: Promise<void> | undefined;

  /**
   * `http` gets the requests that are not for a WebSocket; without it they are refused. `attach`
   * routes the handshakes, and returns a function that ends that.
   */
  constructor(
    arrivals: Arrivals,
    http: HttpServer | HttpsServer | undefined,
    { maxConcurrentStreams = DEFAULT_MAX_CONCURRENT_STREAMS }: Http2Options,
    attach: (server: Http2Server, maxConcurrentStreams: number) => () => void,
  ) {
    this.arrivals = arrivals;
    this.clock = arrivals.settings.clock;
    const maxSessionMemory = SESSION_MEMORY + Math.ceil((maxConcurrentStreams * QUEUED_BY_STREAM) / 1_000_000);
    const server = (this.server = createServer({ maxSessionMemory }));
    server.on("session", (session) => this.begin(session));
    server.on("sessionError", ignore); // its session ends
    if (http === undefined)
      server.on("stream", (stream: ServerHttp2Stream, _: unknown, __: unknown, rawHeaders: readonly string[]) =>
        this.refuse(stream, rawHeaders),
      );
    else {
      server.on("request", (request, response) => {
        // applications of HTTP/1.1 look for the host there (RFC 9113 §8.3.1)
        request.headers.host ??= request.headers[":authority"];
        http.emit("request", request, response);
      });
    }
    this.detach = attach(server, maxConcurrentStreams);
  }

  /** Takes a socket whose client has agreed on HTTP/2. */
  open(socket: Socket): void {
    this.opening = socket;
    this.server.emit("connection", socket);
    this.opening = undefined;
  }

  private opening: Socket | undefined;

  private begin(session: Http2Session): void {
    const socket = this.opening;
    if (socket === undefined) return;
    this.sessions.set(session, socket);
    watchSession(session, this.arrivals.settings);
    session.once("close", () => {
      this.sessions.delete(session);
      if (this.sessions.size === 0) this.empty?.();
    });
    let open = 0;
    session.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      open++;
      stream.once("close", () => open--);
      if (headers[":protocol"] === "websocket") this.countWebSocket(session, socket, stream);
    });
    session.setTimeout(IDLE_TIMEOUT, () => {
      if (open > 0) return;
      session.close();
      this.clock.after(LINGER, () => session.destroy());
    });
    // node:http2 waits for the end of the other half without a limit
    socket.once("finish", () =>
      socket.once(
        "close",
        this.clock.after(LINGER, () => socket.destroy()),
      ),
    );
    if (this.closed !== undefined) session.close();
  }

  private countWebSocket(session: Http2Session, socket: Socket, stream: ServerHttp2Stream): void {
    this.webSockets.set(session, (this.webSockets.get(session) ?? 0) + 1);
    stream.once("close", () => {
      const left = (this.webSockets.get(session) ?? 1) - 1;
      if (left > 0) {
        this.webSockets.set(session, left);
        return;
      }
      this.webSockets.delete(session);
      // without other streams, the session ends when everything is written
      if (this.terminated) this.clock.after(LINGER, () => socket.destroy());
    });
  }

  private refuse(stream: ServerHttp2Stream, rawHeaders: readonly string[]): void {
    const { session } = stream;
    stream.on("error", ignore);
    if (session === undefined || stream.closed) return;
    const checked = checkConnect(pairsOf(rawHeaders));
    const error = checked instanceof Error ? checked : serverError("PATH_NOT_FOUND");
    refuseStream(stream, session, error, this.arrivals);
  }

  /** Opens no new streams: sends GOAWAY. Resolves when all sessions have ended. */
  close(): Promise<void> {
    for (const session of this.sessions.keys()) session.close();
    return (this.closed ??= this.drain());
  }

  private async drain(): Promise<void> {
    if (this.sessions.size > 0) await new Promise<void>((resolve) => (this.empty = resolve));
    this.detach();
  }

  /**
   * Destroys all sessions or, with `all` false, those without WebSockets. The WebSockets of the
   * others end in time by themselves, and these sessions are destroyed after them.
   */
  terminate(all = true): void {
    this.terminated = true;
    for (const [session, socket] of this.sessions) if (all || !this.webSockets.has(session)) socket.destroy();
  }
}

const ignore = (): void => undefined;
