import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect } from "tungstate";
import { BINARY, frame } from "../catalogue/support/frames.ts";
import { request } from "../catalogue/support/handshakes.ts";
import { leavingNothing } from "./support/leaks.ts";
import { dialPeer, ticks, until, withServer } from "./support/sockets.ts";

/** Blocks for that many ms, as a stopped or busy process. */
function blockFor(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe("a wall clock that jumps", () => {
  test("does not affect connections, which use the monotonic clock", () =>
    leavingNothing(async () => {
      const { now } = Date;
      try {
        for (const jump of [-365 * 86_400_000, 365 * 86_400_000]) {
          await withServer(
            { heartbeat: { interval: 20, timeout: 10_000 }, closeTimeout: 10_000 },
            async (server, port) => {
              const connection = await connect(`ws://127.0.0.1:${port}/`, { proxy: false });
              Date.now = () => now() + jump;
              assert.ok((await connection.ping()) < 10_000);
              // does not affect the server's heartbeat
              await new Promise<void>((resolve) => connection.once("ping", () => resolve()));
              assert.equal((await connection.close()).clean, true);
              await until(() => server.connections.size === 0);
            },
          );
          Date.now = now;
        }
      } finally {
        Date.now = now;
      }
    }));
});

describe("a process that was blocked for longer than a deadline", () => {
  test("reads its peers' data before it gives them up: handshake", () =>
    leavingNothing(() =>
      withServer({ handshakeTimeout: 2_000 }, async (server, port) => {
        const refused: string[] = [];
        server.on("refused", (error) => refused.push(error.code));
        const peer = await dialPeer(port);
        await until(() => server.stats.handshakes === 1);
        peer.wire.send(request());
        blockFor(3_000);
        assert.equal((await peer.wire.head()).status, 101);
        assert.deepEqual(refused, []);
        peer.kill("end");
        await until(() => server.connections.size === 0);
      }),
    ));

  test("heartbeat", () =>
    leavingNothing(() =>
      withServer({ heartbeat: { interval: 50, timeout: 100 } }, async (server, port) => {
        const connection = await connect(`ws://127.0.0.1:${port}/`, { proxy: false, heartbeat: false });
        const [own] = server.connections;
        await new Promise<void>((resolve) => connection.once("ping", () => resolve()));
        await ticks(1); // its pong is in transit
        blockFor(1_000);
        await ticks(5);
        assert.equal(own?.state, "open");
        await connection.close();
      }),
    ));

  test("a message in transit", () =>
    leavingNothing(() =>
      withServer({ minDataRate: { bytes: 1000, interval: 2_000 } }, async (server, port) => {
        const peer = await dialPeer(port);
        peer.wire.send(request());
        await peer.wire.head();
        const [own] = server.connections;
        peer.wire.send(frame(BINARY, Buffer.alloc(10), true, { fin: false }));
        await until(() => server.stats.memory.held > 0);
        peer.wire.send(frame(BINARY, Buffer.alloc(10), true).subarray(0, 0), frame(0, Buffer.alloc(10), true));
        blockFor(3_000);
        await ticks(5);
        assert.equal(own?.state, "open");
        peer.kill("end");
        await until(() => server.connections.size === 0);
      }),
    ));
});
