// Header fields of the 101 that cannot be sent: only the application gets an error with the reason.
import express from "express";
import fastify from "fastify";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type OutgoingHttpHeaders } from "node:http";
import { describe, test, type TestContext } from "node:test";
import { acceptUpgrades, websocket as expressWebSocket } from "../../src/frameworks/express.ts";
import { websocket as fastifyWebSocket } from "../../src/frameworks/fastify.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { portOf } from "../frameworks/support/apps.ts";
import { Raw, upgradeRequest } from "../support/raw.ts";
import { end } from "../support/server.ts";

const UNSENDABLE: readonly [name: string, headers: OutgoingHttpHeaders, says: RegExp][] = [
  ["a line break in a value", { "x-good": "a", "x-bad": "a\r\nx-other: b" }, /x-bad/],
  ["NUL in a value", { "x-bad": "a\0b" }, /x-bad/],
  ["a character above U+00FF", { "x-bad": "a€" }, /x-bad/],
  ["a space in a name", { "x bad": "a" }, /"x bad"/],
  ["an empty name", { "": "a" }, /""/],
  ["one of several values", { "x-bad": ["a", "b\n"] }, /x-bad/],
];

interface Started {
  readonly server: WebSocketServer;
  readonly port: number;
}

/** Ways in which an application sets header fields of the 101, besides `authorize`. */
const WAYS: Readonly<Record<string, (t: TestContext, headers: OutgoingHttpHeaders) => Promise<Started>>> = {
  handleUpgrade: async (t, headers) => {
    const server = new WebSocketServer();
    const http = createServer();
    http.on("upgrade", (request, socket, head) => {
      void server.handleUpgrade(request, socket, head, headers as Record<string, string>);
    });
    await once(http.listen(0, "127.0.0.1"), "listening");
    t.after(() => end(server).then(() => http.close()));
    return { server, port: portOf(http) };
  },
  "a hook of Fastify": async (t, headers) => {
    const app = fastify();
    await app.register(fastifyWebSocket);
    app.addHook("onSend", async (_request, reply) => void reply.headers(headers));
    app.get("/", { websocket: true }, () => undefined);
    await app.listen({ port: 0, host: "127.0.0.1" });
    t.after(() => app.close());
    return { server: app.websocketServer, port: portOf(app.server) };
  },
  "middleware of Express": async (t, headers) => {
    const server = new WebSocketServer();
    const app = express().use((_request, response, next) => {
      const writeHead = Reflect.get(response, "writeHead") as (...args: unknown[]) => unknown;
      Reflect.set(response, "writeHead", (status: number) => Reflect.apply(writeHead, response, [status, headers]));
      next();
    });
    const http = createServer(app.use(expressWebSocket(server, () => undefined)));
    acceptUpgrades(http);
    await once(http.listen(0, "127.0.0.1"), "listening");
    t.after(() => end(server).then(() => http.close()));
    return { server, port: portOf(http) };
  },
};

for (const [way, start] of Object.entries(WAYS)) {
  describe(`header fields by ${way}`, () => {
    for (const [name, headers, says] of UNSENDABLE) {
      test(`${name}: 500 for the client, an error that names the field for the application`, async (t) => {
        const { server, port } = await start(t, headers);
        const errors: unknown[] = [];
        const refused: { code: string; message: string }[] = [];
        server.on("error", (error) => errors.push(error));
        server.on("refused", (error) => refused.push(error));
        const { status, rest } = await Raw.to(t, { port }).send(upgradeRequest()).answer();
        assert.deepEqual([status, rest.toString()], [500, "the response to the handshake cannot be sent\n"]);
        assert.deepEqual(
          refused.map(({ code }) => code),
          ["RESPONSE_FAILED"],
        );
        assert.match(
          refused[0]?.message ?? "",
          /^the response to the handshake cannot be sent: .*the response's headers/,
        );
        assert.match(refused[0]?.message ?? "", says);
        assert.equal(errors.length, 1);
        assert.match(String(errors[0]), says);
      });
    }
  });
}
