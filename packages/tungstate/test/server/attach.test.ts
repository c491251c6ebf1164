import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { connect } from "../../src/client/connect.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import type { WebSocketServerOptions } from "../../src/server/options.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { take } from "../support/connected.ts";
import { selfSigned } from "../support/pairs.ts";
import { CLOSE, closePayload, frame, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { end, turns } from "../support/server.ts";
import { until } from "../support/until.ts";

async function http(t: TestContext, server: Server = createServer((_request, response) => response.end("page"))) {
  const sockets: Socket[] = [];
  server.on("connection", (socket) => sockets.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, "close");
  });
  const { port } = server.address() as AddressInfo;
  return { server, port, url: `ws://127.0.0.1:${port}` };
}

/** A WebSocketServer that sends its name to every client. */
function named(t: TestContext, name: string, options: WebSocketServerOptions = {}): WebSocketServer {
  const server = new WebSocketServer(options);
  server.on("connection", (connection) => void connection.write(name));
  t.after(() => end(server));
  return server;
}

async function greeting(url: string): Promise<string | Uint8Array | undefined> {
  const connection = await connect(url, { proxy: false });
  const [name] = await take(connection, 1);
  connection.terminate();
  await connection.closed;
  return name;
}

const countOf = (server: Server): Promise<number> =>
  new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))));

async function idle(server: Server): Promise<void> {
  await until(async () => (await countOf(server)) === 0, "no connection left");
}

describe("behind node:http", () => {
  test("upgrades become connections, other requests are unchanged", async (t) => {
    const { server, port, url } = await http(t);
    named(t, "chat").attach(server);
    assert.equal(await greeting(`${url}/any/path`), "chat");
    const response = await fetch(`http://127.0.0.1:${port}/`);
    assert.equal(await response.text(), "page");
  });

  test("several share one server by path; one without a path takes the rest", async (t) => {
    const { server, url } = await http(t);
    named(t, "a").attach(server, { path: "/a" });
    named(t, "b").attach(server, { path: "/b" });
    assert.equal(await greeting(`${url}/a`), "a");
    assert.equal(await greeting(`${url}/b?room=/a`), "b");
    await assert.rejects(connect(`${url}/c`, { proxy: false }), (error: { response?: { status: number } }) => {
      assert.equal(error.response?.status, 404);
      return true;
    });
    named(t, "rest").attach(server);
    assert.equal(await greeting(`${url}/c`), "rest");
    assert.equal(await greeting(`${url}/a/`), "rest");
  });

  test("a server with a path is attached for it, unless another one is given", async (t) => {
    const { server, url } = await http(t);
    named(t, "a", { path: "/a" }).attach(server);
    named(t, "b", { path: "/b" }).attach(server);
    assert.equal(await greeting(`${url}/a`), "a");
    assert.equal(await greeting(`${url}/b`), "b");
  });

  test("a target in absolute form is matched by path", async (t) => {
    const { server, port } = await http(t);
    named(t, "a").attach(server, { path: "/a" });
    const raw = Raw.to(t, { port }).send(upgradeRequest("", {}, "GET http://localhost/a HTTP/1.1"));
    assert.equal((await raw.head()).status, 101);
  });

  test("a path can be attached once", async (t) => {
    const { server } = await http(t);
    const chat = named(t, "a").attach(server, { path: "/a" });
    for (const another of [chat, named(t, "b")]) {
      assert.throws(() => another.attach(server, { path: "/a" }), {
        code: "INVALID_STATE",
        message: /another WebSocketServer already accepts upgrades for \/a/,
      });
    }
    chat.detach();
    named(t, "b").attach(server, { path: "/a" });
  });

  test("a client rejected with 404 is not kept, whatever it sends", async (t) => {
    const { server, port } = await http(t);
    named(t, "a").attach(server, { path: "/a" });
    const raws = ["goes", "sends", "stays"].map((what) => ({
      what,
      raw: Raw.to(t, { port }).send(upgradeRequest("/b")),
    }));
    for (const { what, raw } of raws) {
      assert.equal((await raw.head()).status, 404);
      if (what === "sends") raw.send("x".repeat(100_000));
      if (what !== "stays") raw.stream.end();
    }
    await idle(server);
  });

  test("upgrades for other listeners are left to them", async (t) => {
    const { server, port, url } = await http(t);
    const seen: (string | undefined)[] = [];
    server.on("upgrade", (message: IncomingMessage, socket: Duplex) => {
      seen.push(message.url);
      if (message.url === "/theirs") socket.end("HTTP/1.1 418 Theirs\r\nConnection: close\r\n\r\n");
    });
    const chat = named(t, "ours").attach(server, { path: "/ours" });
    assert.equal(await greeting(`${url}/ours`), "ours");
    const raw = Raw.to(t, { port }).send(upgradeRequest("/theirs"));
    assert.equal((await raw.answer()).status, 418);
    assert.deepEqual(seen, ["/ours", "/theirs"]);
    chat.detach();
    assert.equal(server.listenerCount("upgrade"), 1);
  });

  test("close of node:http completes after the connections have ended", async () => {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const chat = new WebSocketServer().attach(server);
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const clients = await Promise.all([1, 2, 3].map(() => connect(url, { proxy: false })));
    assert.equal(await countOf(server), 3);
    const closed = once(server, "close");
    server.close();
    clients[0]?.terminate();
    await clients[1]?.close();
    const ended = Array.from(chat.connections, (connection) => connection.closed);
    for (const connection of chat.connections) connection.terminate();
    await Promise.all([closed, ...ended]);
    assert.equal(chat.connections.size, 0);
  });

  test("destroying the socket of node:http ends the connection", async (t) => {
    const { server, url } = await http(t);
    named(t, "a").attach(server);
    const sockets: Socket[] = [];
    server.on("connection", (socket) => sockets.push(socket));
    const client = await connect(url, { proxy: false });
    sockets[0]?.destroy();
    assert.equal((await client.closed).code, 1006);
    await idle(server);
  });
});

test("behind node:https", async (t) => {
  const { key, cert } = selfSigned();
  const { server, port } = await http(t, createHttpsServer({ key, cert }));
  const chat = named(t, "secure").attach(server);
  const requests: [encrypted: boolean, target: string, raw: unknown][] = [];
  chat.on("connection", (_connection, { encrypted, target, raw }) => requests.push([encrypted, target, raw]));
  const client = await connect(`wss://localhost:${port}/x`, { proxy: false, tls: { ca: cert } });
  assert.deepEqual(await take(client, 1), ["secure"]);
  assert.deepEqual(requests, [[true, "/x", undefined]]);
  await client.close();
});

describe("handleUpgrade", () => {
  /** An http server that passes on its upgrades, and their outcomes. */
  async function handing(t: TestContext, options: WebSocketServerOptions = {}) {
    const { server, port, url } = await http(t);
    const chat = new WebSocketServer(options);
    t.after(() => end(chat));
    const results: Promise<WebSocketConnection | undefined>[] = [];
    server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
      results.push(chat.handleUpgrade(message, socket, head));
    });
    return { server, chat, port, url, results };
  }

  test("resolves with the connection", async (t) => {
    const { url, results, chat } = await handing(t);
    const client = await connect(url, { proxy: false });
    const connection = await results[0];
    assert.ok(connection !== undefined && chat.connections.has(connection));
    client.write("hello");
    assert.deepEqual(await take(connection, 1), ["hello"]);
  });

  const bad: readonly [name: string, request: string, status: number][] = [
    ["a foreign page", upgradeRequest("/", { Origin: "https://evil.example" }), 403],
    ["POST", upgradeRequest("/", {}, "POST / HTTP/1.1"), 405],
    ["HEAD", upgradeRequest("/", {}, "HEAD / HTTP/1.1"), 405],
    ["HTTP/1.0", upgradeRequest("/", {}, "GET / HTTP/1.0"), 505],
    ["version 12", upgradeRequest("/", { "Sec-WebSocket-Version": "12" }), 426],
    ["h2c", upgradeRequest("/", { Upgrade: "h2c" }), 426],
    ["a short key", upgradeRequest("/", { "Sec-WebSocket-Key": "abc" }), 400],
    ["two Hosts", upgradeRequest("/", { "X-A": "b\r\nHost: other" }), 400],
    ["a body", upgradeRequest("/", { "Content-Length": "3" }), 400],
  ];
  for (const [name, text, status] of bad) {
    test(`answers ${name} with ${status}, without a connection`, async (t) => {
      const { server, port, results, chat } = await handing(t);
      const codes: (number | undefined)[] = [];
      chat.on("refused", (error) => codes.push(error.status));
      const raw = Raw.to(t, { port }).send(text);
      const answer = await raw.answer();
      assert.equal(answer.status, status);
      if (name === "HEAD") assert.equal(answer.rest.length, 0);
      assert.equal(await results[0], undefined);
      assert.deepEqual(codes, [status]);
      raw.stream.end();
      await idle(server);
    });
  }

  test("bytes received with the upgrade are the first of the connection, later ones follow", async (t) => {
    let decide: ((decision: boolean) => void) | undefined;
    const { port, results } = await handing(t, { authorize: () => new Promise((resolve) => (decide = resolve)) });
    const raw = Raw.to(t, { port });
    raw.send(upgradeRequest(), frame(TEXT, "one"), frame(TEXT, "two"));
    await until(() => decide !== undefined);
    raw.send(frame(TEXT, "three"));
    await turns(2); // it is read meanwhile
    decide?.(true);
    const head = await raw.head();
    assert.equal(head.status, 101);
    raw.send(frame(TEXT, "four"));
    const connection = await results[0];
    assert.ok(connection !== undefined);
    assert.deepEqual(await take(connection, 4), ["one", "two", "three", "four"]);
  });

  test("an invalid frame among them ends the connection with 1002, and nothing else", async (t) => {
    const { port, results, chat } = await handing(t);
    const errors: unknown[] = [];
    chat.on("error", (error) => errors.push(error));
    const raw = Raw.to(t, { port }).send(upgradeRequest(), Buffer.from([0xff, 0xff, 0xff, 0xff]));
    assert.deepEqual(await raw.frames(1), [{ opcode: CLOSE, payload: closePayload(1002) }]);
    raw.stream.end();
    assert.equal((await (await results[0])?.closed)?.error?.code, "RESERVED_BITS");
    assert.deepEqual(errors, []);
  });

  test("a client that has already disconnected is a short connection", async (t) => {
    const { server, port } = await http(t);
    const chat = new WebSocketServer();
    const handled = new Promise<WebSocketConnection | undefined>((resolve) => {
      server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
        socket.destroy();
        resolve(chat.handleUpgrade(message, socket, head));
      });
    });
    const sent = request({ port, host: "127.0.0.1", headers: { Connection: "Upgrade", Upgrade: "websocket" } });
    sent.on("error", () => undefined).end();
    const connection = await handled;
    await connection?.closed;
    assert.equal(chat.connections.size, 0);
    await idle(server);
  });
});
