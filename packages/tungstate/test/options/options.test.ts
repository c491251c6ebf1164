import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { client } from "../../src/client/client.ts";
import { connect } from "../../src/client/connect.ts";
import { type ConnectionOptions, connectionSettings } from "../../src/connection/options.ts";
import { describe as named } from "../../src/options/describe.ts";
import { accept } from "../../src/server/accept.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const LARGEST = 2 ** 31 - 1;

const settings = (options: object) => {
  const { protocol, ...own } = connectionSettings("server", options);
  const { role, maxFrameSize, acceptUnmaskedFrames, maxCloseTime } = protocol;
  return { ...own, role, maxFrameSize, acceptUnmaskedFrames, maxCloseTime };
};

describe("options of a connection", () => {
  test("have defaults", () => {
    const { maxFrameSize, maxMessageSize, maxWriteBufferSize, writeBufferSize, ...others } = settings({});
    const { receiveQueueSize, readAheadSize, ...rest } = others;
    assert.deepEqual(
      { maxFrameSize, maxMessageSize, maxWriteBufferSize, writeBufferSize, receiveQueueSize, readAheadSize },
      {
        maxFrameSize: 16 * MiB,
        maxMessageSize: 64 * MiB,
        maxWriteBufferSize: 64 * MiB,
        writeBufferSize: 128 * KiB,
        receiveQueueSize: MiB,
        readAheadSize: 16 * MiB,
      },
    );
    const { acceptUnmaskedFrames, noDelay, closeTimeout, heartbeat, deflate } = rest;
    assert.deepEqual(
      { acceptUnmaskedFrames, noDelay, closeTimeout, heartbeat, deflate },
      {
        acceptUnmaskedFrames: false,
        noDelay: true,
        closeTimeout: 5000,
        heartbeat: { interval: 30_000, timeout: 15_000 },
        deflate: undefined,
      },
    );
  });

  const sizes: readonly [name: keyof ConnectionOptions, least: number][] = [
    ["maxFrameSize", 125],
    ["maxMessageSize", 0],
    ["maxWriteBufferSize", 1],
    ["writeBufferSize", 0],
    ["receiveQueueSize", 0],
    ["readAheadSize", 0],
  ];
  for (const [name, least] of sizes) {
    test(`${name} is an integer number of bytes of at least ${least}`, () => {
      for (const value of [least, least + 1, LARGEST])
        assert.equal(settings({ [name]: value })[name as "receiveQueueSize"], value);
      assert.equal(settings({ [name]: Infinity })[name as "receiveQueueSize"], LARGEST);
      for (const value of [least - 1, LARGEST + 1, -Infinity, NaN, 0.5, "1024", null, true, 1024n, {}]) {
        const got = typeof value === "string" ? `"${value}"` : named(value);
        assert.throws(() => settings({ [name]: value }), {
          code: "INVALID_ARGUMENT",
          fault: "local",
          message: `${name} must be an integer from ${least} to ${LARGEST} (bytes), got ${got}`,
        });
      }
    });
  }

  for (const name of ["closeTimeout", "interval", "timeout"]) {
    const within = (value: unknown) => (name === "closeTimeout" ? { [name]: value } : { heartbeat: { [name]: value } });
    test(`${name} is a time in ms`, () => {
      for (const value of [1, LARGEST]) assert.doesNotThrow(() => settings(within(value)));
      for (const value of [0, -1, LARGEST + 1, 1.5, NaN, Infinity, "5s", null]) {
        assert.throws(() => settings(within(value)), {
          code: "INVALID_ARGUMENT",
          message:
            /(closeTimeout|heartbeat\.interval|heartbeat\.timeout) must be an integer from 1 to 2147483647 \(ms\), got /,
        });
      }
    });
  }

  test("heartbeat is off, or uses the given fields and the default of the other", () => {
    assert.equal(settings({ heartbeat: false }).heartbeat, undefined);
    assert.deepEqual(settings({ heartbeat: { interval: 5 } }).heartbeat, { interval: 5, timeout: 15_000 });
    assert.deepEqual(settings({ heartbeat: { timeout: 5 } }).heartbeat, { interval: 30_000, timeout: 5 });
    for (const value of [true, null, 5, "on"]) {
      assert.throws(() => settings({ heartbeat: value }), {
        message: /heartbeat must be \{ interval, timeout \} or false, got/,
      });
    }
  });

  for (const name of ["acceptUnmaskedFrames", "noDelay"] as const) {
    test(`${name} is true or false`, () => {
      for (const value of [true, false]) assert.equal(settings({ [name]: value })[name], value);
      for (const value of [0, 1, "true", null, {}]) {
        assert.throws(() => settings({ [name]: value }), {
          code: "INVALID_ARGUMENT",
          message: new RegExp(`${name} must be true or false, got `),
        });
      }
    });
  }

  test("transport is auto or socket", () => {
    for (const value of ["auto", "socket"]) assert.equal(settings({ transport: value }).transport, value);
    assert.equal(settings({}).transport, "auto");
    for (const value of ["handle", "", true, null, {}]) {
      assert.throws(() => settings({ transport: value }), {
        code: "INVALID_ARGUMENT",
        message: /^transport must be "auto" or "socket", got /,
      });
    }
  });

  test("clock must have its three functions", () => {
    const clock = new VirtualClock();
    assert.equal(settings({ clock }).clock, clock);
    for (const value of [{}, 5, "now", null, { ...clock }]) {
      assert.throws(() => settings({ clock: value }), { code: "INVALID_ARGUMENT", message: /clock must be .*, got / });
    }
  });

  test("must be an object", () => {
    for (const value of [null, 5, "fast"]) {
      assert.throws(() => settings(value as unknown as object), {
        code: "INVALID_ARGUMENT",
        message: /options must be an object, got /,
      });
    }
  });
});

describe("values in an error's text", () => {
  test("are short, and contain no secrets", () => {
    assert.equal(named("short"), '"short"');
    assert.equal(named("x".repeat(41)), "a string of 41 characters");
    assert.equal(named([1]), "Array");
    assert.equal(named(new Map()), "Map");
    assert.equal(named(Object.create(null)), "an object");
    assert.equal(named({ constructor: "what" }), "an object");
    assert.equal(
      named(() => 5),
      "a function",
    );
    assert.equal(named(Symbol("s")), "Symbol(s)");
    assert.equal(named(undefined), "undefined");
    assert.equal(named(-0.5), "-0.5");
  });
});

describe("options of a server", () => {
  const wrong: readonly [options: object, says: RegExp][] = [
    [{ path: "chat" }, /path must begin with a slash, got "chat"/],
    [{ path: 5 }, /path must begin with a slash, got 5/],
    [
      { origin: "https://example.com" },
      /origin must be "same", "any", a list or a function, got "https:\/\/example.com"/,
    ],
    [{ origin: ["example.com"] }, /each origin must be an origin .*got "example.com"/],
    [{ origin: ["https://example.com/"] }, /each origin must be an origin .*got "https:\/\/example.com\/"/],
    [{ origin: ["null"] }, /each origin must be an origin .*got "null"/],
    [{ origin: [5] }, /each origin must be an origin .*got 5/],
    [{ authorize: true }, /authorize must be a function, got true/],
    [{ protocols: "chat" }, /protocols must be a list or a function, got "chat"/],
    [{ protocols: ["chat", "a b"] }, /each of protocols must be a token, got "a b"/],
    [{ protocols: [5] }, /each of protocols must be a token, got 5/],
    [{ handshakeTimeout: 0 }, /handshakeTimeout must be an integer from 1/],
    [{ handshakeLimits: { maxHeaders: -1 } }, /maxHeaders must be an integer of at least 0/],
    [{ handshakeLimits: { maxHeadSize: "1k" } }, /maxHeadSize must be an integer of at least 1/],
    [{ maxConnections: -1 }, /maxConnections must be an integer from 0/],
    [{ maxConnections: 1.5 }, /maxConnections must be an integer/],
    [{ maxHandshakes: 0 }, /maxHandshakes must be an integer from 1/],
    [{ receiveQueueSize: -1 }, /receiveQueueSize must be an integer/],
    [{ readAheadSize: -1 }, /readAheadSize must be an integer/],
    [{ compression: "yes" }, /compression/],
  ];
  for (const [options, says] of wrong) {
    test(JSON.stringify(options), async () => {
      assert.throws(() => new WebSocketServer(options), {
        code: "INVALID_ARGUMENT",
        message: says,
      });
      if ("maxConnections" in options || "maxHandshakes" in options) return;
      const [here, there] = memoryPipe();
      await assert.rejects(accept(here, options), { code: "INVALID_ARGUMENT", message: says });
      there.destroy();
      here.destroy();
    });
  }

  test("Infinity means no limit", () => {
    assert.doesNotThrow(() => new WebSocketServer({ maxConnections: Infinity, maxHandshakes: Infinity }));
    assert.doesNotThrow(() => new WebSocketServer({ maxConnections: 0, maxHandshakes: 1 }));
  });
});

describe("options of a client", () => {
  const wrong: readonly [options: object, says: RegExp][] = [
    [{ handshakeTimeout: -1 }, /handshakeTimeout must be an integer from 1/],
    [{ handshakeLimits: { maxParts: 0 } }, /maxParts must be an integer of at least 1/],
    [{ protocols: "a b" }, /each of protocols must be a token, got "a b"/],
    [{ protocols: ["a", "a"] }, /each of protocols must be distinct/],
    [{ protocols: 5 }, /protocols must be an array of tokens, got 5/],
    [{ headers: { "X-A": "b\r\nX-C: d" } }, /headers: X-A must be a header value/],
    [{ headers: { "X-A": "b\0" } }, /headers: X-A must be a header value/],
    [{ headers: { "X A": "b" } }, /each name of headers must be a token/],
    [{ headers: { Upgrade: "h2c" } }, /headers must be fields that the handshake does not set itself, got "Upgrade"/],
    [{ headers: { "Sec-WebSocket-Key": "x" } }, /must be fields that the handshake does not set itself/],
    [{ headers: 5 }, /headers must be an object, or an iterable of pairs of a name and a value/],
    [{ origin: "a\nb" }, /origin must be a header value/],
    [{ origin: "https://a.example", headers: { Origin: "https://b.example" } }, /one Origin/],
    [{ signal: {} }, /signal must be an AbortSignal, got Object/],
    [{ maxFrameSize: 1 }, /maxFrameSize must be an integer from 125/],
  ];
  for (const [options, says] of wrong) {
    test(JSON.stringify(options), async () => {
      const [here, there] = memoryPipe();
      const sent: Buffer[] = [];
      there.on("data", (chunk: Buffer) => sent.push(chunk));
      there.on("error", () => undefined);
      await assert.rejects(client("ws://localhost/", here, options), {
        code: "INVALID_ARGUMENT",
        message: says,
      });
      await assert.rejects(connect("ws://127.0.0.1:1/", options), {
        code: "INVALID_ARGUMENT",
        message: says,
      });
      assert.equal(sent.length, 0);
      assert.equal(here.destroyed, false);
      here.destroy();
    });
  }

  test("those of TLS are validated before anything is opened", async () => {
    for (const [options, says] of [
      [{ tlsTimeout: 0 }, /tlsTimeout must be an integer from 1 to 2147483647 \(ms\)/],
      [{ tls: { pins: ["sha256/short"] } }, /pins/],
      [{ tls: { servername: "" } }, /servername/],
    ] as const) {
      await assert.rejects(connect("wss://127.0.0.1:1/", options), { code: "INVALID_ARGUMENT", message: says });
    }
  });

  test("the stream must be one", async () => {
    for (const stream of [undefined, null, 5, "tcp", {}, { readable: true, writable: true }]) {
      const expected = { code: "INVALID_ARGUMENT", message: /a byte stream must be a Duplex or a pair .*, got / };
      await assert.rejects(client("ws://localhost/", stream as never), expected);
      await assert.rejects(accept(stream as never), expected);
    }
  });
});
