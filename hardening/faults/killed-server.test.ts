// A server or proxy that is killed at each step at which a client waits. Nothing may remain.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";
import {
  connect,
  ConnectError,
  type ConnectOptions,
  reconnecting,
  type WebSocketConnection,
  WebSocketError,
} from "tungstate";
import { BINARY, CLOSE, closePayload, CONTINUATION, frame, header, TEXT } from "../catalogue/support/frames.ts";
import { response } from "../catalogue/support/handshakes.ts";
import { valuesOf } from "../catalogue/support/wire.ts";
import { leavingNothing } from "./support/leaks.ts";
import { type Death, DEATHS, type Peer, PeerPort, selfSigned, ticks, until } from "./support/sockets.ts";

const LARGE = Buffer.alloc(4 * 1024 * 1024, "not quite the same ");

/** How an attempt may fail: a reset can arrive before the connection is reported. */
const HANDSHAKE_LOST = ["HANDSHAKE_CLOSED", "CONNECT_FAILED"];

const PROXY_LOST = ["PROXY_FAILED", "CONNECT_FAILED"];

/** Reaches a step of an attempt. */
type Step = (peer: Peer) => Promise<void>;

/** Reads the request and returns the 101 response for it. */
async function answerTo(peer: Peer): Promise<string> {
  const [key = ""] = valuesOf(await peer.wire.head(), "Sec-WebSocket-Key");
  return response(key);
}

const attempts: Readonly<Record<string, Step>> = {
  "as soon as it has accepted": async () => undefined,
  "when it has the request": async (peer) => void (await peer.wire.head()),
  "in the middle of the status line": async (peer) => {
    await peer.wire.head();
    peer.wire.send("HTTP/1.1 10");
    await ticks(3);
  },
  "between two header fields": async (peer) => {
    await peer.wire.head();
    peer.wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n");
    await ticks(3);
  },
  "one byte before the end of its answer": async (peer) => {
    peer.wire.send((await answerTo(peer)).slice(0, -1));
    await ticks(3);
  },
};

/**
 * Connects, kills the peer at a step, and expects the attempt to reject with one of these codes.
 */
async function attempt(
  death: Death,
  url: (port: number) => string,
  options: (port: number) => ConnectOptions,
  step: Step,
  codes: readonly string[],
): Promise<void> {
  await leavingNothing(async () => {
    const port = await PeerPort.open();
    const abort = new AbortController();
    const connecting = connect(url(port.port), { proxy: false, signal: abort.signal, ...options(port.port) });
    const failed = connecting.then(
      () => assert.fail("it connected"),
      (error: unknown) => error,
    );
    const peer = await port.next();
    await step(peer);
    peer.kill(death);
    const error = await failed;
    await port.close();
    assert.ok(error instanceof WebSocketError, String(error));
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    assert.equal(getEventListeners(abort.signal, "abort").length, 0, "listeners of the signal");
  });
}

interface Scene {
  readonly client: WebSocketConnection;
  readonly peer: Peer;
}

async function lost(client: WebSocketConnection): Promise<void> {
  const info = await client.closed;
  assert.deepEqual([info.code, info.clean, info.error?.code], [1006, false, "CONNECTION_LOST"]);
}

const open: Readonly<Record<string, (scene: Scene) => Promise<() => Promise<void> | void>>> = {
  "as soon as it has answered":
    async ({ client }) =>
    () =>
      lost(client),
  "in the middle of a frame's header": async ({ client, peer }) => {
    peer.wire.send(header(BINARY, 70_000, false).subarray(0, 3));
    await ticks(3);
    return () => lost(client);
  },
  "in the middle of a payload": async ({ client, peer }) => {
    peer.wire.send(frame(BINARY, Buffer.alloc(100_000), false).subarray(0, 50_000));
    await until(() => client.stats.bytesReceived === 50_000);
    return () => lost(client);
  },
  "between two fragments": async ({ client, peer }) => {
    peer.wire.send(frame(TEXT, "a", false, { fin: false }), frame(CONTINUATION, "b", false, { fin: false }));
    await ticks(3);
    return () => lost(client);
  },
  "while a reader waits for a message": async ({ client }) => {
    const read = client[Symbol.asyncIterator]().next();
    return async () => assert.equal((await read).done, true);
  },
  "while `send` waits for room": async ({ client, peer }) => {
    peer.wire.stream.pause();
    for (let number = 0; number < 4; number++) client.write(LARGE);
    const sent = assert.rejects(client.send(LARGE), { code: "NOT_OPEN" });
    const flushed = assert.rejects(client.flush(), { code: "NOT_OPEN" });
    await ticks(3);
    return async () => void (await Promise.all([sent, flushed, lost(client)]));
  },
  "while the source of `sendStream` is pending": async ({ client }) => {
    async function* parts(): AsyncIterable<string> {
      yield "first";
      await client.closed;
    }
    const sent = assert.rejects(client.sendStream(parts(), "text"), { code: "NOT_OPEN" });
    await ticks(3);
    return () => sent;
  },
  "while a pong is pending": async ({ client }) => {
    const pinged = assert.rejects(client.ping(), { code: "NOT_OPEN" });
    return () => pinged;
  },
  "when a Close was sent to it": async ({ client, peer }) => {
    const closed = client.close();
    await peer.wire.until((got) => got.length >= 8);
    return async () => {
      const info = await closed;
      assert.deepEqual([info.code, info.clean], [1006, false]);
    };
  },
  "while its Close waits behind unread data": async ({ client, peer }) => {
    peer.wire.stream.pause();
    for (let number = 0; number < 4; number++) client.write(LARGE);
    const closed = client.close();
    await ticks(3);
    return async () => assert.equal((await closed).clean, false);
  },
  "when it has sent a Close": async ({ client, peer }) => {
    peer.wire.send(frame(CLOSE, closePayload(1001), false));
    await until(() => client.state !== "open");
    return async () => assert.equal((await client.closed).code, 1001);
  },
  "when both have sent one, and the end of the stream is pending": async ({ client, peer }) => {
    peer.wire.send(frame(CLOSE, closePayload(1000), false));
    await peer.wire.until((got) => got.length >= 8);
    return async () => {
      const info = await client.closed;
      assert.deepEqual([info.code, info.clean], [1000, true]);
    };
  },
};

for (const death of DEATHS) {
  describe(`a server is killed (${death})`, () => {
    for (const [when, step] of Object.entries(attempts)) {
      test(when, () =>
        attempt(
          death,
          (port) => `ws://127.0.0.1:${port}/`,
          () => ({}),
          step,
          HANDSHAKE_LOST,
        ),
      );
    }

    test("in the body of a rejection, which is reported all the same", () =>
      leavingNothing(async () => {
        const port = await PeerPort.open();
        const failed = assert.rejects(connect(`ws://127.0.0.1:${port.port}/`, { proxy: false }), (error: unknown) => {
          assert.ok(error instanceof WebSocketError);
          return ["UNEXPECTED_STATUS", "HANDSHAKE_CLOSED"].includes(error.code);
        });
        const peer = await port.next();
        await peer.wire.head();
        peer.wire.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\nno");
        await ticks(3);
        peer.kill(death);
        await failed;
        await port.close();
      }));

    for (const [when, step] of Object.entries(open)) {
      test(when, () =>
        leavingNothing(async () => {
          const port = await PeerPort.open();
          const connecting = connect(`ws://127.0.0.1:${port.port}/`, { proxy: false });
          const peer = await port.next();
          peer.wire.send(await answerTo(peer));
          const client = await connecting;
          const check = await step({ client, peer });
          peer.kill(death);
          await check();
          await client.closed;
          assert.equal(client.write("to no one"), false);
          await port.close();
        }),
      );
    }

    describe("with TLS", () => {
      const secure = (port: number): string => `wss://127.0.0.1:${port}/`;
      const options = (): ConnectOptions => ({ tls: { ca: selfSigned().cert, sessionCache: false } });
      const codes = ["TLS_CLOSED", "TLS_FAILED", "CONNECT_FAILED"];
      const steps: Readonly<Record<string, Step>> = {
        "as soon as it has accepted": async () => undefined,
        "when it has the ClientHello": async (peer) => void (await peer.wire.until((got) => got.length > 100)),
        "in the middle of its ServerHello": async (peer) => {
          await peer.wire.until((got) => got.length > 100);
          peer.wire.send(Buffer.from([0x16, 0x03, 0x03, 0x00, 0x7a, 0x02, 0x00, 0x00, 0x76, 0x03, 0x03]));
          await ticks(3);
        },
      };
      for (const [when, step] of Object.entries(steps)) {
        test(when, () => attempt(death, secure, options, step, codes));
      }
    });

    describe("a proxy that uses HTTP", () => {
      const far = (): string => "ws://192.0.2.1/";
      const options = (port: number): ConnectOptions => ({ proxy: `http://127.0.0.1:${port}` });
      const steps: Readonly<Record<string, Step>> = {
        "as soon as it has accepted": async () => undefined,
        "when it has the CONNECT": async (peer) => void (await peer.wire.head()),
        "in the middle of its answer": async (peer) => {
          await peer.wire.head();
          peer.wire.send("HTTP/1.1 200 Conn");
          await ticks(3);
        },
      };
      for (const [when, step] of Object.entries(steps)) {
        test(when, () => attempt(death, far, options, step, PROXY_LOST));
      }
      test("when the tunnel is established", () =>
        attempt(
          death,
          far,
          options,
          async (peer) => {
            await peer.wire.head();
            peer.wire.send("HTTP/1.1 200 OK\r\n\r\n");
            await peer.wire.head();
          },
          HANDSHAKE_LOST,
        ));
    });

    describe("a proxy that uses SOCKS5", () => {
      const options = (port: number): ConnectOptions => ({ proxy: `socks5://127.0.0.1:${port}` });
      // RFC 1928 §3: version, number of methods, methods; answered with version and method
      const greeted: Step = async (peer) => void (await peer.wire.until((got) => got.length >= 3));
      const asked: Step = async (peer) => {
        await greeted(peer);
        const { length } = peer.wire.received;
        peer.wire.send(Buffer.from([5, 0]));
        await peer.wire.until((got) => got.length > length);
      };
      const steps: Readonly<Record<string, Step>> = {
        "as soon as it has accepted": async () => undefined,
        "when it was greeted": greeted,
        "when it was asked to connect": asked,
        "in the middle of its reply": async (peer) => {
          await asked(peer);
          peer.wire.send(Buffer.from([5, 0, 0, 1, 127, 0]));
          await ticks(3);
        },
      };
      for (const [when, step] of Object.entries(steps)) {
        test(when, () => attempt(death, () => "ws://192.0.2.1/", options, step, PROXY_LOST));
      }
    });

    test("every second server is killed while a client reconnects", () =>
      leavingNothing(async () => {
        const port = await PeerPort.open();
        const connection = reconnecting(`ws://127.0.0.1:${port.port}/`, {
          proxy: false,
          watchNetworks: false,
          backoff: { initialDelay: 1, maxDelay: 1, resetAfter: 1 },
        });
        for (const step of Object.values(attempts)) {
          const peer = await port.next();
          await step(peer);
          peer.kill(death);
          const good = await port.next();
          good.wire.send(await answerTo(good));
          await connection.ready();
          good.kill(death);
        }
        const last = await port.next();
        last.wire.send(await answerTo(last));
        await connection.ready();
        const closed = connection.close();
        await last.wire.until((got) => got.length >= 8);
        last.wire.send(frame(CLOSE, closePayload(1000), false));
        last.wire.stream.end();
        assert.equal((await closed).code, 1000);
        await port.close();
      }));
  });
}

test("an attempt that is aborted at any of these steps leaves nothing either", async () => {
  for (const step of Object.values(attempts)) {
    await leavingNothing(async () => {
      const port = await PeerPort.open();
      const abort = new AbortController();
      const failed = assert.rejects(
        connect(`ws://127.0.0.1:${port.port}/`, { proxy: false, signal: abort.signal }),
        (error: unknown) => error instanceof ConnectError && error.code === "ABORTED",
      );
      const peer = await port.next();
      await step(peer);
      abort.abort();
      await failed;
      assert.equal(getEventListeners(abort.signal, "abort").length, 0);
      await port.close();
    });
  }
});
