import type { WebSocketError } from "@tungstate/protocol";
import { serve as serveHono } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { once } from "node:events";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { createServer as createHttp2Server, type Http2Session } from "node:http2";
import { createServer as createHttpsServer, Server as HttpsServer } from "node:https";
import { type AddressInfo, connect as connectTcp, createServer, type Server as NetServer, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { connect, type ConnectOptions } from "../../src/client/connect.ts";
import {
  acceptUpgrades as acceptExpressUpgrades,
  websocket as expressWebSocket,
} from "../../src/frameworks/express.ts";
import { websocket as fastifyWebSocket } from "../../src/frameworks/fastify.ts";
import { acceptUpgrades as acceptHonoUpgrades, websocket as honoWebSocket } from "../../src/frameworks/hono.ts";
import { accept } from "../../src/server/accept.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import type { WebSocketServerOptions } from "../../src/server/options.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import type { HttpVersion } from "../../src/transport/route.ts";
import { selfSigned } from "./pairs.ts";
import { openRawStream, type OpenedRaw } from "./http2-raw.ts";
import { Raw, upgradeRequest } from "./raw.ts";

/** The part of a test context that ends what was started. */
export interface Cleanup {
  after(end: () => unknown): void;
}

/** Handles a connection. An exception or rejection counts as with any handler of its route. */
type Handler = (connection: WebSocketConnection) => unknown;

/** A server reached by one of the routes, and its reports. */
export class RouteServer {
  readonly port: number;
  /** Not with `accept`, which needs no server. */
  readonly server: WebSocketServer | undefined;
  readonly secure: boolean;
  /** The server's ends of the connections, in order. */
  readonly accepted: WebSocketConnection[] = [];
  readonly refused: WebSocketError[] = [];
  readonly errors: unknown[] = [];
  /** Over HTTP/2 `raw` is not available. */
  readonly httpVersion: HttpVersion;
  private wake: (() => void) | undefined;

  constructor(port: number, server: WebSocketServer | undefined, secure: boolean, httpVersion: HttpVersion = "1.1") {
    this.port = port;
    this.httpVersion = httpVersion;
    this.server = server;
    this.secure = secure;
    server?.on("connection", (connection) => this.onAccepted(connection));
    server?.on("refused", (error) => this.onRefused(error));
    server?.on("error", (error) => this.errors.push(error));
  }

  onAccepted(connection: WebSocketConnection): void {
    this.accepted.push(connection);
    this.wake?.();
  }

  onRefused(error: WebSocketError): void {
    this.refused.push(error);
    this.wake?.();
  }

  get url(): string {
    return `${this.secure ? "wss" : "ws"}://127.0.0.1:${this.port}/`;
  }

  connect(options: ConnectOptions = {}): Promise<WebSocketConnection> {
    const tls = this.secure ? { tls: { ca: selfSigned().cert } } : {};
    return connect(this.url, { proxy: false, httpVersion: this.httpVersion, ...tls, ...options });
  }

  /** A client that sends bytes. Closed when the test ends. */
  async raw(t: Cleanup): Promise<Raw> {
    const where = { port: this.port, host: "127.0.0.1" };
    const socket = this.secure ? connectTls({ ...where, ca: selfSigned().cert }) : connectTcp(where);
    t.after(() => socket.destroy());
    await once(socket, this.secure ? "secureConnect" : "connect");
    return new Raw(socket);
  }

  /**
   * A client that sends bytes after its handshake: frames of WebSocket, on a connection or on a
   * stream. With `early`, which is sent with the request, the response is not waited for. Closed
   * when the test ends.
   */
  async opened(t: Cleanup, early?: Uint8Array): Promise<OpenedRaw> {
    if (this.httpVersion === "2") return await openRawStream(t, this.url, early);
    const raw = await this.raw(t);
    raw.send(upgradeRequest(), early ?? "");
    if (early === undefined) await raw.head();
    return { raw, socket: raw.stream as Socket };
  }

  /** Waits until the server has reported enough. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => (this.wake = resolve));
  }

  /** A client and the server's end of its connection. */
  async pair(options: ConnectOptions = {}): Promise<[client: WebSocketConnection, server: WebSocketConnection]> {
    const before = this.accepted.length;
    const client = await this.connect(options);
    await this.until(() => this.accepted.length > before);
    const end = this.accepted[before];
    if (end === undefined) throw new Error("impossible: it was waited for");
    return [client, end];
  }
}

/** A route into a server. */
export interface Route {
  readonly name: string;
  /**
   * Starts a server that ends with the test. `handler` is the route's own in frameworks, otherwise
   * a listener of `connection`.
   */
  start(t: Cleanup, options?: WebSocketServerOptions, handler?: Handler): Promise<RouteServer>;
}

const nothing: Handler = () => undefined;

async function listening(server: NetServer): Promise<number> {
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

/** Terminates all connections, so that no test waits for its own peer, then closes the server. */
function endWith(t: Cleanup, server: WebSocketServer, http?: NetServer): void {
  t.after(async () => {
    for (const connection of server.connections) connection.terminate();
    await server.close();
    if (http?.listening === true) await new Promise((resolve) => http.close(resolve));
  });
}

async function listen(t: Cleanup, options: WebSocketServerOptions, handler: Handler, secure: boolean) {
  const server = new WebSocketServer(options).on("connection", handler);
  endWith(t, server);
  const { port } = (await server.listen(secure ? { tls: selfSigned() } : {})) as AddressInfo;
  return new RouteServer(port, server, secure);
}

async function listenHttp2(t: Cleanup, options: WebSocketServerOptions, handler: Handler) {
  const server = new WebSocketServer(options).on("connection", handler);
  endWith(t, server);
  const { port } = (await server.listen({ tls: selfSigned(), http2: true })) as AddressInfo;
  return new RouteServer(port, server, true, "2");
}

async function attachHttp2(t: Cleanup, options: WebSocketServerOptions, handler: Handler) {
  const http = createHttp2Server();
  const server = new WebSocketServer(options).on("connection", handler).attach(http);
  const sessions = new Set<Http2Session>();
  http.on("session", (session) => void sessions.add(session));
  t.after(async () => {
    for (const connection of server.connections) connection.terminate();
    await server.close();
    for (const session of sessions) session.destroy();
    await new Promise((resolve) => http.close(resolve));
  });
  return new RouteServer(await listening(http), server, false, "2");
}

async function attach(t: Cleanup, options: WebSocketServerOptions, handler: Handler, http: HttpServer | HttpsServer) {
  const server = new WebSocketServer(options).on("connection", handler).attach(http);
  endWith(t, server, http);
  return new RouteServer(await listening(http), server, http instanceof HttpsServer);
}

async function handleUpgrade(t: Cleanup, options: WebSocketServerOptions, handler: Handler) {
  const server = new WebSocketServer(options).on("connection", handler);
  const http = createHttpServer();
  http.on("upgrade", (request, socket, head) => void server.handleUpgrade(request, socket, head));
  endWith(t, server, http);
  return new RouteServer(await listening(http), server, false);
}

async function startFastify(t: Cleanup, options: WebSocketServerOptions, handler: Handler) {
  const app = fastify();
  await app.register(fastifyWebSocket, options);
  app.get("/*", { websocket: true }, handler);
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { websocketServer: server } = app;
  t.after(async () => {
    for (const connection of server.connections) connection.terminate();
    await app.close();
  });
  return new RouteServer(await listening(app.server), server, false);
}

async function startExpress(t: Cleanup, options: WebSocketServerOptions, handler: Handler) {
  const server = new WebSocketServer(options);
  const app = express().use(expressWebSocket(server, handler));
  const http = createHttpServer(app);
  endWith(t, server, http);
  const port = await listening(http);
  acceptExpressUpgrades(http, { server });
  return new RouteServer(port, server, false);
}

async function startHono(t: Cleanup, options: WebSocketServerOptions, handler: Handler) {
  const server = new WebSocketServer(options);
  const app = new Hono().get("*", honoWebSocket(server, handler));
  const http = serveHono({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }) as HttpServer;
  await once(http, "listening");
  endWith(t, server, http);
  acceptHonoUpgrades(http, { server });
  return new RouteServer(await listening(http), server, false);
}

async function acceptStreams(t: Cleanup, options: WebSocketServerOptions, handler: Handler) {
  const sockets = new Set<Socket>();
  const net = createServer((socket) => {
    sockets.add(socket);
    accept(socket, options).then(
      async (connection) => {
        served.onAccepted(connection);
        try {
          await handler(connection);
        } catch (error) {
          served.errors.push(error); // there is no server to report it
        }
      },
      (error: WebSocketError) => served.onRefused(error),
    );
  });
  t.after(async () => {
    for (const connection of served.accepted) connection.terminate();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => net.close(resolve));
  });
  const served = new RouteServer(await listening(net), undefined, false);
  return served;
}

/** All routes over HTTP/1.1 into a server, with options and a handler. */
export const routes: readonly Route[] = [
  { name: "a port of its own", start: (t, options = {}, handler = nothing) => listen(t, options, handler, false) },
  {
    name: "a port of its own with TLS",
    start: (t, options = {}, handler = nothing) => listen(t, options, handler, true),
  },
  {
    name: "attach to node:http",
    start: (t, options = {}, handler = nothing) => attach(t, options, handler, createHttpServer()),
  },
  {
    name: "attach to node:https",
    start: (t, options = {}, handler = nothing) => attach(t, options, handler, createHttpsServer(selfSigned())),
  },
  { name: "handleUpgrade", start: (t, options = {}, handler = nothing) => handleUpgrade(t, options, handler) },
  { name: "Fastify", start: (t, options = {}, handler = nothing) => startFastify(t, options, handler) },
  { name: "Express", start: (t, options = {}, handler = nothing) => startExpress(t, options, handler) },
  { name: "Hono", start: (t, options = {}, handler = nothing) => startHono(t, options, handler) },
  { name: "accept", start: (t, options = {}, handler = nothing) => acceptStreams(t, options, handler) },
];

/** The routes over HTTP/2. */
export const http2Routes: readonly Route[] = [
  {
    name: "a port of its own with HTTP/2",
    start: (t, options = {}, handler = nothing) => listenHttp2(t, options, handler),
  },
  { name: "attach to node:http2", start: (t, options = {}, handler = nothing) => attachHttp2(t, options, handler) },
];

/** All routes into a server, those over HTTP/2 included: their servers have no `raw`. */
export const routesOfAllVersions: readonly Route[] = [...routes, ...http2Routes];
