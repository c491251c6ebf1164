import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { client, type ClientOptions, HandshakeRejectedError } from "../../src/client/client.ts";
import { clientTls } from "../../src/client/connect.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { take } from "../support/connected.ts";
import { CLOSE, closePayload, frame, Raw, TEXT, upgradeResponse } from "../support/raw.ts";
import { turns } from "../support/server.ts";

interface Asked {
  readonly line: string;
  readonly headers: ReadonlyMap<string, string>;
  /** The Sec-WebSocket-Accept for the key. */
  readonly accept: string;
}

/** Waits for a client's request. */
async function asked(raw: Raw): Promise<Asked> {
  const got = (await raw.until((bytes) => bytes.includes("\r\n\r\n"))).toString("latin1");
  const [line = "", ...fields] = got.slice(0, got.indexOf("\r\n\r\n")).split("\r\n");
  const headers = new Map(
    fields.map((field) => [field.slice(0, field.indexOf(":")).toLowerCase(), field.slice(field.indexOf(":") + 2)]),
  );
  const key = headers.get("sec-websocket-key") ?? "";
  return {
    line,
    headers,
    accept: createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64"),
  };
}

/** A client on a memory pipe, and its peer. */
function start(
  options: ClientOptions = {},
  url = "ws://example.com/chat",
): { connecting: Promise<WebSocketConnection>; raw: Raw; stream: Duplex } {
  const [near, far] = memoryPipe();
  const connecting = client(url, near, options);
  connecting.catch(() => undefined); // checked later
  return { connecting, raw: new Raw(far), stream: near };
}

/** A stream that must be destroyed. */
async function gone(stream: Duplex): Promise<void> {
  await turns(3);
  assert.equal(stream.destroyed, true);
}

const answer = async (raw: Raw, more = ""): Promise<string> => upgradeResponse((await asked(raw)).accept, more);

describe("the request", () => {
  test("has the required fields, and those of the options", async () => {
    const { raw, connecting } = start(
      { protocols: ["a", "b"], origin: "https://example.com", headers: { "X-A": ["1", "2"], Cookie: "c=d" } },
      "ws://user:p%40ss@example.com:8080/chat?room=1",
    );
    const { line, headers } = await asked(raw);
    assert.equal(line, "GET /chat?room=1 HTTP/1.1");
    assert.match(headers.get("sec-websocket-key") ?? "", /^[A-Za-z0-9+/]{22}==$/);
    const rest = [...headers].filter(([name]) => name !== "sec-websocket-key");
    assert.deepEqual(Object.fromEntries(rest), {
      host: "example.com:8080",
      upgrade: "websocket",
      connection: "Upgrade",
      "sec-websocket-version": "13",
      "sec-websocket-protocol": "a, b",
      origin: "https://example.com",
      authorization: `Basic ${Buffer.from("user:p@ss").toString("base64")}`,
      "x-a": "2",
      cookie: "c=d",
    });
    assert.match(raw.received.toString(), /\r\nX-A: 1\r\nX-A: 2\r\n/);
    raw.send(await answer(raw, "Sec-WebSocket-Protocol: b\r\n"));
    const connection = await connecting;
    assert.deepEqual([connection.protocol, connection.extensions, connection.state], ["b", "", "open"]);
    connection.terminate();
  });

  test("has a new key each time", async () => {
    const keys = new Set<string | undefined>();
    for (let time = 0; time < 20; time++) {
      const { raw } = start();
      keys.add((await asked(raw)).headers.get("sec-websocket-key"));
      raw.stream.destroy();
    }
    assert.equal(keys.size, 20);
  });

  test("credentials in the options override those of the URL; a subprotocol may be a string", async () => {
    const { raw } = start({ headers: { authorization: "Bearer x" }, protocols: "one" }, "ws://user:pass@example.com/");
    const { headers } = await asked(raw);
    assert.equal(headers.get("authorization"), "Bearer x");
    assert.equal(headers.get("sec-websocket-protocol"), "one");
    raw.stream.destroy();
  });
});

describe("wss: over an unencrypted stream", () => {
  test("is rejected, with nothing sent and the stream unchanged", async () => {
    for (const url of ["wss://example.com/", "https://example.com/", "wss+unix:/run/socket"]) {
      const { raw, connecting, stream } = start({}, url);
      await assert.rejects(connecting, {
        code: "NOT_ENCRYPTED",
        step: "handshake",
        message: /use clientTls, or connect/,
      });
      await turns(2);
      assert.equal(raw.received.length, 0);
      assert.equal(stream.destroyed, false);
      stream.destroy();
    }
  });

  test("is accepted if the stream says that it is encrypted", async () => {
    const [near, far] = memoryPipe();
    const raw = new Raw(far);
    const connecting = client("wss://example.com/", Object.assign(near, { encrypted: true }));
    raw.send(await answer(raw));
    (await connecting).terminate();
  });

  test("clientTls rejects URLs other than wss:", async () => {
    const [near, far] = memoryPipe();
    far.on("error", () => undefined);
    await assert.rejects(clientTls("ws://example.com/", near), { code: "INVALID_URL", message: /needs a wss: URL/ });
    near.destroy();
  });
});

describe("a 101 response", () => {
  test("may arrive in any chunks, with frames after it", async () => {
    const text = upgradeResponse("x".repeat(28));
    for (let at = 0; at <= text.length + 7; at += 3) {
      const { raw, connecting } = start();
      const bytes = Buffer.concat([
        Buffer.from(await answer(raw)),
        frame(TEXT, "hello", { masked: false }),
        frame(CLOSE, closePayload(4000, "so soon"), { masked: false }),
      ]);
      raw.send(bytes.subarray(0, at));
      await turns(2);
      raw.send(bytes.subarray(at)).stream.end();
      const connection = await connecting;
      assert.deepEqual(await take(connection, 1), ["hello"]);
      const { code, reason, clean } = await connection.closed;
      assert.deepEqual({ code, reason, clean }, { code: 4000, reason: "so soon", clean: true });
    }
  });

  test("followed by an invalid frame ends the connection with 1002", async () => {
    const { raw, connecting } = start();
    raw.send(await answer(raw), frame(TEXT, "masked"));
    const connection = await connecting;
    const closing = connection.closed;
    await raw.until((got) => got.subarray(-8)[0] === 0x88);
    raw.stream.end();
    assert.equal((await closing).error?.code, "MASKED_FRAME");
  });

  const wrong: readonly [name: string, answer: (accept: string) => string, code: string][] = [
    ["another accept", () => upgradeResponse("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "INVALID_ACCEPT"],
    ["no Upgrade", (accept) => upgradeResponse(accept).replace("Upgrade: websocket\r\n", ""), "INVALID_UPGRADE_HEADER"],
    [
      "no Connection",
      (accept) => upgradeResponse(accept).replace("Connection: Upgrade", "X: y"),
      "INVALID_CONNECTION_HEADER",
    ],
    ["a subprotocol", (accept) => upgradeResponse(accept, "Sec-WebSocket-Protocol: c\r\n"), "UNREQUESTED_SUBPROTOCOL"],
    [
      "an extension",
      (accept) => upgradeResponse(accept, "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
      "UNREQUESTED_EXTENSION",
    ],
    ["no HTTP", () => "SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n", "MALFORMED_HEAD"],
    ["too much", () => `HTTP/1.1 101 x\r\nX: ${"y".repeat(20_000)}`, "HEAD_TOO_BIG"],
    ["too many", () => `HTTP/1.1 101 x\r\n${"X: y\r\n".repeat(101)}\r\n`, "TOO_MANY_HEADERS"],
  ];
  for (const [name, text, code] of wrong) {
    test(`${name}: rejects with ${code}, and the stream is destroyed`, async () => {
      const { raw, connecting, stream } = start({ protocols: ["a"] });
      raw.send(text((await asked(raw)).accept));
      await assert.rejects(connecting, { code });
      await gone(stream);
    });
  }
});

describe("another response", () => {
  test("is reported with its status, header fields and body", async () => {
    const { raw, connecting, stream } = start();
    await asked(raw);
    raw.send("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 9\r\n\r\nwho", " are", " y");
    await assert.rejects(connecting, (error) => {
      assert.ok(error instanceof HandshakeRejectedError);
      const { status, reason, headers, body, truncated } = error.response;
      assert.deepEqual([status, reason, truncated], [401, "Unauthorized", false]);
      assert.equal(headers.get("www-authenticate"), "Basic");
      assert.equal(Buffer.from(body).toString(), "who are y");
      assert.match(error.message, /expected 101, got 401 "Unauthorized"/);
      assert.equal(error.code, "UNEXPECTED_STATUS");
      return true;
    });
    await gone(stream);
  });

  test("may end with the stream, or have no declared length", async () => {
    for (const [text, truncated, body] of [
      ["HTTP/1.1 500 x\r\n\r\nall of it", false, "all of it"],
      ["HTTP/1.1 500 x\r\nContent-Length: 100\r\n\r\npart of it", true, "part of it"],
      ["HTTP/1.0 302 x\r\nLocation: ws://other/\r\n\r\n", false, ""],
      ["HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false, "abc"],
    ] as const) {
      const { raw, connecting } = start();
      await asked(raw);
      raw.send(text).stream.end();
      await assert.rejects(connecting, (error) => {
        assert.ok(error instanceof HandshakeRejectedError);
        assert.deepEqual([error.response.truncated, Buffer.from(error.response.body).toString()], [truncated, body]);
        return true;
      });
    }
  });
});

describe("another response whose body does not end", () => {
  const cut = async (connecting: Promise<unknown>, body: string): Promise<void> =>
    await assert.rejects(connecting, (error) => {
      assert.ok(error instanceof HandshakeRejectedError, String(error));
      const { status, truncated } = error.response;
      assert.deepEqual([status, truncated, Buffer.from(error.response.body).toString()], [401, true, body]);
      return true;
    });

  test("is reported 1 s after its head, however its bytes arrive", async () => {
    for (const head of ["HTTP/1.1 401\r\n\r\n", "HTTP/1.1 401\r\nContent-Length: 99\r\n\r\n"]) {
      const clock = new VirtualClock();
      const { raw, connecting, stream } = start({ clock });
      await asked(raw);
      const rejected = cut(connecting, "ab");
      raw.send(head);
      await turns(2);
      await clock.advance(600);
      raw.send("ab");
      await turns(2);
      await clock.advance(399);
      assert.equal(stream.destroyed, false);
      await clock.advance(1);
      await rejected;
      await gone(stream);
      assert.equal(clock.pending, 0);
    }
  });

  test("is reported no later than handshakeTimeout", async () => {
    const clock = new VirtualClock();
    const { raw, connecting } = start({ clock, handshakeTimeout: 300 });
    await asked(raw);
    const rejected = cut(connecting, "");
    raw.send("HTTP/1.1 401\r\n\r\n");
    await turns(2);
    await clock.advance(300);
    await rejected;
  });

  test("is reported when the connection breaks", async () => {
    const { raw, connecting } = start();
    await asked(raw);
    const rejected = cut(connecting, "a");
    raw.send("HTTP/1.1 401\r\nContent-Length: 9\r\n\r\na");
    await turns(2);
    raw.stream.destroy();
    await rejected;
  });
});

describe("a server that", () => {
  test("ends or resets the stream at any byte of its response: HANDSHAKE_CLOSED", async () => {
    const length = upgradeResponse("x".repeat(28)).length;
    for (let at = 0; at < length; at += 5) {
      for (const how of ["end", "destroy"] as const) {
        const { raw, connecting, stream } = start();
        raw.send((await answer(raw)).slice(0, at));
        await turns(1);
        raw.stream[how]();
        await assert.rejects(connecting, { code: "HANDSHAKE_CLOSED", step: "handshake" }, `${how} at ${at}`);
        await gone(stream);
      }
    }
  });

  test("has closed the stream before: HANDSHAKE_CLOSED", async () => {
    const [near, far] = memoryPipe();
    near.on("error", () => undefined);
    far.destroy();
    await turns(2);
    await assert.rejects(client("ws://localhost/", near), { code: "HANDSHAKE_CLOSED" });
    const [ended, other] = memoryPipe();
    other.end();
    ended.resume();
    await turns(3);
    await assert.rejects(client("ws://localhost/", ended), { code: "HANDSHAKE_CLOSED" });
    other.destroy();
  });

  test("sends nothing, or too slowly: HANDSHAKE_TIMEOUT", async () => {
    for (const drip of [false, true]) {
      const clock = new VirtualClock();
      const { raw, connecting, stream } = start({ clock, handshakeTimeout: 2000 });
      const text = await answer(raw);
      const rejected = assert.rejects(connecting, { code: "HANDSHAKE_TIMEOUT", message: /2000 ms/, step: "handshake" });
      for (let time = 0; time < 40; time++) {
        if (drip) raw.send(text[time] ?? "");
        await clock.advance(49);
      }
      assert.equal(stream.destroyed, false);
      await clock.advance(40);
      await rejected;
      await gone(stream);
      assert.equal(clock.pending, 0);
    }
  });
});

describe("an abort signal", () => {
  const stages: readonly [name: string, reach: (raw: Raw) => Promise<unknown>][] = [
    ["the request was read", (raw) => asked(raw)],
    ["half of the answer has come", async (raw) => raw.send((await answer(raw)).slice(0, 50))],
    [
      "half of a refusal has come",
      async (raw) => (await asked(raw), raw.send("HTTP/1.1 500 x\r\nContent-Length: 9\r\n\r\nab")),
    ],
  ];
  for (const [name, reach] of stages) {
    test(`when ${name}: ABORTED, and nothing is left behind`, async () => {
      const clock = new VirtualClock();
      const abort = new AbortController();
      const { raw, connecting, stream } = start({ clock, signal: abort.signal });
      await reach(raw);
      await turns(2);
      const reason = new Error("changed my mind");
      abort.abort(reason);
      await assert.rejects(connecting, { code: "ABORTED", cause: reason, step: "handshake" });
      await gone(stream);
      assert.equal(clock.pending, 0);
    });
  }

  test("before the call: nothing is sent", async () => {
    const { raw, connecting, stream } = start({ signal: AbortSignal.abort() });
    await assert.rejects(connecting, { code: "ABORTED" });
    await gone(stream);
    assert.equal(raw.received.length, 0);
  });

  test("with a long life collects no listeners", async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const count = (by: number) => (listeners += by);
    const counted = new Proxy(signal, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          if (name === "addEventListener") count(1);
          if (name === "removeEventListener") count(-1);
          return Reflect.apply(value, target, args) as unknown;
        };
      },
    });
    for (const ends of ["accepted", "refused"] as const) {
      const { raw, connecting } = start({ signal: counted });
      if (ends === "accepted") {
        raw.send(await answer(raw));
        const connection = await connecting;
        connection.terminate();
        await connection.closed;
      } else {
        await asked(raw);
        raw.send("HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n");
        await assert.rejects(connecting);
      }
    }
    assert.equal(listeners, 0);
  });
});
