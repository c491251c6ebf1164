import fastify from "fastify";
import assert from "node:assert/strict";
import { createServer, type RequestListener, Server as HttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { WebSocketServer as WsServer } from "ws";
import { MemoryBudget } from "../../src/connection/memory-budget.ts";
import { connect } from "../../src/client/connect.ts";
import { websocket } from "../../src/frameworks/fastify.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import type { ServerListenOptions, WebSocketServerOptions } from "../../src/server/options.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { take } from "../support/connected.ts";
import { selfSigned } from "../support/pairs.ts";
import { frame, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { end, serve, type Served, turns } from "../support/server.ts";

const { key, cert } = selfSigned();

const page: RequestListener = (request, response) => void response.end(`page ${request.url}`);

const GET = "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LAST = "GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

function echo(connection: WebSocketConnection): void {
  connection.on("message", (message) => void connection.write(message));
}

/** Sends a request and waits for the page. */
async function ask(raw: Raw, request = GET): Promise<string> {
  const before = raw.received.length;
  raw.send(request);
  await raw.until((got) => got.includes("page", before));
  return raw.received.toString("latin1", before);
}

const PORTS: readonly [name: string, where: ServerListenOptions, ca: string | undefined][] = [
  ["plain", {}, undefined],
  ["with TLS", { tls: { key, cert } }, cert],
];

for (const [name, where, ca] of PORTS) {
  describe(`a port with http, ${name}`, () => {
    const serving = (t: TestContext, options: WebSocketServerOptions = {}, http = page): Promise<Served> =>
      serve(t, options, { ...where, http });

    test("answers requests and accepts WebSockets", async (t) => {
      const served = await serving(t);
      served.server.on("connection", echo);
      const scheme = ca === undefined ? "ws" : "wss";
      const url = `${scheme}://localhost:${served.port}/chat`;
      const client = await connect(url, { proxy: false, family: 4, ...(ca === undefined ? {} : { tls: { ca } }) });
      assert.match(await ask(Raw.to(t, served, ca)), /^HTTP\/1\.1 200 OK\r\n.*page \/page$/s);
      await client.send("one");
      assert.deepEqual(await take(client, 1), ["one"]);
      assert.deepEqual(served.refused, []);
      await client.close();
    });

    for (const size of [5, 60_000]) {
      test(`a connection used for requests becomes a WebSocket, with messages of ${size} bytes`, async (t) => {
        const served = await serving(t);
        served.server.on("connection", echo);
        const raw = Raw.to(t, served, ca);
        for (let number = 0; number < 3; number++) await ask(raw);
        const before = raw.received.length;
        const payload = "x".repeat(size);
        raw.send(upgradeRequest("/chat"), frame(TEXT, payload));
        const tail = (got: Buffer): string => got.toString("latin1", before);
        const head = /^HTTP\/1\.1 101 .*?\r\n\r\n/s;
        for (let number = 1; number <= 3; number++) {
          await raw.until((got) => tail(got).replace(head, "").length >= number * (size + (size < 126 ? 2 : 4)));
          raw.send(frame(TEXT, payload));
        }
        assert.match(tail(raw.received), head);
        assert.equal(served.accepted[0]?.request.raw?.url, "/chat");
        assert.equal(served.accepted[0]?.connection.headers.get("host"), "localhost");
      });
    }

    test("other upgrade listeners receive the rest of such a connection, and upgrades to their protocol", async (t) => {
      const http = createServer(page);
      const served = await serve(t, { path: "/ours" }, { ...where, http });
      const theirs = new WsServer({ noServer: true });
      http.on("upgrade", (request, socket, head) => {
        if (request.url === "/ours") return;
        if (request.headers.upgrade === "time") socket.end("HTTP/1.1 101 Switching Protocols\r\n\r\nnoon");
        else theirs.handleUpgrade(request, socket, head, (client) => client.on("message", (data) => client.send(data)));
      });
      const payload = "y".repeat(50_000);
      for (const first of ["", GET]) {
        const raw = Raw.to(t, served, ca);
        if (first !== "") await ask(raw, first);
        const before = raw.received.length;
        raw.send(upgradeRequest("/theirs"), frame(TEXT, payload));
        await raw.until((got) => got.length - before > payload.length);
        raw.send(frame(TEXT, payload));
        await raw.until((got) => got.length - before > 2 * payload.length);
        const time = Raw.to(t, served, ca);
        if (first !== "") await ask(time, first);
        time.send(upgradeRequest("/", { Upgrade: "time" }));
        await time.until(() => false);
        assert.match(time.received.toString("latin1"), /noon$/);
      }
      assert.equal((await Raw.to(t, served, ca).send(upgradeRequest("/ours")).head()).status, 101);
      for (const client of theirs.clients) client.terminate();
    });

    test("a listener sees the source of a request", async (t) => {
      const served = await serving(t, {}, ({ socket }, response) => {
        const { remoteAddress, remotePort = 0, localPort } = socket;
        response.end(`page ${remoteAddress} ${remotePort > 0} ${localPort} ${"encrypted" in socket}`);
      });
      const answer = await ask(Raw.to(t, served, ca));
      assert.ok(answer.endsWith(`page 127.0.0.1 true ${served.port} ${ca !== undefined}`), answer);
    });

    test("limits of the first head apply to every request", async (t) => {
      const served = await serving(t, { handshakeLimits: { maxHeadSize: 200, maxHeaders: 3 } });
      const big = `GET / HTTP/1.1\r\nX-A: ${"b".repeat(200)}\r\n\r\n`;
      assert.equal((await Raw.to(t, served, ca).send(big).answer()).status, 431);
      const many = `GET / HTTP/1.1\r\n${"A: b\r\n".repeat(4)}\r\n`;
      assert.equal((await Raw.to(t, served, ca).send(many).answer()).status, 431);
      await served.until(() => served.refused.length === 2);
      assert.deepEqual(
        served.refused.map(({ code }) => code),
        ["HEAD_TOO_BIG", "TOO_MANY_HEADERS"],
      );
      assert.match(await ask(Raw.to(t, served, ca), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), /200 OK/);
    });

    test("an incomplete first head gets 408; a complete one has no more deadline", async (t) => {
      const clock = new VirtualClock();
      const served = await serving(t, { clock, handshakeTimeout: 1000 });
      const slow = Raw.to(t, served, ca).send("GET / HTTP/1.1\r\n");
      const silent = Raw.to(t, served, ca);
      const kept = Raw.to(t, served, ca);
      await ask(kept);
      while (served.server.stats.handshakes < 2) await turns(1);
      await clock.advance(1100);
      assert.deepEqual([(await slow.answer()).status, (await silent.answer()).status], [408, 408]);
      assert.match(await ask(kept), /200 OK/);
    });

    test("close ends idle connections at once, and others after their response", async (t) => {
      const answers: (() => void)[] = [];
      const served = await serving(t, {}, (request, response) => {
        if (request.url === "/page") response.end("page");
        else answers.push(() => void response.end("page, late"));
      });
      const idle = Raw.to(t, served, ca);
      await ask(idle);
      const busy = Raw.to(t, served, ca).send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
      while (answers.length === 0) await turns(1);
      let closed = false;
      const closing = served.server.close().then(() => (closed = true));
      await idle.gone();
      assert.equal(closed, false);
      answers[0]?.();
      await busy.gone();
      assert.match(busy.received.toString(), /page, late$/);
      await closing;
    });

    test("close waits for a request whose head is incomplete, and refuses a handshake", async (t) => {
      const served = await serving(t);
      const [request, handshake] = [Raw.to(t, served, ca), Raw.to(t, served, ca)];
      const text = upgradeRequest();
      // a first response shows that the server has accepted the connections before
      request.send(GET.slice(0, 10));
      handshake.send(text.slice(0, 10));
      while (served.server.stats.handshakes < 2) await turns(1);
      await ask(Raw.to(t, served, ca));
      const closed = served.server.close();
      request.send(GET.slice(10));
      handshake.send(text.slice(10));
      await request.until((got) => got.includes("page"));
      assert.match(String(request.received), /^HTTP\/1\.1 200 OK\r\n.*page \/page$/s);
      await handshake.until((got) => got.includes("\r\n\r\n"));
      assert.match(String(handshake.received), /^HTTP\/1\.1 503 /);
      await closed;
    });

    test("close may be called again while the first call waits for a response", async (t) => {
      const answers: (() => void)[] = [];
      const served = await serving(t, {}, (_request, response) => void answers.push(() => void response.end("page")));
      const busy = Raw.to(t, served, ca).send(GET);
      while (answers.length === 0) await turns(1);
      const closing = [served.server.close(), served.server.close()];
      answers[0]?.();
      await Promise.all(closing);
      await busy.gone();
    });

    test("close terminates connections that do not finish in time", async (t) => {
      const clock = new VirtualClock();
      let asked = false;
      const served = await serving(t, { clock, heartbeat: false }, () => void (asked = true));
      const hanging = Raw.to(t, served, ca).send(GET);
      while (!asked) await turns(1);
      let closed = false;
      const closing = served.server.close(1001, "", 1000).then(() => (closed = true));
      await clock.advance(999);
      assert.equal(closed, false);
      await clock.advance(1);
      await closing;
      await hanging.gone();
    });
  });
}

describe("limits of WebSocket connections with http", () => {
  test("maxConnections: requests are answered, WebSockets get 503", async (t) => {
    const served = await serve(t, { maxConnections: 1 }, { http: page });
    // not yet known to be WebSockets
    const waiting = [1, 2].map(() => Raw.to(t, served).send("GET / HT"));
    while (served.server.stats.handshakes < 2) await turns(1);
    await served.pair();
    assert.match(await ask(Raw.to(t, served)), /200 OK/);
    assert.equal((await Raw.to(t, served).send(upgradeRequest()).answer()).status, 503);
    for (const { stream } of waiting) stream.destroy();
    await served.until(() => served.refused.length === 3);
    assert.deepEqual(served.refused.map(({ code }) => code).toSorted(), [
      "REQUEST_LOST",
      "REQUEST_LOST",
      "SERVER_FULL",
    ]);
  });

  test("maxConnections: handshakes waiting for authorize count", async (t) => {
    const answers: ((decision: boolean) => void)[] = [];
    const authorize = (): Promise<boolean> => new Promise((resolve) => answers.push(resolve));
    const served = await serve(t, { maxConnections: 1, authorize }, { http: page });
    const first = Raw.to(t, served).send(upgradeRequest());
    while (answers.length === 0) await turns(1);
    assert.equal((await Raw.to(t, served).send(upgradeRequest()).answer()).status, 503);
    answers[0]?.(false);
    assert.equal((await first.answer()).status, 403);
    const second = Raw.to(t, served).send(upgradeRequest());
    while (answers.length === 1) await turns(1);
    answers[1]?.(true);
    assert.equal((await second.head()).status, 101);
  });

  test("maxHandshakes: incomplete heads count, whatever they will be", async (t) => {
    const served = await serve(t, { maxHandshakes: 2 }, { http: page });
    const slow = [1, 2].map(() => Raw.to(t, served).send("GET"));
    while (served.server.stats.handshakes < 2) await turns(1);
    assert.equal((await Raw.to(t, served).send(GET).answer()).status, 503);
    for (const raw of slow) raw.send(` /page HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    for (const raw of slow) await raw.until((got) => got.includes("page /page"));
    // requests that were passed on do not count
    assert.match(await ask(Raw.to(t, served)), /200 OK/);
  });

  for (const [name, where, ca] of PORTS) {
    test(`maxConnectionsPerAddress, ${name}: silent connections and WebSockets are limited separately, requests are not`, async (t) => {
      const served = await serve(t, { maxConnectionsPerAddress: 2 }, { ...where, http: page });
      const sockets = [1, 2].map(() => Raw.to(t, served, ca).send(upgradeRequest()));
      for (const socket of sockets) assert.equal((await socket.head()).status, 101);
      for (let number = 0; number < 5; number++) assert.match(await ask(Raw.to(t, served, ca)), /200 OK/);
      assert.equal((await Raw.to(t, served, ca).send(upgradeRequest()).answer()).status, 429);
      const silent = [1, 2].map(() => Raw.to(t, served, ca));
      while (served.server.stats.handshakes < 2) await turns(1);
      const third = Raw.to(t, served, ca);
      await third.gone();
      if (ca === undefined) assert.match(third.received.toString(), /^HTTP\/1\.1 429 /);
      for (const { stream } of silent) stream.destroy();
      while (served.server.stats.handshakes > 0) await turns(1);
      assert.match(await ask(Raw.to(t, served, ca)), /200 OK/);
    });
  }

  test("memory: requests are answered, WebSockets get 503", async (t) => {
    const memoryBudget = new MemoryBudget(100_000);
    const served = await serve(t, { memoryBudget }, { http: page });
    const [client, connection] = await served.pair({ memoryBudget: Infinity });
    client.write(Buffer.alloc(80_000)); // not read
    while (!memoryBudget.underPressure) await turns(1);
    assert.match(await ask(Raw.to(t, served)), /200 OK/);
    assert.equal((await Raw.to(t, served).send(upgradeRequest()).answer()).status, 503);
    connection.terminate();
  });
});

describe("the HTTP server behind a port", () => {
  test("keeps its own timeouts", async (t) => {
    const http = createServer({ headersTimeout: 50, requestTimeout: 50, connectionsCheckingInterval: 20 }, page);
    const served = await serve(t, {}, { http });
    const raw = Raw.to(t, served);
    await ask(raw);
    raw.send("GET / HTTP/1.1\r\n");
    await raw.gone();
    assert.match(raw.received.toString("latin1"), /HTTP\/1\.1 408 /);
  });

  test("keeps its own connection limit", async (t) => {
    const http = createServer(page);
    http.maxConnections = 1;
    const dropped: unknown[] = [];
    http.on("drop", (data) => dropped.push(data?.remoteAddress));
    const served = await serve(t, {}, { http });
    const first = Raw.to(t, served);
    await ask(first);
    const second = Raw.to(t, served).send(GET);
    await second.gone();
    assert.deepEqual([second.received.length, dropped], [0, ["127.0.0.1"]]);
    await ask(first, LAST);
    await first.gone();
    assert.match(await ask(Raw.to(t, served)), /200 OK/);
  });

  test("may listen itself, be behind several ports, and have other WebSocketServers attached for their paths", async (t) => {
    const http = createServer(page);
    const own = await listening(t, http);
    const news = new WebSocketServer().on("connection", (connection) => void connection.write("news"));
    news.attach(http, { path: "/news" });
    t.after(() => end(news));
    const server = new WebSocketServer({ path: "/chat" }).on(
      "connection",
      (connection) => void connection.write("chat"),
    );
    t.after(() => end(server));
    const ports = [own];
    for (let number = 0; number < 2; number++) {
      const address = await server.listen({ http });
      if (typeof address === "object") ports.push(address.port);
    }
    for (const port of ports) {
      assert.match(await ask(Raw.to(t, { port })), /page \/page/);
      for (const name of ["news", "chat"]) {
        const client = await connect(`ws://127.0.0.1:${port}/${name}`, { proxy: false });
        assert.deepEqual(await take(client, 1), [name]);
        client.terminate();
      }
      assert.equal((await Raw.to(t, { port }).send(upgradeRequest("/nobody")).answer()).status, 404);
    }
    await server.close();
    assert.ok(http.listening);
    assert.match(await ask(Raw.to(t, { port: own })), /page \/page/);
    assert.equal(http.listenerCount("upgrade"), 1);
  });

  test("may be Fastify's, whose WebSocket routes stay with it", async (t) => {
    const app = fastify();
    await app.register(websocket);
    app.get("/fastify", { websocket: true }, (connection) => void connection.write("fastify"));
    app.get("/page", () => "page");
    t.after(() => app.close());
    const served = await serve(t, { path: "/ours" }, { http: app });
    served.server.on("connection", (connection) => void connection.write("ours"));
    assert.match(await ask(Raw.to(t, served)), /page$/);
    for (const name of ["ours", "fastify"]) {
      const client = await connect(`ws://127.0.0.1:${served.port}/${name}`, { proxy: false });
      assert.deepEqual(await take(client, 1), [name]);
      await client.close();
    }
    assert.equal(served.accepted.length, 1);
    assert.equal((await Raw.to(t, served).send(upgradeRequest("/nobody")).answer()).status, 404);
  });

  test("is unchanged when the port is closed, or cannot be opened", async (t) => {
    const http = createServer(page);
    const taken = createTcpServer();
    const port = await listening(t, taken);
    const failing = new WebSocketServer();
    await assert.rejects(failing.listen({ port, http }), { code: "EADDRINUSE" });
    assert.equal(http.listenerCount("upgrade"), 0);
    const server = new WebSocketServer();
    await server.listen({ http });
    assert.equal(http.listenerCount("upgrade"), 1);
    await server.close();
    assert.equal(http.listenerCount("upgrade"), 0);
    await listening(t, http);
  });

  test("on a Unix socket", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "tungstate-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "socket");
    const server = new WebSocketServer().on("connection", echo);
    t.after(() => end(server));
    await server.listen({ path, http: page });
    const raw = Raw.to(t, { path });
    assert.match(await ask(raw), /page \/page$/);
    assert.equal((await Raw.to(t, { path }).send(upgradeRequest()).head()).status, 101);
  });

  test("clients that disconnect at any moment affect nothing else", async (t) => {
    const served = await serve(t, {}, { http: page });
    for (const sent of ["", "GET", GET, GET + GET, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab`]) {
      for (const abrupt of [true, false]) {
        const raw = Raw.to(t, served);
        await once(raw.stream, "connect");
        raw.send(sent);
        if (abrupt && "resetAndDestroy" in raw.stream) (raw.stream.resetAndDestroy as () => void)();
        else raw.stream.end();
        await raw.gone();
      }
    }
    while (served.server.stats.handshakes > 0) await turns(1);
    assert.match(await ask(Raw.to(t, served)), /200 OK/);
  });

  const wrong: readonly [name: string, http: unknown, message: RegExp][] = [
    ["a text", "app", /http must be a request listener, a server of node:http, or .*, got "app"/],
    ["null", null, /got null/],
    ["an object", {}, /got Object/],
    ["a server of node:net", createTcpServer(), /http must be a request listener/],
    [
      "a server of node:https, without tls",
      createHttpsServer({ key, cert }),
      /http must be a server of node:http on a port without tls, got a server of node:https/,
    ],
  ];
  for (const [name, http, message] of wrong) {
    test(`rejects ${name}`, async () => {
      const server = new WebSocketServer();
      await assert.rejects(server.listen({ http: http as HttpServer }), { code: "INVALID_ARGUMENT", message });
      await server.close();
    });
  }

  test("rejects another server for the same path", async () => {
    const http = createServer(page);
    const first = new WebSocketServer().attach(http);
    const second = new WebSocketServer();
    await assert.rejects(second.listen({ http }), {
      code: "INVALID_STATE",
      message: /already accepts upgrades for every path/,
    });
    await first.listen({ http }); // itself
    await first.close();
    assert.equal(http.listenerCount("upgrade"), 1);
    first.detach();
    assert.equal(http.listenerCount("upgrade"), 0);
  });
});

/** Any free port; the server is closed when the test ends. */
async function listening(t: TestContext, server: Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.close();
    if (server instanceof HttpServer) server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}
