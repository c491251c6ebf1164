import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accept } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { ACCEPT, CLOSE, closePayload, frame, PING, PONG, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { serve, turns } from "../support/server.ts";

const GET = "GET / HTTP/1.1";

/** Requests and their responses. */
const BAD: readonly [name: string, request: string, status: number, code: string][] = [
  ["no upgrade", `${GET}\r\nHost: localhost\r\n\r\n`, 426, "NOT_AN_UPGRADE"],
  ["an upgrade to something else", upgradeRequest("/", { Upgrade: "h2c" }), 426, "NOT_AN_UPGRADE"],
  ["Connection without upgrade", upgradeRequest("/", { Connection: "keep-alive" }), 426, "NOT_AN_UPGRADE"],
  ["POST", upgradeRequest("/", {}, "POST / HTTP/1.1"), 405, "METHOD_NOT_GET"],
  ["HEAD", upgradeRequest("/", {}, "HEAD / HTTP/1.1"), 405, "METHOD_NOT_GET"],
  ["HTTP/1.0", upgradeRequest("/", {}, "GET / HTTP/1.0"), 505, "UNSUPPORTED_HTTP_VERSION"],
  ["HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "UNSUPPORTED_HTTP_VERSION"],
  ["version 8", upgradeRequest("/", { "Sec-WebSocket-Version": "8" }), 426, "UNSUPPORTED_VERSION"],
  ["no version", upgradeRequest("/", { "Sec-WebSocket-Version": undefined }), 426, "UNSUPPORTED_VERSION"],
  ["no key", upgradeRequest("/", { "Sec-WebSocket-Key": undefined }), 400, "INVALID_KEY"],
  ["a short key", upgradeRequest("/", { "Sec-WebSocket-Key": "c2hvcnQ=" }), 400, "INVALID_KEY"],
  ["no Host", upgradeRequest("/", { Host: undefined }), 400, "INVALID_HOST"],
  ["a Host that is none", upgradeRequest("/", { Host: "a b" }), 400, "INVALID_HOST"],
  ["two Hosts", upgradeRequest("/", { "X-A": "b\r\nHost: other" }), 400, "INVALID_HOST"],
  ["two Origins", upgradeRequest("/", { Origin: "http://a\r\nOrigin: http://b" }), 400, "INVALID_ORIGIN"],
  ["subprotocols that repeat", upgradeRequest("/", { "Sec-WebSocket-Protocol": "a, a" }), 400, "INVALID_SUBPROTOCOL"],
  ["a broken offer", upgradeRequest("/", { "Sec-WebSocket-Extensions": "x; =" }), 400, "INVALID_EXTENSIONS"],
  ["a body", upgradeRequest("/", { "Content-Length": "1" }), 400, "UNEXPECTED_BODY"],
  ["no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "MALFORMED_HEAD"],
  ["a line that is folded", `${GET}\r\nHost: a\r\n b\r\n\r\n`, 400, "MALFORMED_HEAD"],
  ["a target that is none", upgradeRequest("", {}, "GET example.com HTTP/1.1"), 400, "MALFORMED_HEAD"],
  ["a space before the colon", `${GET}\r\nHost : a\r\n\r\n`, 400, "MALFORMED_HEAD"],
  ["2,000 headers", upgradeRequest("/", { "X-A": Array(2000).fill("b").join("\r\nX-A: ") }), 431, "TOO_MANY_HEADERS"],
  ["a head without end", `${GET}\r\nX-A: ${"b".repeat(20_000)}`, 431, "HEAD_TOO_BIG"],
  ["another site's page", upgradeRequest("/", { Origin: "https://evil.example" }), 403, "ORIGIN_REFUSED"],
  ["a sandboxed page", upgradeRequest("/", { Origin: "null" }), 403, "ORIGIN_REFUSED"],
  [
    "an absolute target whose host is not the page's",
    upgradeRequest("/", { Origin: "http://localhost" }, "GET http://evil.example/ HTTP/1.1"),
    403,
    "ORIGIN_REFUSED",
  ],
];

describe("an invalid request gets its response, and the end", () => {
  for (const [name, request, status, code] of BAD) {
    test(name, async (t) => {
      const served = await serve(t);
      const raw = Raw.to(t, served).send(request);
      const answer = await raw.answer();
      assert.equal(answer.status, status);
      assert.equal(answer.headers["connection"], status === 426 ? "close, Upgrade" : "close");
      assert.equal(answer.headers["sec-websocket-version"], status === 426 ? "13" : undefined);
      assert.equal(answer.headers["upgrade"], status === 426 ? "websocket" : undefined);
      assert.equal(answer.headers["allow"], status === 405 ? "GET" : undefined);
      const length = name === "HEAD" ? 0 : Number(answer.headers["content-length"]);
      assert.equal(answer.rest.length, length);
      raw.stream.end();
      await raw.gone();
      assert.deepEqual(
        served.refused.map((error) => error.code),
        [code],
      );
      assert.deepEqual([served.accepted, served.errors], [[], []]);
    });
  }

  test("also over a memory pipe, and if the client ends its half at once", async () => {
    for (const [name, request, status, code] of BAD) {
      const [near, far] = memoryPipe();
      const raw = new Raw(near).send(request);
      near.end();
      await assert.rejects(accept(far), { code }, name);
      assert.equal((await raw.answer()).status, status, name);
      await raw.gone();
    }
  });
});

describe("a valid request", () => {
  test("gets 101, without anything that was not offered", async (t) => {
    const served = await serve(t);
    const answer = await Raw.to(t, served).send(upgradeRequest()).head();
    assert.equal(answer.status, 101);
    assert.deepEqual(answer.headers, { upgrade: "websocket", connection: "Upgrade", "sec-websocket-accept": ACCEPT });
    assert.equal(answer.rest.length, 0);
  });

  test("may have an absolute target, and arrive in any chunks", async (t) => {
    const served = await serve(t);
    const request = upgradeRequest("/", { Origin: "http://other" }, "GET http://other/chat?room=1 HTTP/1.1");
    const raw = Raw.to(t, served);
    for (const byte of request) {
      raw.send(byte);
      await turns(1);
    }
    assert.equal((await raw.head()).status, 101);
    const { target, path, host, origin, query, remoteAddress, encrypted } =
      served.accepted[0]?.request ?? assert.fail();
    assert.deepEqual(
      { target, path, host, origin, room: query.get("room"), remoteAddress, encrypted },
      {
        target: "/chat?room=1",
        path: "/chat",
        host: "other",
        origin: "http://other",
        room: "1",
        remoteAddress: "127.0.0.1",
        encrypted: false,
      },
    );
  });

  test("frames received with it are the first of the connection", async (t) => {
    const served = await serve(t);
    served.server.on("connection", (connection) => {
      connection.on("message", (message) => void connection.write(`heard ${message.text}`));
    });
    const raw = Raw.to(t, served);
    raw.send(upgradeRequest(), frame(TEXT, "early"), frame(PING, "p"), frame(CLOSE, closePayload(1000)));
    assert.deepEqual(
      (await raw.frames(3)).map(({ opcode, payload }) => [opcode, payload.toString("latin1")]),
      [
        [TEXT, "heard early"],
        [PONG, "p"],
        [CLOSE, "\x03\xe8"],
      ].toSorted((a, b) => Number(b[0] === PONG) - Number(a[0] === PONG)),
    );
  });

  test("an invalid frame received with it ends the connection with 1002, and nothing else", async (t) => {
    const served = await serve(t);
    const raw = Raw.to(t, served).send(upgradeRequest(), frame(TEXT, "not masked", { masked: false }));
    assert.deepEqual(await raw.frames(1), [{ opcode: CLOSE, payload: closePayload(1002) }]);
    const connection = served.accepted[0]?.connection ?? assert.fail();
    raw.stream.end();
    assert.equal((await connection.closed).error?.code, "UNMASKED_FRAME");
    assert.deepEqual(served.errors, []);
  });
});

describe("a client that is silent or too slow", () => {
  test("gets 408 after handshakeTimeout, and is terminated if it does not disconnect", async () => {
    for (const said of ["", upgradeRequest().slice(0, -2)]) {
      const clock = new VirtualClock();
      const [near, far] = memoryPipe();
      const raw = new Raw(near).send(said);
      const accepted = accept(far, { handshakeTimeout: 2000, clock });
      const rejected = assert.rejects(accepted, { code: "ACCEPT_TIMEOUT", message: /2000 ms/ });
      await clock.advance(1999);
      assert.equal(raw.received.length, 0);
      await clock.advance(51);
      await rejected;
      assert.equal((await raw.answer()).status, 408);
      assert.equal(far.destroyed, false);
      await clock.advance(1000);
      assert.equal(far.destroyed, true);
      assert.equal(clock.pending, 0);
    }
  });

  test("gets no more time by sending single bytes", async () => {
    const clock = new VirtualClock();
    const [near, far] = memoryPipe();
    const raw = new Raw(near);
    const rejected = assert.rejects(accept(far, { handshakeTimeout: 1000, clock }), { code: "ACCEPT_TIMEOUT" });
    for (const byte of upgradeRequest().slice(0, 30)) {
      raw.send(byte);
      await clock.advance(50);
    }
    await rejected;
    assert.equal((await raw.answer()).status, 408);
    near.end();
    await raw.gone();
  });

  test("or by too many chunks", async (t) => {
    const served = await serve(t, { handshakeLimits: { maxParts: 10 } });
    const raw = Raw.to(t, served);
    for (const byte of upgradeRequest().slice(0, -1)) {
      if (served.refused.length > 0) break;
      raw.send(byte);
      await turns(2); // it is read alone
    }
    await served.until(() => served.refused.length > 0);
    assert.equal(served.refused[0]?.code, "TOO_MANY_PARTS");
    assert.equal((await raw.answer()).status, 408);
  });

  test("is forgotten when it disconnects", async (t) => {
    const served = await serve(t);
    const raw = Raw.to(t, served).send("GET / HT");
    raw.stream.end();
    await served.until(() => served.refused.length === 1);
    const reset = Raw.to(t, served).send("GET / HT");
    await turns(3);
    reset.stream.destroy();
    await served.until(() => served.refused.length === 2);
    assert.deepEqual(
      served.refused.map(({ code }) => code),
      ["REQUEST_LOST", "REQUEST_LOST"],
    );
    await raw.gone();
  });
});
