import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { client } from "../../src/client/client.ts";
import type { ConnectionOptions } from "../../src/connection/options.ts";
import { accept } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { take } from "../support/connected.ts";
import { frame, PING, PONG, Raw, TEXT, upgradeRequest, upgradeResponse } from "../support/raw.ts";
import { createHash } from "node:crypto";
import { turns } from "../support/server.ts";

const SLOT = 50; // ms that a deadline may be late
const INTERVAL = 10_000;
const TIMEOUT = 5000;

interface Setting {
  readonly connection: WebSocketConnection;
  readonly raw: Raw;
  readonly clock: VirtualClock;
  /** Returns a frame from the other end. */
  send(opcode: number, payload?: string): void;
  /** Returns the number of received pings. */
  pings(): Promise<number>;
}

type Role = "client" | "server";

/** A connection under test in one of the roles, and an end that sends only what it is given. */
async function setting(role: Role, options: ConnectionOptions = {}): Promise<Setting> {
  const clock = new VirtualClock();
  const [near, far] = memoryPipe();
  const raw = new Raw(far);
  const all = { clock, heartbeat: { interval: INTERVAL, timeout: TIMEOUT }, ...options };
  const opening = role === "client" ? client("ws://localhost/", near, all) : accept(near, all);
  if (role === "server") raw.send(upgradeRequest());
  else {
    const request = (await raw.until((got) => got.includes("\r\n\r\n"))).toString();
    const key = /Sec-WebSocket-Key: (\S+)/.exec(request)?.[1] ?? "";
    raw.send(upgradeResponse(createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")));
  }
  const connection = await opening;
  await turns(2);
  const head = raw.received.indexOf("\r\n\r\n") + 4;
  return {
    connection,
    raw,
    clock,
    send: (opcode, payload = "") => void raw.send(frame(opcode, payload, { masked: role === "server" })),
    pings: async () => {
      await turns(2);
      // a ping without payload: 2 bytes, or 6 with a mask
      const size = role === "client" ? 6 : 2;
      let count = 0;
      for (let at = head; at < raw.received.length; at += size) {
        assert.equal(raw.received[at], 0x80 | PING);
        count++;
      }
      return count;
    },
  };
}

for (const role of ["client", "server"] as const) {
  describe(`the heartbeat of a ${role}`, () => {
    test("detects a dead peer: a ping after the interval, the end after the timeout", async () => {
      const { connection, clock, pings } = await setting(role);
      const errors: string[] = [];
      connection.on("error", (error) => errors.push(error.code));
      await clock.advance(INTERVAL - 1);
      assert.equal(await pings(), 0);
      await clock.advance(1 + SLOT);
      assert.equal(await pings(), 1);
      await clock.advance(TIMEOUT - SLOT - 1);
      assert.equal(connection.state, "open");
      await clock.advance(2 * SLOT);
      const info = await connection.closed;
      assert.deepEqual(
        [info.code, info.clean, info.error?.code, info.error?.fault],
        [1006, false, "HEARTBEAT_TIMEOUT", "transport"],
      );
      assert.deepEqual(errors, ["HEARTBEAT_TIMEOUT"]);
      assert.equal(clock.pending, 0);
    });

    test("keeps a peer that answers", async () => {
      const { connection, clock, send, pings } = await setting(role);
      let seen = 0;
      for (let round = 0; round < 20; round++) {
        await clock.advance(INTERVAL / 2);
        if ((await pings()) > seen) {
          seen++;
          send(PONG);
        }
        await turns(2);
      }
      assert.ok(seen >= 4 && seen <= 10, `${seen} pings`);
      assert.equal(connection.state, "open");
      connection.terminate();
    });

    test("does not ping a busy peer", async () => {
      for (const [opcode, payload] of [
        [TEXT, "hello"],
        [PONG, "unasked"],
      ] as const) {
        const { connection, clock, send, pings } = await setting(role);
        for (let round = 0; round < 30; round++) {
          await clock.advance(INTERVAL * 0.9);
          send(opcode, payload);
          await turns(2);
        }
        assert.equal(await pings(), 0);
        assert.equal(connection.state, "open");
        connection.terminate();
      }
    });

    for (const [interval, timeout] of [
      [INTERVAL, TIMEOUT],
      [300, 1000],
    ] as const) {
      test(`pings ${interval} ms after the last byte, at most ${SLOT} ms late, with a timeout of ${timeout} ms`, async () => {
        const { connection, clock, send, pings } = await setting(role, { heartbeat: { interval, timeout } });
        let seen = 0;
        for (const moment of [0, 1, 26, interval / 2, interval - 30, interval - 1]) {
          await clock.advance(moment);
          send(TEXT, "the last byte");
          await turns(2);
          await clock.advance(interval - 1);
          assert.equal(await pings(), seen);
          await clock.advance(1 + SLOT);
          assert.equal(await pings(), ++seen);
          send(PONG);
          await turns(2);
        }
        connection.terminate();
      });
    }

    test("accepts a part of a frame as activity", async () => {
      const { connection, clock, raw } = await setting(role, { minDataRate: false });
      const bytes = frame(TEXT, "x".repeat(60), { masked: role === "server" });
      for (const byte of bytes.subarray(0, 30)) {
        raw.send(Buffer.from([byte]));
        await turns(2);
        await clock.advance(INTERVAL * 0.9);
      }
      assert.equal(connection.state, "open");
      connection.terminate();
    });

    test("distinguishes a full local receive queue from a dead peer, and detects a peer that became silent meanwhile", async () => {
      const { connection, clock, send } = await setting(role, { receiveQueueSize: 1000, readAheadSize: 0 });
      for (let number = 0; number < 40; number++) send(TEXT, "x".repeat(100));
      await turns(5);
      assert.ok(connection.stats.messagesReceived < 40, "reading has stopped");
      await clock.advance(10 * (INTERVAL + TIMEOUT));
      assert.equal(connection.state, "open");
      assert.equal((await take(connection, 40)).length, 40);
      await turns(2);
      await clock.advance(2 * INTERVAL + TIMEOUT + 3 * SLOT);
      assert.equal((await connection.closed).error?.code, "HEARTBEAT_TIMEOUT");
    });

    test("detects a peer that does not read", async () => {
      const { connection, clock, raw } = await setting(role, { writeBufferSize: 1000 });
      raw.stream.pause();
      for (let number = 0; number < 100; number++) connection.write(Buffer.alloc(10_000));
      await turns(5);
      await clock.advance(2 * INTERVAL + TIMEOUT + 3 * SLOT);
      assert.equal((await connection.closed).error?.code, "HEARTBEAT_TIMEOUT");
    });

    test("can be disabled, and then leaves no timer", async () => {
      const { connection, clock, pings } = await setting(role, { heartbeat: false });
      await clock.advance(1_000_000);
      assert.equal(await pings(), 0);
      assert.equal(clock.pending, 0);
      assert.equal(connection.state, "open");
      connection.terminate();
    });

    test("is enabled by default", async () => {
      const [near, far] = memoryPipe();
      const clock = new VirtualClock();
      const [one, two] = await Promise.all([
        client("ws://localhost/", near, { clock }),
        accept(far, { clock, heartbeat: false }),
      ]);
      const pinged = new Promise<void>((resolve) => two.once("ping", () => resolve()));
      await clock.advance(30_000 + SLOT);
      await pinged;
      assert.equal(one.state, "open");
      one.terminate();
      await two.closed;
    });
  });
}

test("200 connections share one timer", async () => {
  const clock = new VirtualClock();
  const ends: WebSocketConnection[] = [];
  for (let number = 0; number < 100; number++) {
    const [near, far] = memoryPipe();
    ends.push(...(await Promise.all([client("ws://localhost/", near, { clock }), accept(far, { clock })])));
    if (number % 10 === 0) await clock.advance(30);
  }
  assert.equal(clock.pending, 1);
  for (const end of ends) end.terminate();
  await Promise.all(ends.map((end) => end.closed));
  assert.equal(clock.pending, 0);
});
