import { serve as serveHono } from "@hono/node-server";
import express from "express";
import fastify, { type FastifyInstance } from "fastify";
import { Hono } from "hono";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { acceptUpgrades as acceptExpressUpgrades } from "../../../src/frameworks/express.ts";
import { websocket as fastifyWebSocket } from "../../../src/frameworks/fastify.ts";
import { acceptUpgrades as acceptHonoUpgrades } from "../../../src/frameworks/hono.ts";
import type { HttpApp } from "../../../src/server/http/app.ts";
import { WebSocketServer } from "../../../src/server/server.ts";
import { portOf } from "../../frameworks/support/apps.ts";
import { selfSigned } from "../../support/pairs.ts";
import { end } from "../../support/server.ts";

/**
 * An application that records its requests, behind node:http alone or with WebSockets on the same
 * port.
 */
export interface HttpRoute {
  readonly name: string;
  readonly tls?: boolean;
  /** Whether the application's routes handle a WebSocket handshake. */
  readonly framework?: boolean;
  /** Returns the port of a server that is closed when the test ends. */
  start(t: TestContext, withWebSockets: boolean): Promise<number>;
}

/** Requests for /wait without a response: functions that answer each. */
export const waiting: (() => void)[] = [];

/** A response. */
async function said(request: IncomingMessage): Promise<string> {
  const body = await text(request);
  if (request.url === "/wait") await new Promise<void>((resolve) => waiting.push(resolve));
  const { method, url, httpVersion, rawHeaders } = request;
  return JSON.stringify([method, url, httpVersion, rawHeaders, body, Reflect.get(request, "upgrade")]);
}

export const app: RequestListener = (request, response) => {
  if (request.url === "/stream") Readable.from(STREAMED).pipe(response);
  else void said(request).then((answer) => response.end(answer));
};

/** Each is larger than a stream's high-water mark. */
export const STREAMED: readonly Buffer[] = Array.from({ length: 10 }, (_, number) => Buffer.alloc(100_000, number + 1));

/** Reads the complete response to a request for this path. */
export const answered = (path: string): RegExp => new RegExp(`"${path}","1\\.[01]".*,(true|false|null)\\]`, "s");

export async function listening(t: TestContext, server: Server): Promise<number> {
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return portOf(server);
}

function expressApp(): RequestListener {
  return express().use((request, response) => app(request, response));
}

function fastifyApp(): FastifyInstance {
  const made = fastify();
  made.removeAllContentTypeParsers();
  made.addContentTypeParser("*", (_request: unknown, _payload: unknown, done: (error: null) => void) => done(null));
  made.all("*", ({ raw }) => said(raw));
  return made;
}

function honoApp(): Hono<{ Bindings: { incoming: IncomingMessage } }> {
  const made = new Hono<{ Bindings: { incoming: IncomingMessage } }>();
  return made.all("*", async (context) => context.text(await said(context.env.incoming)));
}

async function serveHonoApp(t: TestContext): Promise<Server> {
  const server = serveHono({ fetch: honoApp().fetch, port: 0, hostname: "127.0.0.1" }) as Server;
  await once(server, "listening");
  await listening(t, server);
  return server;
}

const { key, cert } = selfSigned();

const ATTACHED: readonly HttpRoute[] = [
  {
    name: "node:http",
    start: async (t, withWebSockets) => {
      const server = createServer(app);
      if (withWebSockets) new WebSocketServer().attach(server);
      return listening(t, server);
    },
  },
  {
    name: "node:http, with paths",
    start: async (t, withWebSockets) => {
      const server = createServer(app);
      if (withWebSockets) for (const path of ["/a", "/b"]) new WebSocketServer().attach(server, { path });
      return listening(t, server);
    },
  },
  {
    name: "node:https",
    tls: true,
    start: async (t, withWebSockets) => {
      const server = createHttpsServer({ key, cert }, app);
      if (withWebSockets) new WebSocketServer().attach(server);
      return listening(t, server);
    },
  },
  {
    name: "Express",
    framework: true,
    start: async (t, withWebSockets) => {
      const server = createServer(expressApp());
      if (withWebSockets) acceptExpressUpgrades(server);
      return listening(t, server);
    },
  },
  {
    name: "Fastify",
    framework: true,
    start: async (t, withWebSockets) => {
      const made = fastifyApp();
      if (withWebSockets) await made.register(fastifyWebSocket);
      await made.listen({ port: 0, host: "127.0.0.1" });
      return listening(t, made.server);
    },
  },
  {
    name: "Hono",
    framework: true,
    start: async (t, withWebSockets) => {
      const server = await serveHonoApp(t);
      if (withWebSockets) acceptHonoUpgrades(server);
      return portOf(server);
    },
  },
];

/** A port with an application behind it, beside the same one on node:http. */
function behind(
  name: string,
  make: () => HttpApp,
  serve: (t: TestContext) => Promise<number>,
  options: { readonly path?: string; readonly tls?: boolean } = {},
): HttpRoute {
  const { path, tls = false } = options;
  return {
    name: `a port of its own, with ${name}`,
    tls,
    async start(t, withWebSockets) {
      if (!withWebSockets) return serve(t);
      const server = new WebSocketServer(path === undefined ? {} : { path });
      t.after(() => end(server));
      const http = make();
      return ((await server.listen(tls ? { http, tls: { key, cert } } : { http })) as AddressInfo).port;
    },
  };
}

const nodeHttp = (t: TestContext): Promise<number> => listening(t, createServer(app));
const nodeHttps = (t: TestContext): Promise<number> => listening(t, createHttpsServer({ key, cert }, app));

const OWN_PORTS: readonly HttpRoute[] = [
  behind("a request listener", () => app, nodeHttp),
  behind("a request listener and a path", () => app, nodeHttp, { path: "/a" }),
  behind("a server of node:http", () => createServer(app), nodeHttp),
  behind("TLS and a request listener", () => app, nodeHttps, { tls: true }),
  behind("TLS and a server of node:http", () => createServer(app), nodeHttps, { tls: true }),
  behind("TLS and a server of node:https", () => createHttpsServer({ key, cert }, app), nodeHttps, { tls: true }),
  behind("an Express application", expressApp, (t) => listening(t, createServer(expressApp()))),
  behind("a Fastify application", fastifyApp, async (t) => {
    const made = fastifyApp();
    await made.listen({ port: 0, host: "127.0.0.1" });
    return listening(t, made.server);
  }),
  behind("a Hono application", honoApp, async (t) => portOf(await serveHonoApp(t))),
  // as in Koa's applications
  behind("an application with a callback function", () => ({ callback: () => app }), nodeHttp),
];

export const HTTP_ROUTES: readonly HttpRoute[] = [...ATTACHED, ...OWN_PORTS];
