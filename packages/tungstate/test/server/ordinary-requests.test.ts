import assert from "node:assert/strict";
import { createServer, IncomingMessage, type ServerOptions } from "node:http";
import type { Duplex } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { WebSocketServer } from "../../src/server/server.ts";
import { selfSigned } from "../support/pairs.ts";
import { ACCEPT, Raw, upgradeRequest } from "../support/raw.ts";
import { answered, app, HTTP_ROUTES, type HttpRoute, listening } from "./support/http-routes.ts";

const { cert } = selfSigned();

const H2C = { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA" };

/** Returns a request head. */
function head(line: string, fields: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries({ Host: "localhost", ...fields }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

const LAST = head("GET /last", { Connection: "close" });

/** Steps: what is sent, and what must arrive before the next one. */
type Steps = readonly (readonly [send: string, until: RegExp])[];

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
  ["no upgrade", [[head("GET /a"), answered("/a")]]],
  ["three requests at once", [[head("GET /a") + head("GET /b") + head("GET /c"), answered("/c")]]],
  [
    "a body with a request behind it",
    [[`${head("POST /a", { "Content-Length": "5" })}hello${head("GET /b")}`, answered("/b")]],
  ],
  ["a large body", [[head("POST /a", { "Content-Length": "300000" }) + "x".repeat(300_000), answered("/a")]]],
  [
    "a large body behind its head",
    [
      [head("POST /a", { "Content-Length": "300000" }), /^/],
      ["x".repeat(300_000), answered("/a")],
    ],
  ],
  ["an expectation that nobody has", [[head("POST /a", { Expect: "a miracle", "Content-Length": "0" }), /417/]]],
  ["a whole URL", [[head("GET http://localhost/a"), /\r\n\r\n.*\]/s]]],
  ["HTTP/1.0", [["GET /a HTTP/1.0\r\n\r\n", answered("/a")]]],
  ["HTTP/1.0 that keeps its connection", [["GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", answered("/a")]]],
  ["HTTP/2", [["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /^$/]]],
  ["no Host", [["GET /a HTTP/1.1\r\n\r\n", /400/]]],
  ["empty lines in front", [[`\r\n\r\n${head("GET /a")}`, answered("/a")]]],
  ["lines that end in LF", [["GET /a HTTP/1.1\nHost: localhost\n\n", /HTTP/]]],
  ["CONNECT", [["CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", /^$/]]],
  ["a method that is none", [["FETCH /a HTTP/1.1\r\nHost: localhost\r\n\r\n", /400/]]],
  ["no HTTP at all", [["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", /400/]]],
  ["a head that is none", [["GET /a HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nno colon\r\n\r\n", /400/]]],
];

/** Returns everything that the server sent. */
async function exchange(t: TestContext, route: HttpRoute, withWebSockets: boolean, steps: Steps): Promise<string> {
  const port = await route.start(t, withWebSockets);
  const raw = Raw.to(t, { port }, route.tls === true ? cert : undefined);
  for (const [send, until] of steps) {
    const before = raw.received.length;
    raw.send(send);
    await raw.until((got) => until.test(got.toString("latin1", before)));
  }
  raw.send(LAST);
  await raw.until(() => false);
  return raw.received.toString("latin1").replace(/^date: .*\r\n/gim, "");
}

for (const route of HTTP_ROUTES) {
  describe(`${route.name}: a request without a WebSocket upgrade is an ordinary request`, () => {
    for (const [name, steps] of CASES) {
      test(name, async (t) => {
        const [without, with_] = await Promise.all([false, true].map((some) => exchange(t, route, some, steps)));
        assert.equal(with_, without);
        if (name !== "CONNECT") assert.match(String(without), /^HTTP\/1\.1 /);
      });
    }

    test("a list that includes websocket is a handshake", async (t) => {
      const raw = Raw.to(t, { port: await route.start(t, true) }, route.tls === true ? cert : undefined);
      raw.send(
        upgradeRequest("/a", { Upgrade: "h2c, WebSocket", Connection: "keep-alive, upgrade", "HTTP2-Settings": "" }),
      );
      const { status, headers } = await raw.head();
      // if the framework decides, it says so
      if (route.framework === true) assert.equal(status, 200);
      else assert.deepEqual([status, headers["sec-websocket-accept"]], [101, ACCEPT]);
    });
  });
}

describe("other listeners", () => {
  const TIME = upgradeRequest("/", { Upgrade: "time", "Sec-WebSocket-Key": undefined });

  for (const order of ["before", "after"]) {
    test(`added ${order} ours, receive what they would receive without it`, async (t) => {
      const server = createServer(app);
      const received: (string | undefined)[] = [];
      const theirs = ({ headers }: IncomingMessage, socket: Duplex): void => {
        received.push(headers.upgrade);
        if (headers.upgrade === "time") socket.end("HTTP/1.1 101 Switching Protocols\r\n\r\nnoon");
        else if (headers.upgrade === "h2c") socket.end("HTTP/1.1 501 Not Implemented\r\n\r\n");
      };
      if (order === "before") server.on("upgrade", theirs);
      new WebSocketServer().attach(server);
      if (order === "after") server.on("upgrade", theirs);
      const port = await listening(t, server);
      assert.equal((await Raw.to(t, { port }).send(TIME).answer()).rest.toString(), "noon");
      assert.equal((await Raw.to(t, { port }).send(head("GET /a", H2C)).answer()).status, 501);
      assert.equal((await Raw.to(t, { port }).send(upgradeRequest()).head()).headers["sec-websocket-accept"], ACCEPT);
      assert.deepEqual(received, ["time", "h2c", "websocket"]);
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

  test("a server that decides itself which upgrades to accept continues to do so", async (t) => {
    const options: ServerOptions & { shouldUpgradeCallback: (request: IncomingMessage) => boolean } = {
      shouldUpgradeCallback: ({ headers }) => headers.upgrade === "time",
    };
    const server = createServer(options, app);
    new WebSocketServer().attach(server);
    server.on("upgrade", ({ headers }: IncomingMessage, socket: Duplex) => {
      if (headers.upgrade !== "websocket") socket.end(`HTTP/1.1 101 Switching Protocols\r\n\r\n${headers.upgrade}`);
    });
    const port = await listening(t, server);
    assert.equal((await Raw.to(t, { port }).send(TIME).answer()).rest.toString(), "time");
    assert.equal((await Raw.to(t, { port }).send(upgradeRequest()).head()).status, 101);
    // this version of Node does not have the option
    if (!("shouldUpgradeCallback" in server)) return;
    const h2c = head("GET /a", { ...H2C, Connection: "upgrade, close" });
    assert.equal((await Raw.to(t, { port }).send(h2c).answer()).status, 200);
  });

  test("a request class of the application is kept", async (t) => {
    class Request extends IncomingMessage {
      readonly own = true;
    }
    const server = createServer({ IncomingMessage: Request }, (request, response) => {
      response.end(
        String([request instanceof Request && request.own, request.constructor.name, Reflect.get(request, "upgrade")]),
      );
    });
    new WebSocketServer().attach(server);
    const port = await listening(t, server);
    for (const fields of [{}, { Upgrade: "h2c" }]) {
      const request = head("GET /", { ...fields, Connection: "upgrade, close" });
      assert.equal((await Raw.to(t, { port }).send(request).answer()).rest.toString(), "true,Request,false");
    }
  });
});

test("after detaching, a server is unchanged", async (t) => {
  const server = createServer(app);
  const before = Object.getOwnPropertyDescriptors(server);
  const chat = new WebSocketServer().attach(server);
  const fresh = { ...Object.getOwnPropertyDescriptors(chat.detach() && server) };
  for (const name of Reflect.ownKeys(before)) {
    if (name === "_events" || name === "_eventsCount") continue;
    assert.deepEqual(Reflect.get(fresh, name), Reflect.get(before, name), String(name));
  }
  assert.equal(server.listenerCount("upgrade"), 0);
  const port = await listening(t, server);
  const answer = await Raw.to(t, { port })
    .send(upgradeRequest("/", { Connection: "upgrade, close" }))
    .answer();
  assert.equal(answer.status, 200);
});

test("HTTP/1.0 has no upgrades", async (t) => {
  const server = createServer(app);
  new WebSocketServer().attach(server);
  const port = await listening(t, server);
  const answer = await Raw.to(t, { port })
    .send(upgradeRequest("/", {}, "GET / HTTP/1.0"))
    .answer();
  assert.equal(answer.status, 200);
});
