// A client that is killed at each step at which a server waits. Nothing may remain, and the server
// must continue.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import {
  connect,
  type HandshakeRequest,
  type WebSocketConnection,
  WebSocketServer,
  type WebSocketServerOptions,
} from "tungstate";
import { BINARY, CLOSE, closePayload, CONTINUATION, frame, header, TEXT } from "../catalogue/support/frames.ts";
import { request } from "../catalogue/support/handshakes.ts";
import { leavingNothing } from "./support/leaks.ts";
import { type Death, DEATHS, dialPeer, type Peer, selfSigned, ticks, until, withServer } from "./support/sockets.ts";

const LARGE = Buffer.alloc(4 * 1024 * 1024, "not quite the same ");

interface Scene {
  readonly server: WebSocketServer;
  readonly peer: Peer;
  readonly requests: readonly HandshakeRequest[];
  /** The connection after the handshake. */
  open(): Promise<WebSocketConnection>;
}

/** A step: reaches it, and returns what must hold after the peer's death. */
type Step = (scene: Scene) => Promise<() => Promise<void> | void>;

async function lost(connection: WebSocketConnection): Promise<void> {
  const info = await connection.closed;
  assert.deepEqual([info.code, info.clean, info.error?.code], [1006, false, "CONNECTION_LOST"]);
}

async function refusedAs(scene: Scene, codes: readonly string[], refusals: readonly string[]): Promise<void> {
  await until(() => refusals.length > 0);
  assert.ok(codes.includes(refusals[0] ?? ""), `${refusals[0]}`);
  assert.equal(scene.server.connections.size, 0);
}

const handshake: Readonly<Record<string, string>> = {
  "before it has sent anything": "",
  "in the middle of the request line": "GET / HT",
  "between two header fields": "GET / HTTP/1.1\r\nHost: localhost\r\n",
  "one byte before the end of the request": request().slice(0, -1),
};

const open: Readonly<Record<string, Step>> = {
  "as soon as it has its answer": async (scene) => {
    const connection = await scene.open();
    return () => lost(connection);
  },
  "in the middle of a frame's header": async (scene) => {
    const connection = await scene.open();
    scene.peer.wire.send(header(BINARY, 70_000, true).subarray(0, 5));
    await ticks(3);
    return () => lost(connection);
  },
  "in the middle of a payload": async (scene) => {
    const connection = await scene.open();
    scene.peer.wire.send(frame(BINARY, Buffer.alloc(100_000), true).subarray(0, 50_000));
    await until(() => scene.server.stats.memory.held > 40_000);
    return () => lost(connection);
  },
  "between two fragments": async (scene) => {
    const connection = await scene.open();
    scene.peer.wire.send(frame(TEXT, "a", true, { fin: false }), frame(CONTINUATION, "b", true, { fin: false }));
    await ticks(3);
    return () => lost(connection);
  },
  "while a reader waits for a message": async (scene) => {
    const connection = await scene.open();
    const read = connection[Symbol.asyncIterator]().next();
    return async () => {
      assert.equal((await read).done, true);
      await lost(connection);
    };
  },
  "while messages wait for a reader": async (scene) => {
    const connection = await scene.open();
    scene.peer.wire.send(frame(TEXT, "one", true), frame(TEXT, "two", true));
    await until(() => connection.stats.messagesReceived === 2);
    return async () => {
      await lost(connection);
      const texts: string[] = [];
      for await (const message of connection) texts.push(message.text);
      assert.deepEqual(texts, ["one", "two"]); // messages that had arrived
    };
  },
  "while nothing is read because the receive queue is full": async (scene) => {
    const connection = await scene.open();
    scene.peer.wire.send(frame(BINARY, LARGE, true), frame(TEXT, "after it", true));
    await until(() => scene.server.stats.memory.held > LARGE.length);
    return async () => {
      for await (const _ of connection) continue;
      await connection.closed;
    };
  },
  "while `send` waits for room": async (scene) => {
    const connection = await scene.open();
    scene.peer.wire.stream.pause();
    for (let number = 0; number < 4; number++) connection.write(LARGE);
    const sent = assert.rejects(connection.send(LARGE), { code: "NOT_OPEN" });
    const flushed = assert.rejects(connection.flush(), { code: "NOT_OPEN" });
    await ticks(3);
    return async () => {
      await Promise.all([sent, flushed]);
      await lost(connection);
      assert.equal(connection.write("to no one"), false);
    };
  },
  "while the source of `sendStream` is pending": async (scene) => {
    const connection = await scene.open();
    let finished = false;
    async function* parts(): AsyncIterable<string> {
      try {
        yield "first";
        await connection.closed;
        yield "never";
      } finally {
        finished = true;
      }
    }
    const sent = assert.rejects(connection.sendStream(parts(), "text"), { code: "NOT_OPEN" });
    await ticks(3);
    return async () => {
      await sent;
      await lost(connection);
      await until(() => finished);
    };
  },
  "while a pong is pending": async (scene) => {
    const connection = await scene.open();
    const pinged = assert.rejects(connection.ping(), { code: "NOT_OPEN" });
    return async () => {
      await pinged;
      await lost(connection);
    };
  },
  "when a Close was sent to it": async (scene) => {
    const connection = await scene.open();
    const closed = connection.close(1000);
    await scene.peer.wire.until((got) => got.length >= 4);
    return async () => {
      const info = await closed;
      assert.deepEqual([info.code, info.clean], [1006, false]);
    };
  },
  "while its Close waits behind unread data": async (scene) => {
    const connection = await scene.open();
    scene.peer.wire.stream.pause();
    for (let number = 0; number < 4; number++) connection.write(LARGE);
    const closed = connection.close(1000);
    await ticks(3);
    return async () => assert.equal((await closed).clean, false);
  },
  "when it has sent a Close": async (scene) => {
    const connection = await scene.open();
    scene.peer.wire.send(frame(CLOSE, closePayload(1001), true));
    await until(() => connection.state !== "open");
    return async () => {
      const info = await connection.closed;
      assert.equal(info.code, 1001); // its Close had arrived
    };
  },
  "when the server drains": async (scene) => {
    await scene.open();
    const closed = scene.server.close();
    await scene.peer.wire.until((got) => got.length >= 4);
    return () => closed;
  },
};

const compressed: Readonly<Record<string, Step>> = {
  "while its message is inflated on a thread": async (scene) => {
    const connection = await scene.open();
    const { deflateRawSync } = await import("node:zlib");
    const random = Buffer.from(Array.from(LARGE.subarray(0, 600_000), (_, at) => (at * 2_654_435_761) >>> 24));
    const deflated = deflateRawSync(random, { finishFlush: 2 }).subarray(0, -4);
    scene.peer.wire.send(frame(BINARY, deflated, true, { rsv: 0x40 }), frame(TEXT, "behind", true));
    await until(() => connection.stats.bytesReceived > 1000);
    return async () => {
      await connection.closed;
    };
  },
  "while a message to it is deflated on a thread": async (scene) => {
    const connection = await scene.open();
    connection.write(LARGE);
    connection.write("after it");
    const flushed = connection.flush().catch(() => undefined);
    return async () => {
      await flushed;
      await lost(connection);
    };
  },
};

/**
 * Runs a step over TCP, kills the peer, and checks what remains. Then another client is served as
 * usual.
 */
async function play(
  death: Death,
  options: WebSocketServerOptions,
  extensions: string | undefined,
  step: (scene: Scene, refusals: readonly string[]) => Promise<() => Promise<void> | void>,
): Promise<void> {
  await leavingNothing(() =>
    withServer({ maxConnectionsPerAddress: 100, ...options }, async (server, port) => {
      const refusals: string[] = [];
      const connections: WebSocketConnection[] = [];
      const requests: HandshakeRequest[] = [];
      server.on("refused", (error) => refusals.push(error.code));
      server.on("connection", (connection, seen) => {
        connections.push(connection);
        requests.push(seen);
      });
      const peer = await dialPeer(port);
      const scene: Scene = {
        server,
        peer,
        requests,
        async open() {
          peer.wire.send(request({ "Sec-WebSocket-Extensions": extensions }));
          await peer.wire.head();
          const [connection] = connections;
          assert.ok(connection !== undefined);
          return connection;
        },
      };
      const check = await step(scene, refusals);
      peer.kill(death);
      await check();
      await until(() => server.stats.connections + server.stats.handshakes + server.stats.addresses === 0);
    }),
  );
}

for (const death of DEATHS) {
  describe(`a client is killed (${death})`, () => {
    for (const [when, bytes] of Object.entries(handshake)) {
      test(when, () =>
        play(death, {}, undefined, async (scene, refusals) => {
          scene.peer.wire.send(bytes);
          await until(() => scene.server.stats.handshakes === 1);
          await ticks(2);
          return () => refusedAs(scene, ["REQUEST_LOST"], refusals);
        }),
      );
    }

    test("while `authorize` is pending, which is notified by its signal", () => {
      let signal: AbortSignal | undefined;
      const authorize = (asked: HandshakeRequest): Promise<boolean> => {
        signal = asked.signal;
        return new Promise((resolve) => asked.signal?.addEventListener("abort", () => resolve(true)));
      };
      return play(death, { authorize }, undefined, async (scene, refusals) => {
        scene.peer.wire.send(request());
        await until(() => signal !== undefined);
        return async () => {
          await refusedAs(scene, ["REQUEST_LOST"], refusals);
          assert.equal(signal?.aborted, true);
        };
      });
    });

    test("after its request, whether it was answered in time or not", () =>
      play(death, {}, undefined, async (scene) => {
        scene.peer.wire.send(request());
        return () => until(() => scene.server.stats.handshakes === 0);
      }));

    test("while it is rejected", () =>
      play(death, { path: "/elsewhere" }, undefined, async (scene, refusals) => {
        scene.peer.wire.send(request());
        return () => refusedAs(scene, ["PATH_NOT_FOUND", "REQUEST_LOST"], refusals);
      }));

    for (const [when, step] of Object.entries(open)) test(when, () => play(death, {}, undefined, step));
    for (const [when, step] of Object.entries(compressed)) {
      test(when, () => play(death, { compression: { asyncThreshold: 1024 } }, "permessage-deflate", step));
    }

    test("behind node:http, while `authorize` is pending and when it is open", () =>
      leavingNothing(async () => {
        let asked = 0;
        const server = new WebSocketServer({
          authorize: ({ path, signal }) =>
            new Promise((resolve) => {
              asked++;
              if (path === "/now") resolve(true);
              signal?.addEventListener("abort", () => resolve(false));
            }),
        });
        const http = createServer().listen(0, "127.0.0.1");
        await once(http, "listening");
        server.attach(http);
        const { port } = http.address() as AddressInfo;
        const [waiting, through] = [await dialPeer(port), await dialPeer(port)];
        waiting.wire.send(request({}, "GET /later HTTP/1.1"));
        through.wire.send(request({}, "GET /now HTTP/1.1"));
        await through.wire.head();
        await until(() => asked === 2);
        for (const peer of [waiting, through]) peer.kill(death);
        await until(() => server.stats.connections + server.stats.handshakes === 0);
        await server.close();
        await new Promise<void>((resolve) => http.close(() => resolve()));
      }));

    describe("on a port with TLS", () => {
      const steps: Readonly<Record<string, (peer: Peer) => Promise<void>>> = {
        "before it has sent anything": async () => ticks(3),
        "in the middle of its ClientHello": async (peer) => {
          peer.wire.send(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]));
          await ticks(3);
        },
      };
      for (const [when, step] of Object.entries(steps)) {
        test(when, () =>
          leavingNothing(() =>
            withServer(
              { maxConnectionsPerAddress: 10 },
              async (server, port) => {
                const peer = await dialPeer(port);
                await until(() => server.stats.addresses === 1);
                await step(peer);
                peer.kill(death);
                await until(() => server.stats.addresses === 0);
                const url = `wss://127.0.0.1:${port}/`;
                const client = await connect(url, {
                  proxy: false,
                  tls: { ca: selfSigned().cert, sessionCache: false },
                });
                await client.close();
              },
              { tls: selfSigned() },
            ),
          ),
        );
      }
    });
  });
}

test("the server serves others while a hundred clients die at once", () =>
  leavingNothing(() =>
    withServer({}, async (server, port) => {
      server.on("connection", (connection) => connection.on("message", (message) => connection.write(message)));
      const client = await connect(`ws://127.0.0.1:${port}/`, { proxy: false });
      const peers = await Promise.all(Array.from({ length: 100 }, () => dialPeer(port)));
      for (const [index, peer] of peers.entries()) peer.wire.send(request().slice(0, index));
      await until(() => server.stats.handshakes === 100);
      for (const peer of peers) peer.kill("reset");
      await client.send("still there?");
      for await (const message of client) {
        assert.equal(message.text, "still there?");
        break;
      }
      await until(() => server.stats.handshakes === 0);
      await client.close();
    }),
  ));
