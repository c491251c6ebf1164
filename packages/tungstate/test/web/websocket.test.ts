// What the comparison with Chromium does not cover: options, failures of the peer, limits, and
// where Chromium differs from the standard.
import { acceptValue } from "@tungstate/protocol";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { CloseEvent, MessageEvent, WebSocket } from "../../src/web/index.ts";
import { EXPECTED, scenario } from "../browser/support/scenario.ts";
import { MisbehavingServer } from "../browser/support/misbehaving-server.ts";
import { selfSigned } from "../support/pairs.ts";
import { BINARY, CLOSE, closePayload, frame, Raw, TEXT, upgradeResponse } from "../support/raw.ts";
import { serve } from "../support/server.ts";

const sha1 = (bytes: Uint8Array): Uint8Array => createHash("sha1").update(bytes).digest();

/**
 * A server without a protocol: accepts one handshake and returns the stream. `more`: header fields
 * of its response.
 */
async function rawServer(t: TestContext, more = ""): Promise<{ url: string; accepted: Promise<Raw> }> {
  const server = createServer();
  const accepted = once(server, "connection").then(async ([socket]) => {
    const raw = new Raw(socket);
    const head = (await raw.until((got) => got.includes("\r\n\r\n"))).toString("latin1");
    const key = /^Sec-WebSocket-Key: (.*)\r$/im.exec(head)?.[1] ?? "";
    raw.send(upgradeResponse(acceptValue(key, sha1), more));
    t.after(() => raw.stream.destroy());
    return raw;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, accepted };
}

/** Records the events of a socket, in order. `closed` resolves at the last one. */
function recorded(socket: WebSocket): { readonly log: string[]; readonly closed: Promise<string[]> } {
  const log: string[] = [];
  socket.addEventListener("open", () => log.push("open"));
  socket.addEventListener("message", (event) => {
    const { data } = event;
    log.push(`message ${typeof data === "string" ? data : Object.prototype.toString.call(data)}`);
  });
  socket.addEventListener("error", () => log.push(`error ${socket.readyState}`));
  const closed = new Promise<string[]>((resolve) => {
    socket.addEventListener("close", (event) => {
      const { code, reason, wasClean } = event;
      log.push(`close ${code} ${reason} ${wasClean}`);
      resolve(log);
    });
  });
  return { log, closed };
}

describe("WebSocket: what the peer does", () => {
  const cases: readonly {
    readonly what: string;
    readonly act: (raw: Raw) => void;
    readonly log: readonly string[];
  }[] = [
    {
      what: "cuts the connection",
      act: (raw) => raw.send(frame(TEXT, "a", { masked: false })) && raw.stream.end(),
      log: ["open", "message a", "error 3", "close 1006  false"],
    },
    {
      what: "sends a masked frame",
      act: (raw) => raw.send(frame(TEXT, "a", { masked: false }), frame(TEXT, "b")),
      log: ["open", "message a", "error 3", "close 1006  false"],
    },
    {
      what: "sends text that is not UTF-8",
      act: (raw) => raw.send(frame(TEXT, new Uint8Array([0xff]), { masked: false })),
      log: ["open", "error 3", "close 1006  false"],
    },
    {
      what: "sends a frame with a reserved opcode",
      act: (raw) => raw.send(frame(3, "", { masked: false })),
      log: ["open", "error 3", "close 1006  false"],
    },
    {
      what: "closes with a code, and sends more behind it",
      act: (raw) =>
        raw.send(
          frame(BINARY, "a", { masked: false }),
          frame(CLOSE, closePayload(4000, "é"), { masked: false }),
          frame(TEXT, "b", { masked: false }),
        ),
      log: ["open", "message [object Blob]", "close 4000 é true"],
    },
    {
      what: "closes with a code that nobody may send",
      act: (raw) => raw.send(frame(CLOSE, closePayload(1005), { masked: false })),
      log: ["open", "error 3", "close 1006  false"],
    },
  ];
  for (const { what, act, log } of cases) {
    test(what, async (t) => {
      const { url, accepted } = await rawServer(t);
      const { closed } = recorded(new WebSocket(url, [], { closeTimeout: 100, compression: false }));
      const raw = await accepted;
      act(raw);
      await raw.until(() => false);
      raw.stream.end();
      assert.deepEqual(await closed, log);
    });
  }

  test("an answer with a subprotocol that was not asked for fails the connection", async (t) => {
    const { url } = await rawServer(t, "Sec-WebSocket-Protocol: other\r\n");
    for (const protocols of [[], ["chat"]]) {
      const { closed } = recorded(new WebSocket(url, protocols));
      assert.deepEqual(await closed, ["error 3", "close 1006  false"]);
    }
  });

  test("no answer to the Close: 1006 without an error event, after closeTimeout", async (t) => {
    const { url, accepted } = await rawServer(t);
    const socket = new WebSocket(url, [], { closeTimeout: 20 });
    const { closed } = recorded(socket);
    await once(socket, "open");
    socket.close();
    await (await accepted).until((got) => got.includes(0x88));
    assert.deepEqual(await closed, ["open", "close 1006  false"]);
  });
});

describe("WebSocket: memory", () => {
  test("messages that nothing listens to are dropped, and the Close behind them is seen", async (t) => {
    const served = await serve(t);
    served.server.on("connection", (connection) => {
      void (async () => {
        const chunk = new Uint8Array(1024 * 1024);
        for (let n = 0; n < 64; n++) await connection.send(chunk);
        await connection.close(3000);
      })();
    });
    const socket = new WebSocket(served.url, [], { receiveQueueSize: 65_536, readAheadSize: 0 });
    const [event] = (await once(socket, "close")) as [CloseEvent];
    assert.equal(event.code, 3000);
  });

  test("send() beyond maxWriteBufferSize: error, then close with 1006", async (t) => {
    const { url } = await rawServer(t);
    const socket = new WebSocket(url, [], { maxWriteBufferSize: 100_000 });
    const { closed } = recorded(socket);
    await once(socket, "open");
    socket.send(new Uint8Array(60_000));
    socket.send(new Uint8Array(60_000));
    assert.equal(socket.bufferedAmount, 120_000);
    assert.equal(socket.readyState, WebSocket.CLOSING);
    assert.deepEqual(await closed, ["open", "error 3", "close 1006  false"]);
    assert.ok(socket.bufferedAmount >= 60_000);
    const before = socket.bufferedAmount;
    socket.send("more");
    assert.equal(socket.bufferedAmount, before + 4);
  });

  test("bufferedAmount counts the application's bytes, also of compressed messages", async (t) => {
    const served = await serve(t, { compression: true });
    const socket = new WebSocket(served.url);
    await once(socket, "open");
    assert.match(socket.extensions, /^permessage-deflate/);
    const bytes = new Uint8Array(100_000);
    socket.send(bytes);
    socket.send("é");
    assert.equal(socket.bufferedAmount, 100_002);
    bytes.fill(1); // it was sent as it was
    await served.until(() => served.accepted.length === 1);
    const received = served.accepted[0]?.connection[Symbol.asyncIterator]();
    const first = await received?.next();
    assert.ok(first?.done === false && first.value.bytes.every((byte) => byte === 0) && first.value.size === 100_000);
    while (socket.bufferedAmount > 0) await new Promise((resolve) => setImmediate(resolve));
    socket.close();
  });
});

describe("WebSocket: connect options", () => {
  test("a subclass that passes options: local address, header fields", async (t) => {
    const served = await serve(t, {}, { host: "127.0.0.1" });
    class Bound extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols, { localAddress: "127.0.0.2", headers: { "X-From": "bound" }, proxy: false });
      }
    }
    const socket = new Bound(served.url);
    await once(socket, "open");
    await served.until(() => served.accepted.length === 1);
    const [{ connection, request } = assert.fail()] = served.accepted;
    assert.equal(connection.remoteAddress, "127.0.0.2");
    assert.equal(request.headers.get("x-from"), "bound");
    assert.ok(socket instanceof WebSocket && Bound.OPEN === 1);
    socket.close();
    await once(socket, "close");
  });

  test("wss: with a CA of its own, and without", async (t) => {
    const { key, cert } = selfSigned();
    const served = await serve(t, {}, { host: "127.0.0.1", tls: { key, cert } });
    const url = served.url.replace("ws:", "wss:");
    const socket = new WebSocket(url, [], { tls: { ca: cert } });
    const { closed } = recorded(socket);
    await once(socket, "open");
    socket.close(1000);
    assert.deepEqual(await closed, ["open", "close 1000  true"]);
    assert.deepEqual(await recorded(new WebSocket(url)).closed, ["error 3", "close 1006  false"]);
  });

  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [{ interfce: "eth0" }, /did you mean interface/],
    [{ protocols: ["chat"] }, /unknown option protocols/],
    [{ heartbeat: { interval: "30s" } }, /heartbeat\.interval/],
    [{ family: 5 }, /family/],
    [{ interface: 5 }, /interface/],
    [{ tls: 1 }, /tls/],
    [{ interface: "" }, /interface/],
    [{ timeout: -1 }, /timeout/],
    [{ wrap: 1 }, /wrap/],
    [{ signal: {} }, /signal/],
  ];
  for (const [options, message] of wrong) {
    test(`${JSON.stringify(options)} throws INVALID_ARGUMENT at once`, () => {
      assert.throws(
        () => Reflect.construct(WebSocket, ["ws://127.0.0.1:9", [], options]),
        (error: Error) => {
          assert.equal((error as Error & { code: string }).code, "INVALID_ARGUMENT");
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  for (const when of ["before", "while connecting", "when open"] as const) {
    test(`signal is aborted ${when}`, async (t) => {
      const served = await serve(t);
      const controller = new AbortController();
      if (when === "before") controller.abort();
      const socket = new WebSocket(served.url, [], { signal: controller.signal });
      const { closed } = recorded(socket);
      if (when === "while connecting") controller.abort();
      if (when === "when open") {
        await once(socket, "open");
        controller.abort();
      }
      const open = when === "when open" ? ["open"] : [];
      const [last = "", ...before] = (await closed).toReversed();
      assert.deepEqual(before.toReversed(), [...open, "error 3"]);
      assert.match(last, /^close 100[16] .* false$/);
    });
  }

  test("a port that Fetch blocks fails the connection", async () => {
    for (const port of [25, 6000, 0]) {
      const { closed } = recorded(new WebSocket(`ws://127.0.0.1:${port}/`));
      assert.deepEqual(await closed, ["error 3", "close 1006  false"]);
    }
  });
});

describe("WebSocket: where Chromium differs from the standard", () => {
  test("a host with a space, and a relative URL without a base, are SyntaxErrors", () => {
    for (const url of ["ws://foo bar.com/", "/relative", "?query", "#hash", ""]) {
      assert.throws(() => new WebSocket(url), { name: "SyntaxError", constructor: DOMException });
    }
  });

  test("subprotocols that differ in case only are duplicates", () => {
    assert.throws(() => new WebSocket("ws://127.0.0.1:9", ["echo", "eCho"]), { name: "SyntaxError" });
  });

  test("[Clamp] rounds a close code to the nearest integer, ties to even", async (t) => {
    const served = await serve(t);
    const socket = new WebSocket(served.url);
    for (const code of [999.4, 1000.6, 2999.4, 5000, Infinity]) {
      assert.throws(() => socket.close(code), { name: "InvalidAccessError" });
    }
    assert.throws(() => Reflect.apply(socket.close.bind(socket), undefined, [1000n]), TypeError);
    await once(socket, "open");
    const { closed } = recorded(socket);
    socket.close(999.5);
    assert.deepEqual(await closed, ["close 1000  true"]);
  });

  test("a close reason without a code implies 1000, and is checked", async (t) => {
    const served = await serve(t);
    const socket = new WebSocket(served.url);
    await once(socket, "open");
    assert.throws(() => socket.close(undefined, "a".repeat(124)), { name: "SyntaxError" });
    await served.until(() => served.accepted.length === 1);
    const ended = served.accepted[0]?.connection.closed;
    socket.close(undefined, "reason");
    const { code, reason } = (await ended) ?? assert.fail();
    assert.deepEqual({ code, reason }, { code: 1000, reason: "reason" });
  });

  test("USVString attributes of events have no lone surrogates", () => {
    assert.equal(new CloseEvent("close", { reason: "\ud800" }).reason, "\ufffd");
    assert.equal(new MessageEvent("message", { origin: "\ud800" }).origin, "\ufffd");
  });
});

test("the script of tungstate/browser runs over this class", { timeout: 60_000 }, async () => {
  await using server = await MisbehavingServer.start();
  const log = await scenario(`ws://127.0.0.1:${server.port}/`, WebSocket);
  assert.deepEqual(log, EXPECTED);
});
