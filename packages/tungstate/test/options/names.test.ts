import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { client } from "../../src/client/client.ts";
import { clientTls, connect } from "../../src/client/connect.ts";
import { dial } from "../../src/dial/dial.ts";
import { letRequestsUpgrade } from "../../src/frameworks/upgrades.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { accept } from "../../src/server/accept.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { conditions } from "../../src/testing/conditions.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { secure } from "../../src/tls/secure.ts";
import { TlsSessionCache } from "../../src/tls/session-cache.ts";

type Options = Readonly<Record<string, unknown>>;

function stream(): Duplex {
  const [near, far] = memoryPipe();
  far.on("error", () => undefined);
  return near;
}

const aborted = { signal: AbortSignal.abort() };

/** Every function that accepts options, and nested options. */
const TAKERS: Readonly<Record<string, (options: Options) => unknown>> = {
  connect: (options) => connect("ws://127.0.0.1", { ...aborted, ...options }),
  "connect, tls": (tls) => connect("wss://127.0.0.1", { ...aborted, tls }),
  "connect, proxyTls": (proxyTls) => connect("ws://127.0.0.1", { ...aborted, proxyTls }),
  "connect, heartbeat": (heartbeat) => connect("ws://127.0.0.1", { ...aborted, heartbeat }),
  client: (options) => client("ws://a", stream(), { ...aborted, ...options }),
  clientTls: (options) => clientTls("wss://a", stream(), { ...aborted, ...options }),
  dial: (options) => dial({ host: "127.0.0.1", port: 1 }, { ...aborted, ...options }),
  secure: (options) => secure(stream(), { host: "a", ...aborted, ...options }),
  accept: (options) => accept(stream(), { ...aborted, ...options }),
  WebSocketServer: (options) => new WebSocketServer(options),
  "WebSocketServer, compression": (compression) => new WebSocketServer({ compression }),
  "WebSocketServer, minDataRate": (minDataRate) => new WebSocketServer({ minDataRate }),
  "WebSocketServer, handshakeLimits": (handshakeLimits) => new WebSocketServer({ handshakeLimits }),
  attach: (options) => new WebSocketServer().attach(createServer(), options),
  reconnecting: (options) => reconnecting("ws://127.0.0.1", options).close(),
  "reconnecting, backoff": (backoff) => reconnecting("ws://127.0.0.1", { backoff }).close(),
  "reconnecting, outbox": (outbox) => reconnecting("ws://127.0.0.1", { outbox }).close(),
  TlsSessionCache: (options) => new TlsSessionCache(options),
  letRequestsUpgrade: (options) => letRequestsUpgrade(createServer(), options),
  conditions: (options) => conditions(stream(), options).destroy(),
};

describe("an unknown option is rejected by every function", () => {
  for (const [name, give] of Object.entries(TAKERS)) {
    test(name, async () => {
      await assert.rejects(async () => give({ colour: "red" }), {
        code: "INVALID_ARGUMENT",
        message: /unknown option (\w+\.)?colour: the options are /,
      });
      await assert.doesNotReject(async () => {
        try {
          await give({ colour: undefined });
        } catch (error) {
          // aborted: it has been read
          if (!(error instanceof Error && "code" in error && error.code !== "INVALID_ARGUMENT")) throw error;
        }
      });
    });
  }
});

test("the error suggests a similar name", () => {
  const meant: [options: Options, expected: RegExp][] = [
    [{ maxMesageSize: 1 }, /unknown option maxMesageSize: did you mean maxMessageSize\?/],
    [{ maxmessagesize: 1 }, /did you mean maxMessageSize\?/],
    [{ heartbeat: { intervall: 1 } }, /unknown option heartbeat\.intervall: did you mean interval\?/],
    [{ handshakeLimits: { maxHeader: 1 } }, /handshakeLimits\.maxHeader: did you mean maxHeaders\?/],
    [
      { __proto__: null, constructor: 1 },
      /unknown option constructor: the options are acceptUnmaskedFrames, allowedHosts, authorize, /,
    ],
  ];
  for (const [options, expected] of meant) assert.throws(() => new WebSocketServer(options), expected);
});

test("the nearest of several similar options is named", () => {
  assert.throws(() => new WebSocketServer({ maxCloseTimes: 1 } as never), /did you mean maxCloseTime\?/);
  assert.throws(() => new WebSocketServer({ closeTimeouts: 1 } as never), /did you mean closeTimeout\?/);
});

test("options of other libraries point to ours, where there is one", async () => {
  const foreign: readonly (readonly [name: string, hint: string, give: (options: object) => unknown])[] = [
    ["perMessageDeflate", "use compression", (options) => new WebSocketServer(options)],
    ["maxPayload", "use maxMessageSize", (options) => new WebSocketServer(options)],
    ["verifyClient", "use authorize", (options) => new WebSocketServer(options)],
    ["port", "give it to listen", (options) => new WebSocketServer(options)],
    ["server", "use attach\\(server\\)", (options) => new WebSocketServer(options)],
    ["rejectUnauthorized", "use tls.rejectUnauthorized", (options) => connect("wss://127.0.0.1", options)],
    ["ca", "use tls.ca", (options) => connect("wss://127.0.0.1", options)],
    ["followRedirects", "use maxRedirects", (options) => connect("ws://127.0.0.1", options)],
    ["maxReconnectionDelay", "use backoff.maxDelay", (options) => reconnecting("ws://127.0.0.1", options)],
    // a server takes `tls` with listen
    ["rejectUnauthorized", "the options are ", (options) => new WebSocketServer(options)],
  ];
  for (const [name, hint, give] of foreign) {
    await assert.rejects(async () => give({ [name]: true }), {
      name: "TypeError",
      code: "INVALID_ARGUMENT",
      message: new RegExp(`^unknown option ${name}: ${hint}`),
    });
  }
});

test("options from a prototype are rejected: a copy would not have them", async () => {
  class Bench {
    get localAddress(): string {
      return "192.0.2.1";
    }
    lookup(): void {}
  }
  class Own {
    readonly signal = AbortSignal.abort();
    readonly localAddress = undefined;
    /** No option has this name. */
    open(): void {}
  }
  const inherited = (name: string): object => ({
    code: "INVALID_ARGUMENT",
    message: new RegExp(`options must be properties of the object itself, got ${name} from its prototype`),
  });
  const getters = new Bench();
  await assert.rejects(connect("ws://127.0.0.1", getters), inherited("localAddress"));
  await assert.rejects(dial({ host: "127.0.0.1", port: 1 }, getters), inherited("localAddress"));
  assert.throws(() => reconnecting("ws://127.0.0.1", getters), inherited("localAddress"));
  await assert.rejects(connect("wss://127.0.0.1", { tls: Object.create({ ca: "" }) }), inherited("tls.ca"));
  assert.throws(() => new WebSocketServer(Object.create({ maxConnections: 1 })), inherited("maxConnections"));
  await assert.rejects(connect("ws://127.0.0.1", new Own()), { code: "ABORTED" });
});

test("options that are not an object are rejected", async () => {
  for (const none of [null, "x", 1] as unknown[] as Options[]) {
    const expected = { code: "INVALID_ARGUMENT", message: /options must be an object, got / };
    await assert.rejects(connect("ws://127.0.0.1", none), expected);
    await assert.rejects(client("ws://a", stream(), none), expected);
    await assert.rejects(accept(stream(), none), expected);
    await assert.rejects(dial({ host: "127.0.0.1", port: 1 }, none), expected);
    assert.throws(() => reconnecting("ws://127.0.0.1", none), expected);
    assert.throws(() => new WebSocketServer(none), expected);
    assert.throws(() => letRequestsUpgrade(createServer(), none), expected);
  }
});
