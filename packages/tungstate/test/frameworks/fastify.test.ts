import fastify from "fastify";
import fastifyPlugin from "fastify-plugin";
import assert from "node:assert/strict";
import dns from "node:dns";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect } from "../../src/client/connect.ts";
import { websocket } from "../../src/frameworks/fastify.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { take } from "../support/connected.ts";
import { frame, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { echo, portOf } from "./support/apps.ts";

test("the plugin equals the result of fastify-plugin", () => {
  const made = fastifyPlugin(() => undefined, { name: "tungstate", fastify: ">=5" });
  const symbols = Object.getOwnPropertySymbols(made);
  assert.equal(symbols.length, 3);
  for (const symbol of symbols) assert.deepEqual(Reflect.get(websocket, symbol), Reflect.get(made, symbol));
});

test("invalid options fail the registration", async () => {
  const app = fastify();
  await assert.rejects(async () => app.register(websocket, { maxMessageSize: -1 }), { code: "INVALID_ARGUMENT" });
  await app.close();
});

test("WebSocket routes are for GET only", async () => {
  const app = fastify();
  await app.register(websocket);
  assert.throws(() => app.post("/chat", { websocket: true }, () => undefined), /must be GET, got POST for \/chat/);
  await app.close();
});

test("a route may have its own server and options; it is closed with the others", async () => {
  const app = fastify();
  await app.register(websocket);
  const own = new WebSocketServer({ maxMessageSize: 4 });
  const opened: string[] = [];
  own.on("connection", (_connection, { path }) => opened.push(path));
  const route = (path: string, server: true | WebSocketServer): unknown => app.get(path, { websocket: server }, echo);
  route("/small", own);
  route("/large", true);
  await app.listen({ port: 0, host: "127.0.0.1" });
  const url = `ws://127.0.0.1:${portOf(app.server)}`;
  const [small, large, idle] = await Promise.all(["/small", "/large", "/small"].map((path) => connect(url + path)));
  small?.write("12345");
  large?.write("12345");
  assert.equal((await small?.closed)?.code, 1009);
  assert.deepEqual(large && (await take(large, 1)), ["12345"]);
  assert.deepEqual(opened, ["/small", "/small"]);
  await app.close();
  assert.deepEqual([(await idle?.closed)?.code, (await large?.closed)?.code], [1001, 1001]);
});

test("an invalid server is rejected", async () => {
  const app = fastify();
  await app.register(websocket);
  // @ts-expect-error: neither true nor a server
  assert.throws(() => app.get("/chat", { websocket: "yes" }, echo), /true or a WebSocketServer, got "yes" for \/chat/);
  await app.close();
});

test("one route answers requests and accepts connections, with its own server if it has one", async () => {
  const app = fastify();
  await app.register(websocket);
  const own = new WebSocketServer({ maxMessageSize: 4 });
  app.get("/own", { websocket: own, wsHandler: echo }, () => "page");
  app.route({
    method: ["GET", "POST"],
    url: "/all",
    handler: ({ method }) => method,
    wsHandler: (connection, { method }) => connection.write(`${method} as a WebSocket`),
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const authority = `127.0.0.1:${portOf(app.server)}`;
  assert.equal(await (await fetch(`http://${authority}/own`)).text(), "page");
  for (const method of ["GET", "POST"]) {
    assert.equal(await (await fetch(`http://${authority}/all`, { method })).text(), method);
  }
  const small = await connect(`ws://${authority}/own`);
  small.write("12345");
  assert.equal((await small.closed).code, 1009);
  const all = await connect(`ws://${authority}/all`);
  assert.deepEqual(await take(all, 1), ["GET as a WebSocket"]);
  await app.close();
  assert.equal((await all.closed).code, 1001);
});

test("an invalid wsHandler is rejected", async () => {
  const app = fastify();
  await app.register(websocket);
  const page = (): string => "page";
  assert.throws(
    () => app.get("/a", { wsHandler: "yes" as never }, page),
    /wsHandler must be a function, got "yes" for \/a/,
  );
  assert.throws(
    () => app.get("/a", { websocket: false, wsHandler: echo }, page),
    /websocket must not be false for a route with wsHandler: \/a/,
  );
  assert.throws(() => app.post("/a", { wsHandler: echo }, page), /must be GET, got POST for \/a/);
  await app.close();
});

test("an ordinary route answers an upgrade request like any other", async () => {
  const app = fastify();
  await app.register(websocket);
  app.get("/plain", () => "plain");
  await app.listen({ port: 0, host: "127.0.0.1" });
  await assert.rejects(connect(`ws://127.0.0.1:${portOf(app.server)}/plain`), { code: "UNEXPECTED_STATUS" });
  await app.close();
});

test("a request with a body is not a WebSocket handshake, and reaches the application with its body", async (t) => {
  const app = fastify();
  await app.register(websocket);
  app.post("/orders", ({ body }) => `ordered ${String(body)}`);
  await app.listen({ port: 0, host: "127.0.0.1" });
  const head = "POST /orders HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nContent-Type: text/plain\r\n";
  for (const upgrade of ["Upgrade: h2c\r\n", "Upgrade: websocket\r\n"]) {
    for (const rest of ["Content-Length: 4\r\n\r\nfour", "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n"]) {
      const answer = await Raw.to(t, { port: portOf(app.server) })
        .send(head, upgrade, rest)
        .answer();
      assert.deepEqual([answer.status, answer.rest.toString()], [200, "ordered four"]);
    }
  }
  await app.close();
});

type Found = (error: Error | null, ...found: unknown[]) => void;

test("on every address of a host, requests for other upgrades stay ordinary requests", async (t) => {
  // Fastify listens on the first address of "localhost", and then on the others. Node.js 22 and
  // later look up all addresses even to listen on one.
  const { lookup } = dns;
  t.mock.method(dns, "lookup", (host: string, ...rest: [...options: object[], callback: Found]) => {
    if (host !== "localhost") return Reflect.apply(lookup, dns, [host, ...rest]);
    const callback = rest.pop() as Found;
    const [options = {}] = rest as { readonly all?: boolean }[];
    const all = [
      { address: "127.0.0.1", family: 4 },
      { address: "127.0.0.2", family: 4 },
    ];
    return process.nextTick(callback, null, ...(options.all === true ? [all] : ["127.0.0.1", 4]));
  });
  const app = fastify();
  t.after(() => app.close());
  await app.register(websocket);
  app.post("/orders", ({ body }) => `ordered ${String(body)}`);
  app.get("/chat", { websocket: true }, echo);
  await app.listen({ port: 0, host: "localhost" });
  const addresses = app.addresses();
  assert.equal(addresses.length, 2);
  const post = "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n";
  for (const { address: host, port } of addresses as AddressInfo[]) {
    const raw = Raw.to(t, { host, port }).send(post, "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\nfour");
    await raw.until((got) => got.includes("four"));
    raw.send(post, "Connection: close\r\n\r\nmore");
    await raw.gone();
    assert.match(raw.received.toString(), /ordered four.*ordered more$/s);
    const upgraded = Raw.to(t, { host, port }).send(upgradeRequest("/chat"), frame(TEXT, "one"));
    await upgraded.until((got) => got.toString().endsWith("one"));
    assert.match(upgraded.received.toString(), /^HTTP\/1\.1 101 .*one$/s);
    upgraded.stream.destroy();
  }
});

test("routes with parameters, validated; `route, with parameters, validated", async () => {
  const app = fastify();
  await app.register(websocket, { protocols: ["chat"] });
  app.get<{ Params: { room: string } }>(
    "/rooms/:room",
    { websocket: true, schema: { params: { type: "object", properties: { room: { type: "string", maxLength: 5 } } } } },
    (connection, request) => void connection.write(`${request.params.room} ${connection.protocol}`),
  );
  await app.listen({ port: 0, host: "127.0.0.1" });
  const connection = await connect(`ws://127.0.0.1:${portOf(app.server)}/rooms/lobby`, { protocols: ["chat"] });
  assert.deepEqual(await take(connection, 1), ["lobby chat"]);
  await assert.rejects(connect(`ws://127.0.0.1:${portOf(app.server)}/rooms/too-long`), /got 400/);
  await app.close();
});
