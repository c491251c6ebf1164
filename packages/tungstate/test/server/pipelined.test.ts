import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { WebSocketServer } from "../../src/server/server.ts";
import { selfSigned } from "../support/pairs.ts";
import { frame, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { end, turns } from "../support/server.ts";
import { answered, HTTP_ROUTES, listening, STREAMED, waiting } from "./support/http-routes.ts";

const { cert } = selfSigned();

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

for (const route of HTTP_ROUTES) {
  describe(`${route.name}: an upgrade pipelined after other requests`, () => {
    test("is answered after their responses", async (t) => {
      const raw = Raw.to(t, { port: await route.start(t, true) }, route.tls === true ? cert : undefined);
      raw.send(get("/wait"), get("/b"), upgradeRequest("/a"), frame(TEXT, "early"));
      while (waiting.length === 0) await turns(1);
      await turns(10);
      assert.equal(raw.received.length, 0);
      waiting.shift()?.();
      await raw.until((got) => /sec-websocket-accept|"\/a"/i.test(got.toString("latin1")));
      const all = raw.received.toString("latin1");
      assert.match(all, answered("/wait"));
      const statuses = [...all.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
      // if a framework's route decides, it answers like any other request
      assert.deepEqual(statuses, ["200", "200", route.framework === true ? "200" : "101"]);
      assert.ok(all.indexOf('"/wait"') < all.indexOf('"/b"'));
    });

    test("has no effect if the client disconnects meanwhile", async (t) => {
      const port = await route.start(t, true);
      const raw = Raw.to(t, { port }, route.tls === true ? cert : undefined);
      raw.send(get("/wait"), upgradeRequest("/a"));
      while (waiting.length === 0) await turns(1);
      raw.stream.destroy();
      await raw.gone();
      await turns(10);
      waiting.shift()?.();
      const other = Raw.to(t, { port }, route.tls === true ? cert : undefined);
      other.send(get("/b"));
      await other.until((got) => answered("/b").test(got.toString("latin1")));
    });

    test("is dropped when the client ends its side before their responses", async (t) => {
      const before = waiting.length;
      const raw = Raw.to(t, { port: await route.start(t, true) }, route.tls === true ? cert : undefined);
      raw.send(get("/wait"), upgradeRequest("/a"));
      while (waiting.length === before) await turns(1);
      raw.stream.end();
      await raw.gone();
      waiting.pop()?.();
    });

    test("is dropped when much data follows it before their responses", async (t) => {
      const before = waiting.length;
      const raw = Raw.to(t, { port: await route.start(t, true) }, route.tls === true ? cert : undefined);
      raw.send(get("/wait"), upgradeRequest("/a"));
      while (waiting.length === before) await turns(1);
      raw.send(Buffer.alloc(64 * 1024 + 1));
      await raw.gone();
      waiting.pop()?.();
    });

    if (/Fastify|Hono/.test(route.name)) return;
    test("waits for a response that is written in several parts", async (t) => {
      const raw = Raw.to(t, { port: await route.start(t, true) }, route.tls === true ? cert : undefined);
      raw.send(get("/stream"), upgradeRequest("/a"));
      const size = STREAMED.reduce((sum, { length }) => sum + length, 0);
      const got = await raw.until((all) => /sec-websocket-accept|"\/a"/i.test(all.toString("latin1", size)));
      assert.equal(got.indexOf("HTTP/1.1", 1) > size, true);
      assert.ok(got.includes(Buffer.alloc(50_000, STREAMED.length)));
    });
  });
}

for (const name of ["attach", "a port with http"]) {
  const serving = async (t: TestContext, listener: RequestListener): Promise<[WebSocketServer, number]> => {
    const server = new WebSocketServer();
    t.after(() => end(server));
    if (name === "attach") {
      const http = createServer(listener);
      server.attach(http);
      return [server, await listening(t, http)];
    }
    return [server, ((await server.listen({ http: listener })) as AddressInfo).port];
  };

  test(`${name}: an upgrade after a response that closes the connection is not processed`, async (t) => {
    const answers: (() => void)[] = [];
    const [server, port] = await serving(t, (_request, response) => {
      answers.push(() => void response.setHeader("Connection", "close").end("last"));
    });
    let connections = 0;
    server.on("connection", () => connections++);
    const raw = Raw.to(t, { port }).send(get("/"), upgradeRequest("/a"));
    while (answers.length === 0) await turns(1);
    answers[0]?.();
    await raw.gone();
    assert.match(raw.received.toString(), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nlast$/s);
    assert.equal(connections, 0);
  });

  test(`${name}: messages received before the response to an earlier request are not lost`, async (t) => {
    const answers: (() => void)[] = [];
    const [server, port] = await serving(
      t,
      (_request, response) => void answers.push(() => void response.end("first")),
    );
    const texts: string[] = [];
    server.on("connection", (connection) => connection.on("message", ({ text }) => void texts.push(text)));
    const raw = Raw.to(t, { port }).send(get("/"), upgradeRequest("/a"), frame(TEXT, "one"));
    while (answers.length === 0) await turns(1);
    raw.send(frame(TEXT, "two"));
    await turns(10);
    answers[0]?.();
    raw.send(frame(TEXT, "three"));
    while (texts.length < 3) await turns(1);
    assert.deepEqual(texts, ["one", "two", "three"]);
  });
}
