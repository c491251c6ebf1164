import { serve as serveHono } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, IncomingMessage, type RequestListener, type Server, type ServerOptions } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, test, type TestContext } from "node:test";
import { acceptUpgrades as acceptExpressUpgrades } from "../../src/frameworks/express.ts";
import { websocket as fastifyWebSocket } from "../../src/frameworks/fastify.ts";
import { acceptUpgrades as acceptHonoUpgrades } from "../../src/frameworks/hono.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { portOf } from "../frameworks/support/apps.ts";
import { ACCEPT, Raw, upgradeRequest } from "../support/raw.ts";
import { selfSigned } from "../support/pairs.ts";

/** What an HTTP server answers to bytes, with WebSockets on it or without. */
interface Route {
  readonly name: string;
  readonly tls?: boolean;
  /** Whether its routes decide what becomes of a WebSocket handshake. */
  readonly framework?: boolean;
  /** Returns a server that is closed when the test ends. */
  start(t: TestContext, withWebSockets: boolean): Promise<Server>;
}

/** Says what it was asked. */
async function answer(request: IncomingMessage): Promise<string> {
  const body = await text(request);
  const { method, url, httpVersion, rawHeaders } = request;
  return JSON.stringify([method, url, httpVersion, rawHeaders, body, Reflect.get(request, "upgrade")]);
}

const app: RequestListener = (request, response) => void answer(request).then((said) => response.end(said));

async function listening(t: TestContext, server: Server): Promise<Server> {
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return server;
}

const { key, cert } = selfSigned();

const ROUTES: readonly Route[] = [
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
      const server = createServer(express().use((request, response) => app(request, response)));
      if (withWebSockets) acceptExpressUpgrades(server);
      return listening(t, server);
    },
  },
  {
    name: "Fastify",
    framework: true,
    start: async (t, withWebSockets) => {
      const instance = fastify();
      instance.removeAllContentTypeParsers();
      instance.addContentTypeParser("*", (_request: unknown, _payload: unknown, done: (error: null) => void) =>
        done(null),
      );
      if (withWebSockets) await instance.register(fastifyWebSocket);
      instance.all("*", ({ raw }) => answer(raw));
      await instance.listen({ port: 0, host: "127.0.0.1" });
      return listening(t, instance.server);
    },
  },
  {
    name: "Hono",
    framework: true,
    start: async (t, withWebSockets) => {
      const hono = new Hono<{ Bindings: { incoming: IncomingMessage } }>();
      hono.all("*", async (context) => context.text(await answer(context.env.incoming)));
      const server = serveHono({ fetch: hono.fetch, port: 0, hostname: "127.0.0.1" }) as Server;
      await once(server, "listening");
      if (withWebSockets) acceptHonoUpgrades(server);
      return listening(t, server);
    },
  },
];

const H2C = { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA" };

/** A request's head. */
function head(line: string, fields: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries({ Host: "localhost", ...fields }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

const LAST = head("GET /last", { Connection: "close" });

/** What is sent, step by step: after each step what is to come before the next one is sent. */
type Steps = readonly (readonly [send: string, until: RegExp])[];

/** The answer to a request for this path, to its end. */
const answered = (path: string): RegExp => new RegExp(`"${path}","1.1".*,(true|false|null)\\]`, "s");

const CASES: readonly [name: string, steps: Steps][] = [
  ["h2c, as curl asks for it", [[head("GET /a", H2C), answered("/a")]]],
  ["HEAD", [[head("HEAD /a", H2C), /\r\n\r\n/]]],
  ["OPTIONS *", [[head("OPTIONS *", H2C), /\r\n\r\n/]]],
  ["TLS/1.0", [[head("GET /a", { Connection: "Upgrade", Upgrade: "TLS/1.0" }), answered("/a")]]],
  [
    "several protocols",
    [[head("GET /a", { Connection: "Upgrade", Upgrade: "h2c, TLS/1.2, IRC/6.9" }), answered("/a")]],
  ],
  ["another case", [[head("GET /a", { connection: "UPGRADE", upgrade: "H2C" }), answered("/a")]]],
  [
    "a name that only contains websocket",
    [[head("GET /a", { Connection: "Upgrade", Upgrade: "websocket2" }), answered("/a")]],
  ],
  ["Upgrade without Connection", [[head("GET /a", { Upgrade: "websocket" }), answered("/a")]]],
  ["Connection without Upgrade", [[head("GET /a", { Connection: "Upgrade" }), answered("/a")]]],
  ["a body", [[head("POST /a", { ...H2C, "Content-Length": "5" }) + "hello", answered("/a")]]],
  [
    "a body that comes later",
    [
      [head("POST /a", { ...H2C, "Content-Length": "5" }), /^/],
      ["hello", answered("/a")],
    ],
  ],
  [
    "a body in chunks",
    [
      [head("POST /a", { ...H2C, "Transfer-Encoding": "chunked" }) + "5\r\nhello\r\n", /^/],
      ["2\r\n, \r\n5\r\nworld\r\n0\r\n\r\n", answered("/a")],
    ],
  ],
  [
    "Expect: 100-continue",
    [
      [head("PUT /a", { ...H2C, "Content-Length": "5", Expect: "100-continue" }), /100 Continue\r\n\r\n/],
      ["hello", answered("/a")],
    ],
  ],
  ["a request in front of it", [[head("GET /a") + head("GET /b", H2C), answered("/b")]]],
  ["a request behind it", [[head("GET /a", H2C) + head("GET /b"), answered("/a")]]],
  ["one after the other", ["/a", "/b", "/c"].map((path) => [head(`GET ${path}`, H2C), answered(path)] as const)],
  [
    "a head in pieces",
    [
      [head("GET /a", H2C).slice(0, 30), /^/],
      [head("GET /a", H2C).slice(30), answered("/a")],
    ],
  ],
  ["a head that is none", [["GET /a HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nno colon\r\n\r\n", /400/]]],
];

/** Returns all that the server answered. */
async function exchange(t: TestContext, route: Route, server: Server, steps: Steps): Promise<string> {
  const raw = Raw.to(t, { port: portOf(server) }, route.tls === true ? cert : undefined);
  for (const [send, until] of steps) {
    const before = raw.received.length;
    raw.send(send);
    await raw.until((got) => until.test(got.toString("latin1", before)));
  }
  raw.send(LAST);
  await raw.until(() => false);
  return raw.received.toString("latin1").replace(/^date: .*\r\n/gim, "");
}

for (const route of ROUTES) {
  describe(`${route.name}: what asks for no WebSocket is an ordinary request`, () => {
    for (const [name, steps] of CASES) {
      test(name, async (t) => {
        const [without, with_] = await Promise.all(
          [false, true].map(async (some) => exchange(t, route, await route.start(t, some), steps)),
        );
        assert.equal(with_, without);
        assert.match(String(without), /^HTTP\/1\.1 /);
      });
    }

    test("a list with websocket in it is a handshake", async (t) => {
      const server = await route.start(t, true);
      const raw = Raw.to(t, { port: portOf(server) }, route.tls === true ? cert : undefined);
      raw.send(
        upgradeRequest("/a", { Upgrade: "h2c, WebSocket", Connection: "keep-alive, upgrade", "HTTP2-Settings": "" }),
      );
      const { status, headers } = await raw.head();
      // where it is a framework's business, that says so
      if (route.framework === true) assert.equal(status, 200);
      else assert.deepEqual([status, headers["sec-websocket-accept"]], [101, ACCEPT]);
    });
  });
}

describe("other listeners", () => {
  const TIME = upgradeRequest("/", { Upgrade: "time", "Sec-WebSocket-Key": undefined });

  for (const order of ["before", "after"]) {
    test(`added ${order} ours, get what they would get without it`, async (t) => {
      const server = createServer(app);
      const heard: (string | undefined)[] = [];
      const theirs = ({ headers }: IncomingMessage, socket: Duplex): void => {
        heard.push(headers.upgrade);
        if (headers.upgrade === "time") socket.end("HTTP/1.1 101 Switching Protocols\r\n\r\nnoon");
        else if (headers.upgrade === "h2c") socket.end("HTTP/1.1 501 Not Implemented\r\n\r\n");
      };
      if (order === "before") server.on("upgrade", theirs);
      new WebSocketServer().attach(server);
      if (order === "after") server.on("upgrade", theirs);
      const port = portOf(await listening(t, server));
      assert.equal((await Raw.to(t, { port }).send(TIME).answer()).rest.toString(), "noon");
      assert.equal((await Raw.to(t, { port }).send(head("GET /a", H2C)).answer()).status, 501);
      assert.equal((await Raw.to(t, { port }).send(upgradeRequest()).head()).headers["sec-websocket-accept"], ACCEPT);
      assert.deepEqual(heard, ["time", "h2c", "websocket"]);
      server.off("upgrade", theirs);
      assert.equal(
        (
          await Raw.to(t, { port })
            .send(head("GET /a", { ...H2C, Connection: "upgrade, close" }))
            .answer()
        ).status,
        200,
      );
    });
  }

  test("a server that decides itself which upgrades it takes goes on to do so", async (t) => {
    const options: ServerOptions & { shouldUpgradeCallback: (request: IncomingMessage) => boolean } = {
      shouldUpgradeCallback: ({ headers }) => headers.upgrade === "time",
    };
    const server = createServer(options, app);
    new WebSocketServer().attach(server);
    server.on("upgrade", ({ headers }: IncomingMessage, socket: Duplex) => {
      if (headers.upgrade !== "websocket") socket.end(`HTTP/1.1 101 Switching Protocols\r\n\r\n${headers.upgrade}`);
    });
    const port = portOf(await listening(t, server));
    assert.equal((await Raw.to(t, { port }).send(TIME).answer()).rest.toString(), "time");
    assert.equal((await Raw.to(t, { port }).send(upgradeRequest()).head()).status, 101);
    if (!("shouldUpgradeCallback" in server)) return; // this version of Node does not know the option
    const h2c = head("GET /a", { ...H2C, Connection: "upgrade, close" });
    assert.equal((await Raw.to(t, { port }).send(h2c).answer()).status, 200);
  });

  test("a request class of the application's stays its class", async (t) => {
    class Request extends IncomingMessage {
      readonly own = true;
    }
    const server = createServer({ IncomingMessage: Request }, (request, response) => {
      response.end(
        String([request instanceof Request && request.own, request.constructor.name, Reflect.get(request, "upgrade")]),
      );
    });
    new WebSocketServer().attach(server);
    const port = portOf(await listening(t, server));
    for (const fields of [{}, { Upgrade: "h2c" }]) {
      const request = head("GET /", { ...fields, Connection: "upgrade, close" });
      assert.equal((await Raw.to(t, { port }).send(request).answer()).rest.toString(), "true,Request,false");
    }
  });
});

test("detached, a server is what it was", async (t) => {
  const server = createServer(app);
  const before = Object.getOwnPropertyDescriptors(server);
  const chat = new WebSocketServer().attach(server);
  const fresh = { ...Object.getOwnPropertyDescriptors(chat.detach() && server) };
  for (const name of Reflect.ownKeys(before)) {
    if (name === "_events" || name === "_eventsCount") continue;
    assert.deepEqual(Reflect.get(fresh, name), Reflect.get(before, name), String(name));
  }
  assert.equal(server.listenerCount("upgrade"), 0);
  const port = portOf(await listening(t, server));
  const answer = await Raw.to(t, { port })
    .send(upgradeRequest("/", { Connection: "upgrade, close" }))
    .answer();
  assert.equal(answer.status, 200);
});

test("HTTP/1.0 has no upgrades", async (t) => {
  const server = createServer(app);
  new WebSocketServer().attach(server);
  const port = portOf(await listening(t, server));
  const answer = await Raw.to(t, { port })
    .send(upgradeRequest("/", {}, "GET / HTTP/1.0"))
    .answer();
  assert.equal(answer.status, 200);
});
