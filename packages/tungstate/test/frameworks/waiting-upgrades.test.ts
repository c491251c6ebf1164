// Upgrade requests that wait for the application have places, a time limit, and a response.
import { serve as serveHono } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { acceptUpgrades as acceptExpress, websocket as expressWebSocket } from "../../src/frameworks/express.ts";
import { websocket as fastifyWebSocket } from "../../src/frameworks/fastify.ts";
import { acceptUpgrades as acceptHono, websocket as honoWebSocket } from "../../src/frameworks/hono.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { Raw, upgradeRequest } from "../support/raw.ts";
import { type Cleanup, RouteServer } from "../support/routes.ts";

const LIMITS = { maxHandshakes: 3 };
const UPGRADE_TIMEOUT = 2_000; // ms
const never = new Promise<void>(() => undefined);

function endWith(t: Cleanup, http: HttpServer): void {
  t.after(() => {
    http.closeAllConnections();
    http.close();
  });
}

/** Servers whose application never responds to an upgrade request. */
const SLOW: Readonly<Record<string, (t: Cleanup) => Promise<RouteServer>>> = {
  async Fastify(t) {
    const app = fastify();
    await app.register(fastifyWebSocket, { ...LIMITS, upgradeTimeout: UPGRADE_TIMEOUT });
    app.addHook("onRequest", () => never);
    app.get("/*", { websocket: true }, () => undefined);
    await app.listen({ port: 0, host: "127.0.0.1" });
    endWith(t, app.server);
    return new RouteServer((app.server.address() as AddressInfo).port, app.websocketServer, false);
  },
  async Express(t) {
    const server = new WebSocketServer(LIMITS);
    const app = express()
      .use(() => undefined)
      .use(expressWebSocket(server, () => undefined));
    const http = createServer(app);
    acceptExpress(http, { server, upgradeTimeout: UPGRADE_TIMEOUT });
    await once(http.listen(0, "127.0.0.1"), "listening");
    endWith(t, http);
    return new RouteServer((http.address() as AddressInfo).port, server, false);
  },
  async Hono(t) {
    const server = new WebSocketServer(LIMITS);
    const app = new Hono()
      .use(() => never)
      .get(
        "*",
        honoWebSocket(server, () => undefined),
      );
    const http = serveHono({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }) as HttpServer;
    await once(http, "listening");
    acceptHono(http, { server, upgradeTimeout: UPGRADE_TIMEOUT });
    endWith(t, http);
    return new RouteServer((http.address() as AddressInfo).port, server, false);
  },
};

for (const [name, start] of Object.entries(SLOW)) {
  test(`${name}: every upgrade request behind a hook that never ends gets 503 and is reported`, async (t) => {
    const served = await start(t);
    const raws = Array.from({ length: 9 }, () => Raw.to(t, { port: served.port }).send(upgradeRequest()));
    const answers = await Promise.all(raws.map((raw) => raw.answer()));
    assert.deepEqual(
      answers.map(({ status }) => status),
      raws.map(() => 503),
    );
    await served.until(() => served.refused.length === raws.length);
    const codes = served.refused.map(({ code }) => code);
    assert.equal(codes.filter((code) => code === "AUTHORIZE_TIMEOUT").length, LIMITS.maxHandshakes);
    assert.equal(codes.filter((code) => code === "SERVER_FULL").length, raws.length - LIMITS.maxHandshakes);
    assert.equal(served.server?.stats.handshakes, 0);
  });
}
