import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Logger } from "pino";
import { type OriginPolicy, type WebSocketConnection, WebSocketServer } from "tungstate";
import type { HubOptions } from "./hub-options.ts";
import { HUB_PATH, startHub } from "./hub.ts";
import { Live } from "./live.ts";
import { createMetrics } from "./metrics.ts";
import { loadPage, servePage } from "./page.ts";

export interface AppOptions {
  readonly host: string;
  readonly port: number;
  readonly log: Logger;
  /** Pages that may connect beside our own; "any" among them: all. */
  readonly origins?: readonly string[];
  readonly maxConnections?: number;
  /** permessage-deflate, with the clients that offer it. Default false. */
  readonly compression?: boolean;
  readonly hub?: HubOptions;
}

export interface App {
  /** `http://HOST:PORT` */
  readonly url: string;
  readonly port: number;
  /** WebSocket connections at this moment. */
  readonly connections: number;
  /** Drains: no new connections, Close 1001 to all; whoever is still there after `timeout` ms is dropped. */
  close(timeout: number): Promise<void>;
}

const WRITE_BUFFER_SIZE = 128 * 1024; // bytes that wait before a connection's sender has to

/** Bytes. A message that goes to all has to be small against what may wait for each, or one of them could close everybody. */
const BROADCAST_LIMITS = { maxMessageSize: 1024 * 1024, maxWriteBufferSize: 8 * 1024 * 1024 };

/** An echo reads no further than it is read from, so that it never has much more to write than one message. */
const ECHO_LIMITS = { maxMessageSize: 16 * 1024 * 1024, maxWriteBufferSize: 20 * 1024 * 1024 };

/** The server behind `tungstate serve`. Rejects if it can't listen. */
export async function startApp(options: AppOptions): Promise<App> {
  const { log } = options;
  const page = await loadPage();
  const websocket = {
    origin: originPolicy(options.origins),
    writeBufferSize: WRITE_BUFFER_SIZE,
    compression: options.compression === true,
    ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
  };
  const chat = new WebSocketServer({ ...websocket, ...BROADCAST_LIMITS });
  const echo = new WebSocketServer({ ...websocket, ...ECHO_LIMITS });
  const hub = await startHub(options.hub ?? {}, websocket, log);
  const servers = { "/ws": chat, "/echo": echo, [HUB_PATH]: hub.server };
  const metrics = createMetrics(servers);
  const live = new Live(
    hub.hub,
    () => metrics.counted(),
    (error) => log.debug({ err: error }, "live figures"),
  );

  chat.on("connection", (connection) => {
    connection.on("message", (message) => {
      chat.broadcast(message);
      // It gets all that it sends, and so may send as fast as it reads. Others who read more slowly than that are closed.
      if (connection.bufferedAmount > WRITE_BUFFER_SIZE) pauseUntilDrain(connection);
    });
  });
  echo.on("connection", (connection) => {
    connection.on("message", (message) => {
      if (!connection.write(message)) pauseUntilDrain(connection);
    });
  });

  const http = createServer((request, response) => {
    respond(request, response).catch((error: unknown) => {
      log.error({ err: error }, "request failed");
      response.destroy();
    });
  });

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(request.url ?? "");
    if (path === undefined) {
      plain(response, 400, "the target of the request is neither a path nor a URL\n");
    } else if (hub.answers(path)) {
      await hub.answer(path, request, response);
    } else if (request.method !== "GET" && request.method !== "HEAD") {
      plain(response, 405, "only GET and HEAD\n", { allow: "GET, HEAD" });
    } else if (path in servers) {
      // a WebSocket route asked without an upgrade
      plain(response, 426, "this is a WebSocket; ask for an upgrade\n", {
        connection: "upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
      });
    } else if (path === "/health") {
      const connections = { ws: chat.connections.size, echo: echo.connections.size, hub: hub.server.connections.size };
      json(response, { status: "ok", connections });
    } else if (path === "/metrics") {
      const text = (await metrics.text()) + hub.metrics();
      response.writeHead(200, { "content-type": metrics.contentType }).end(text);
    } else servePage(page, path, request, response);
  }

  for (const [path, server] of Object.entries(servers)) {
    server.attach(http, { path });
    server.on("connection", (connection, request) => {
      metrics.opened(path);
      log.debug({ path, remoteAddress: request.remoteAddress }, "connected");
      connection.on("close", ({ code, clean, error }) => {
        metrics.closed(path, connection.stats, code);
        log.debug({ path, code, clean, error: error?.code }, "disconnected");
      });
    });
    server.on("refused", (error) => {
      metrics.refused(path, error.code);
      log.info({ path, error: error.code, reason: error.message }, "refused");
    });
    server.on("error", (error) => log.error({ path, err: error }, "handler failed"));
  }

  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(options.port, options.host, () => {
      http.off("error", reject);
      resolve();
    });
  });
  http.on("error", (error) => log.error({ err: error }, "server error"));

  const address = http.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${port}`,
    port,
    get connections() {
      return Object.values(servers).reduce((sum, server) => sum + server.connections.size, 0);
    },
    async close(timeout) {
      live.stop();
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      http.closeIdleConnections();
      await Promise.all([chat.close(1001, "", timeout), echo.close(1001, "", timeout), hub.close(timeout)]);
      http.closeAllConnections();
      await closed;
      metrics.end();
    },
  };
}

/** While it does not read what was written, it is not read from. */
function pauseUntilDrain(connection: WebSocketConnection): void {
  connection.pause();
  connection.once("drain", () => connection.resume());
}

/** The path that a request is for. RFC 9112 §3.2.2: "a server MUST accept the absolute-form in requests". */
function pathOf(target: string): string | undefined {
  if (target.startsWith("/")) return target.split("?", 1)[0];
  return URL.canParse(target) ? new URL(target).pathname : undefined;
}

function originPolicy(origins: readonly string[] = []): OriginPolicy {
  if (origins.length === 0) return "same";
  if (origins.includes("any")) return "any";
  return origins;
}

function plain(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers }).end(text);
}

function json(response: ServerResponse, value: unknown): void {
  response
    .writeHead(200, { "content-type": "application/json", "cache-control": "no-store" })
    .end(JSON.stringify(value));
}
