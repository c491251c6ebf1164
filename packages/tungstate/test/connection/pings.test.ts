import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accept } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { withConnected } from "../support/connected.ts";
import { kinds, memory } from "../support/pairs.ts";
import { frame, PING, PONG, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { turns } from "../support/server.ts";

/** A connection under test, and a client that sends only what it is given. */
async function served(clock?: VirtualClock): Promise<[WebSocketConnection, Raw]> {
  const [near, far] = memoryPipe();
  const raw = new Raw(near);
  const accepted = accept(far, clock === undefined ? {} : { clock, heartbeat: false });
  raw.send(upgradeRequest());
  const connection = await accepted;
  await raw.head();
  return [connection, raw];
}

describe("ping", () => {
  test("resolves with the time until its pong", async () => {
    const clock = new VirtualClock(1000);
    const [connection, raw] = await served(clock);
    const trip = connection.ping("now");
    assert.deepEqual(await raw.frames(1), [{ opcode: PING, payload: Buffer.from("now") }]);
    await clock.advance(250);
    raw.send(frame(PONG, "now"));
    assert.equal(await trip, 250);
    connection.terminate();
  });

  test("accepts text or bytes of up to 125 bytes, and nothing else", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      const seen: string[] = [];
      server.on("ping", (payload) => seen.push(Buffer.from(payload).toString()));
      await client.ping("");
      await client.ping("ä".repeat(62));
      await client.ping(Buffer.alloc(125, "x"));
      await client.ping(new Uint8Array(0));
      assert.deepEqual(seen, ["", "ä".repeat(62), "x".repeat(125), ""]);
      for (const wrong of ["x".repeat(126), "ä".repeat(63), Buffer.alloc(126), 5, null, {}, [1], new ArrayBuffer(2)]) {
        assert.throws(() => client.ping(wrong as string), { code: "INVALID_ARGUMENT" });
      }
      assert.equal(seen.length, 4);
    });
  });

  test("copies its payload", async () => {
    const [connection, raw] = await served();
    const payload = Buffer.from("before");
    const trip = connection.ping(payload);
    payload.write("behind");
    const [ping] = await raw.frames(1);
    assert.equal(ping?.payload.toString(), "before");
    raw.send(frame(PONG, "before"));
    await trip;
    connection.terminate();
  });

  test("may be pending many times, with different payloads", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      let pongs = 0;
      client.on("pong", () => pongs++);
      const payloads = new Set<string>();
      server.on("ping", (payload) => payloads.add(Buffer.from(payload).toString()));
      await Promise.all(Array.from({ length: 100 }, () => client.ping()));
      assert.deepEqual([payloads.size, pongs], [100, 100]);
    });
  });

  test("is resolved by a pong for a later ping, and not by an unsolicited one", async () => {
    const [connection, raw] = await served();
    const trips = ["a", "b", "c", "b"].map((payload) => connection.ping(payload));
    await raw.frames(4);
    const done: number[] = [];
    for (const [at, trip] of trips.entries()) void trip.then(() => done.push(at));
    const pongs: string[] = [];
    connection.on("pong", (payload) => pongs.push(Buffer.from(payload).toString()));
    raw.send(frame(PONG, "x"));
    await turns(2);
    assert.deepEqual(done, []);
    raw.send(frame(PONG, "b"));
    await turns(2);
    assert.deepEqual(done, [0, 1]);
    raw.send(frame(PONG, "b"));
    await turns(2);
    assert.deepEqual(done, [0, 1, 2, 3]);
    assert.deepEqual(pongs, ["x", "b", "b"]);
    connection.terminate();
  });

  test("rejects when the connection ends in any way, and immediately after its end", async () => {
    for (const end of ["close", "terminate"] as const) {
      const [connection, raw] = await served();
      const trip = assert.rejects(connection.ping(), { code: "NOT_OPEN" });
      if (end === "terminate") connection.terminate();
      else {
        const closed = connection.close();
        await raw.frames(2);
        raw.send(frame(8, Buffer.from([3, 232]))).stream.end();
        await closed;
      }
      await trip;
      await assert.rejects(connection.ping(), { code: "NOT_OPEN" });
    }
  });
});

for (const kind of kinds) {
  describe(`received pings, over ${kind.name}`, () => {
    test("are answered without a reader and with a full receive queue", async () => {
      await withConnected(kind, { server: { receiveQueueSize: 100_000 } }, async ({ client, server }) => {
        client.write(Buffer.alloc(50_000));
        for (let number = 0; number < 10; number++) assert.ok((await client.ping()) >= 0);
        assert.ok(server.stats.messagesReceived <= 1);
      });
    });
  });
}

describe("received pings", () => {
  test("are answered with the newest only while the peer does not read, in bounded memory", async () => {
    const [connection, raw] = await served();
    raw.stream.pause();
    // fill the buffers of the stream
    for (let number = 0; number < 20; number++) connection.write(Buffer.alloc(30_000));
    await turns(5);
    const before = connection.bufferedAmount;
    for (let number = 0; number < 5000; number++) {
      raw.send(frame(PING, `ping ${number}`));
      if (number % 500 === 0) await turns(1);
    }
    await turns(20);
    assert.ok(connection.bufferedAmount - before < 20_000, `${connection.bufferedAmount - before} bytes more`);
    raw.stream.resume();
    const last = Buffer.from("ping 4999");
    await raw.until((got) => got.subarray(-last.length).equals(last));
    const pongs = raw.received.toString("latin1").split("ping ").length - 1;
    assert.ok(pongs < 1000, `${pongs} pongs`);
    connection.terminate();
  });

  test("are emitted with a payload that may be kept", async () => {
    const [connection, raw] = await served();
    const payloads: Uint8Array[] = [];
    connection.on("ping", (payload) => payloads.push(payload));
    for (let number = 0; number < 50; number++) raw.send(frame(PING, `ping ${number}`));
    raw.send(frame(TEXT, "y".repeat(1000)));
    await raw.frames(50);
    assert.deepEqual(
      payloads.map((payload) => Buffer.from(payload).toString()),
      Array.from({ length: 50 }, (_, number) => `ping ${number}`),
    );
    connection.terminate();
  });
});
