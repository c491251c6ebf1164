// An HTTP server that a WebSocketServer is attached to answers all other requests as without it,
// byte by byte, whatever they are and however they arrive.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener, type Server as HttpServer, type ServerOptions } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { connect } from "../../src/client/connect.ts";
import type { WebSocketServerOptions } from "../../src/server/options.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { selfSigned } from "../support/pairs.ts";
import { Raw, upgradeRequest } from "../support/raw.ts";
import { end, turns } from "../support/server.ts";
import { skipPortable } from "../support/portable.ts";

const listener: RequestListener = (request, response) => {
  response.sendDate = false;
  if (request.url === "/slow") setImmediate(() => response.end("slow"));
  else if (request.url === "/early") response.end("early");
  else {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => response.end(`${request.method} ${request.url} [${String(Buffer.concat(chunks))}]`));
  }
};

const HEAD = "Host: localhost\r\n";
const LAST = `${HEAD}Connection: close\r\n`;

/** Requests, each the whole input of one connection. */
const REQUESTS: Readonly<Record<string, string>> = {
  "a GET": `GET /a HTTP/1.1\r\n${LAST}\r\n`,
  "HTTP/1.0": "GET /old HTTP/1.0\r\n\r\n",
  "HTTP/1.0 with keep-alive": `GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n`,
  "keep-alive": `GET /1 HTTP/1.1\r\n${HEAD}\r\nGET /2 HTTP/1.1\r\n${LAST}\r\n`,
  "pipelined requests": `GET /slow HTTP/1.1\r\n${HEAD}\r\n`.repeat(5) + `GET /last HTTP/1.1\r\n${LAST}\r\n`,
  "a POST": `POST /post HTTP/1.1\r\n${LAST}Content-Length: 4\r\n\r\nbody`,
  "a POST in chunks": `POST /post HTTP/1.1\r\n${LAST}Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n`,
  "a pipelined POST": `POST /1 HTTP/1.1\r\n${HEAD}Content-Length: 4\r\n\r\nbodyPOST /2 HTTP/1.1\r\n${LAST}Content-Length: 2\r\n\r\nok`,
  "Expect: 100-continue": `POST /post HTTP/1.1\r\n${LAST}Expect: 100-continue\r\nContent-Length: 4\r\n\r\nbody`,
  "an unknown expectation": `GET / HTTP/1.1\r\n${LAST}Expect: more\r\n\r\n`,
  "empty lines first": `\r\n\r\nGET /a HTTP/1.1\r\n${LAST}\r\n`,
  "no Host": "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
  "two Hosts": `GET / HTTP/1.1\r\n${LAST}Host: other\r\n\r\n`,
  "an upgrade to h2c": `GET /up HTTP/1.1\r\n${HEAD}Connection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n`,
  CONNECT: `CONNECT a:1 HTTP/1.1\r\n${LAST}\r\n`,
  "OPTIONS *": `OPTIONS * HTTP/1.1\r\n${LAST}\r\n`,
  "an unknown method": `NONSENSE / HTTP/1.1\r\n${LAST}\r\n`,
  "no version": "GET /\r\n\r\n",
  "HTTP/2 with prior knowledge": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "TLS on a port without it": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "a folded header": `GET /f HTTP/1.1\r\n${LAST}X: a\r\n b\r\n\r\n`,
  "a space before the colon": `GET /f HTTP/1.1\r\n${LAST}X : a\r\n\r\n`,
  "bare line feeds": "GET /lf HTTP/1.1\nHost: a\nConnection: close\n\n",
  "a control character": `GET /c HTTP/1.1\r\n${LAST}X: a\x01b\r\n\r\n`,
  "two lengths": `POST / HTTP/1.1\r\n${LAST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
  "length and chunks": `POST / HTTP/1.1\r\n${LAST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  "a head larger than the limit of the server": `GET /big HTTP/1.1\r\n${LAST}X: ${"x".repeat(17_000)}\r\n\r\n`,
  "many fields": `GET /many HTTP/1.1\r\n${LAST}${"A: b\r\n".repeat(500)}\r\n`,
  "a head that ends early": "GET /cut HTTP/1.1\r\nHost: lo",
  "a body that ends early": `POST /cut HTTP/1.1\r\n${HEAD}Content-Length: 10\r\n\r\nab`,
  nothing: "",
};

interface Door {
  readonly secure?: true;
  readonly server?: (options: ServerOptions) => HttpServer | HttpsServer;
  /** Starts the server. Returns the port. */
  readonly start?: (t: TestContext, server: HttpServer | HttpsServer) => Promise<number>;
}

async function portOf(t: TestContext, server: HttpServer | HttpsServer): Promise<number> {
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const plain = (options: ServerOptions): HttpServer => createServer(options, listener);

const DOORS: Readonly<Record<string, Door>> = {
  "node:http": {},
  "node:http with another connection listener": {
    server: (options) => plain(options).on("connection", () => undefined),
  },
  "node:http that is given connections by other code": {
    async start(t, server) {
      const sockets = new Set<Socket>();
      const net = createTcpServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket);
        server.emit("connection", socket);
      });
      await once(net.listen(0, "127.0.0.1"), "listening");
      t.after(() => {
        for (const socket of sockets) socket.destroy();
        net.close();
      });
      return (net.address() as AddressInfo).port;
    },
  },
  "node:https": {
    secure: true,
    server: (options) => createHttpsServer({ ...options, ...selfSigned() }, listener),
  },
};

interface Started {
  readonly server: HttpServer | HttpsServer;
  readonly ws: WebSocketServer | undefined;
  raw(): Raw;
}

async function open(
  t: TestContext,
  { secure, server: make = plain, start = portOf }: Door,
  attached: boolean,
  { options = {}, ws: wsOptions = {} }: { options?: ServerOptions; ws?: WebSocketServerOptions } = {},
): Promise<Started> {
  const server = make(options);
  const ws = attached ? new WebSocketServer({ path: "/ws", ...wsOptions }).attach(server) : undefined;
  if (ws !== undefined) t.after(() => end(ws));
  const port = await start(t, server);
  return { server, ws, raw: () => Raw.to(t, { port }, secure === true ? selfSigned().cert : undefined) };
}

/**
 * Sends the parts one after another, and returns everything received until the server ends the
 * connection.
 */
async function exchange(raw: Raw, parts: readonly string[], ends: boolean): Promise<string> {
  for (const [index, part] of parts.entries()) {
    if (index > 0) await turns(3);
    if (part !== "") raw.send(Buffer.from(part, "latin1"));
  }
  if (ends) raw.stream.end();
  await raw.until(() => false);
  raw.stream.destroy();
  // node:http adds the time to responses of its own
  return raw.received.toString("latin1").replaceAll(/Date: .*\r\n/g, "");
}

const ENDED = new Set(["a head that ends early", "a body that ends early", "nothing"]);

for (const [name, door] of Object.entries(DOORS)) {
  describe(`${name} answers as without a WebSocketServer`, () => {
    for (const [what, request] of Object.entries(REQUESTS)) {
      test(what, async (t) => {
        const [without, attached] = [await open(t, door, false), await open(t, door, true)];
        const isEnded = ENDED.has(what);
        const expected = await exchange(without.raw(), [request], isEnded);
        // a socket reports its end once: a request that ends in its head is answered by us
        const isSocket = name !== "node:http" || skipPortable !== false;
        const isOurs = what === "a head that ends early" && isSocket;
        const same = (got: string): void => {
          if (isOurs) assert.match(got, /^HTTP\/1\.1 400 /);
          else assert.equal(got, expected);
        };
        same(await exchange(attached.raw(), [request], isEnded));
        for (const at of [1, 5, request.length >> 1, request.length - 1]) {
          if (at <= 0 || at >= request.length) continue;
          same(await exchange(attached.raw(), [request.slice(0, at), request.slice(at)], isEnded));
        }
      });
    }

    test("split at every byte", async (t) => {
      const { raw } = await open(t, door, true);
      const { raw: plainRaw } = await open(t, door, false);
      const request = REQUESTS["a pipelined POST"] ?? "";
      const expected = await exchange(plainRaw(), [request], false);
      for (let at = 1; at < request.length; at++) {
        assert.equal(await exchange(raw(), [request.slice(0, at), request.slice(at)], false), expected, `at ${at}`);
      }
      assert.equal(await exchange(raw(), [...request], false), expected);
    });

    test("with larger limits of its own", async (t) => {
      const options = { maxHeaderSize: 64 * 1024 };
      const request = `GET /big HTTP/1.1\r\n${LAST}X: ${"x".repeat(40_000)}\r\n\r\n`;
      const { raw } = await open(t, door, true, { options });
      assert.match(await exchange(raw(), [request], false), /^HTTP\/1\.1 200 OK\r\n/);
      // the limits of the WebSocketServer apply to its handshakes
      const handshake = raw().send(upgradeRequest("/ws", { X: "x".repeat(40_000) }));
      assert.equal((await handshake.answer()).status, 431);
    });

    test("counts its connections, and limits them", async (t) => {
      const { server, ws, raw } = await open(t, door, true);
      const one = raw().send(upgradeRequest("/ws"));
      assert.equal((await one.head()).status, 101);
      const other = raw().send(`GET /a HTTP/1.1\r\n${HEAD}\r\n`);
      await other.until((got) => got.includes("GET /a"));
      const count = (): Promise<number> =>
        new Promise((resolve) => server.getConnections((_error, connections) => resolve(connections)));
      if (!name.includes("other code")) assert.equal(await count(), 2);
      assert.equal(ws?.connections.size, 1);
      if (server.listening) {
        server.maxConnections = 2;
        const dropped = raw();
        await dropped.gone();
        assert.equal(dropped.received.length, 0);
      }
      server.closeAllConnections();
      await other.gone();
      assert.equal(ws?.connections.size, 1);
    });

    test("an upgrade on a kept-alive connection", async (t) => {
      const { ws, raw } = await open(t, door, true);
      const client = raw().send(`GET /a HTTP/1.1\r\n${HEAD}\r\n`);
      await client.until((got) => got.includes("GET /a"));
      const before = client.received.length;
      client.send(upgradeRequest("/ws"));
      await client.until((got) => got.includes("\r\n\r\n", before));
      assert.match(client.received.toString("latin1", before), /^HTTP\/1\.1 101 /);
      assert.equal(ws?.connections.size, 1);
    });

    test("after detach, also connections whose first request has begun", async (t) => {
      const { ws, raw } = await open(t, door, true);
      const [request, handshake] = [raw(), raw()];
      request.send("GET /det");
      handshake.send(upgradeRequest("/ws").slice(0, 20));
      while ((ws?.stats.handshakes ?? 0) < 2) await turns(1);
      ws?.detach();
      request.send(`ach HTTP/1.1\r\n${LAST}\r\n`);
      handshake.send(upgradeRequest("/ws").slice(20));
      assert.match(String((await request.answer()).rest), /^GET \/detach \[\]$/);
      assert.equal((await handshake.head()).status, 200);
      assert.equal(ws?.connections.size, 0);
      assert.equal((await raw().send(upgradeRequest("/ws")).head()).status, 200);
    });

    for (const [what, start] of [
      ["silent", ""],
      ["slow", "GET / HTTP/1.1\r\nHost: l"],
      ["slow, with a head that only node:http reads", "GET / HTTP/1.0\r\nX: a"],
    ] as const) {
      test(`a ${what} client gets 408 within handshakeTimeout`, async (t) => {
        const clock = new VirtualClock();
        const { ws, raw } = await open(t, door, true, { ws: { clock, handshakeTimeout: 5_000 } });
        const refused: string[] = [];
        ws?.on("refused", ({ code }) => refused.push(code));
        const client = raw();
        await once(client.stream, door.secure === true ? "secureConnect" : "connect");
        client.send(start);
        // the server has read the connection before this one
        await exchange(raw(), [REQUESTS["a GET"] ?? ""], false);
        await turns(3);
        await clock.advance(4_900);
        await turns(3);
        assert.deepEqual([client.received.length, refused], [0, []]);
        await clock.advance(1_000);
        assert.equal((await client.answer()).status, 408);
        assert.deepEqual(refused, ["ACCEPT_TIMEOUT"]);
        assert.equal(ws?.stats.handshakes, 0);
      });
    }

    test("a headersTimeout shorter than handshakeTimeout applies", async (t) => {
      const clock = new VirtualClock();
      const options = { headersTimeout: 1_000, requestTimeout: 2_000 };
      const { ws, raw } = await open(t, door, true, { options, ws: { clock } });
      const client = raw().send("GET / HT");
      while (ws?.stats.handshakes !== 1) await turns(1);
      await exchange(raw(), [REQUESTS["a GET"] ?? ""], false);
      await turns(3);
      await clock.advance(1_100);
      assert.equal((await client.answer()).status, 408);
    });
  });
}

test("an attached server may listen later, and several times", async (t) => {
  const server = createServer(listener);
  const ws = new WebSocketServer().attach(server);
  t.after(() => end(ws));
  for (let time = 0; time < 2; time++) {
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const client = await connect(`ws://127.0.0.1:${port}/`, { proxy: false });
    assert.equal(
      await (await fetch(`http://127.0.0.1:${port}/x`, { headers: { connection: "close" } })).text(),
      "GET /x []",
    );
    const closed = once(server, "close");
    server.close();
    await client.close();
    await closed;
  }
});

test("node:http is as before when nothing is attached", async (t) => {
  const server = createServer(listener);
  const port = await portOf(t, server);
  const before = [server.emit, server.closeAllConnections];
  const ws = new WebSocketServer().attach(server);
  await (await connect(`ws://127.0.0.1:${port}/`, { proxy: false })).close();
  ws.detach();
  assert.deepEqual([server.emit, server.closeAllConnections], before);
  assert.deepEqual(Object.keys(server).includes("emit"), false);
  await end(ws);
});

test("the request listener of a handshake is never called", async (t) => {
  const server = createServer(() => assert.fail("node:http has read the handshake"));
  const ws = new WebSocketServer().attach(server);
  t.after(() => end(ws));
  const port = await portOf(t, server);
  for (const pieces of [1, 7, 200]) {
    const raw = Raw.to(t, { port });
    const request = upgradeRequest("/any");
    for (let at = 0; at < request.length; at += Math.ceil(request.length / pieces)) {
      raw.send(request.slice(at, at + Math.ceil(request.length / pieces)));
      await turns(2);
    }
    assert.equal((await raw.head()).status, 101);
  }
});
