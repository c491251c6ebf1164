import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { MemoryBudget } from "../../src/connection/memory-budget.ts";
import { client } from "../../src/client/client.ts";
import { accept } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { defaultRuntime } from "../../src/native/runtime.ts";
import { BINARY, CLOSE, closePayload, frame, PING } from "../support/raw.ts";
import { until } from "../support/until.ts";
import { codec, jobCounts, NO_TAKEOVER, TAKEOVER } from "./support.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const INBOX = 256 * KiB;
const READ_AHEAD = 512 * KiB;
const RSV1 = 0x40;

/** The contents of one chunk: many messages that inflate to far more than the chunk. */
const CHUNKS = [
  { name: "50 messages of 1 MiB, inflated by threads", count: 50, size: MiB },
  { name: "1500 messages of 32 KiB, inflated at once", count: 1500, size: 32 * KiB },
] as const;
type Chunk = (typeof CHUNKS)[number];
type Role = "client" | "server";
/** Interval of uncompressed messages. */
const PLAIN = 7;

const scratch = Buffer.alloc(MiB);

/** Returns the payload of a message, valid until the next call. */
function numbered(number: number, size: number): Uint8Array {
  const payload = scratch.subarray(0, size).fill(number);
  payload.writeUInt32BE(number);
  return payload;
}

const compressed = new Map<string, Buffer>();

/** Returns a copy of the frames: their receiver unmasks them in place. */
function framesOf(chunk: Chunk, contextTakeover: boolean, masked: boolean): Buffer {
  const key = JSON.stringify([chunk.name, contextTakeover, masked]);
  const frames = compressed.get(key) ?? compress(chunk, contextTakeover, masked);
  compressed.set(key, frames);
  return Buffer.from(frames);
}

/**
 * The messages in compressed frames, each `PLAIN`th short and uncompressed, every fifth one in two
 * fragments.
 */
function compress({ count, size }: Chunk, contextTakeover: boolean, masked: boolean): Buffer {
  const deflater = codec(contextTakeover ? TAKEOVER : NO_TAKEOVER, masked ? "client" : "server", {
    threshold: 0,
    asyncThreshold: 2 * MiB,
  });
  const frames: Buffer[] = [];
  for (let number = 0; number < count; number++) {
    if (number % PLAIN === PLAIN - 1) {
      frames.push(frame(BINARY, numbered(number, 4), { masked }));
      continue;
    }
    const deflated = deflater.deflate(numbered(number, size));
    assert.ok(deflated instanceof Uint8Array);
    const cut = number % 5 === 0 ? 3 : deflated.length;
    const first = frame(BINARY, deflated.slice(0, cut), { masked, fin: cut === deflated.length });
    first.writeUInt8(first.readUInt8(0) | RSV1, 0);
    frames.push(first);
    if (cut < deflated.length) frames.push(frame(0, deflated.slice(cut), { masked }));
  }
  deflater.close();
  return Buffer.concat(frames);
}

interface Unread {
  readonly near: WebSocketConnection;
  /** Sends bytes to it. */
  readonly stream: Duplex;
  readonly budget: MemoryBudget;
  readonly masked: boolean;
}

/** A connection in the given role, and the stream of its peer. */
async function unread(t: TestContext, role: Role, contextTakeover: boolean): Promise<Unread> {
  const [mine, theirs] = memoryPipe();
  const budget = new MemoryBudget(10_000 * MiB);
  const options = {
    compression: { contextTakeover, windowBits: 15 },
    heartbeat: false,
    receiveQueueSize: INBOX,
    readAheadSize: READ_AHEAD,
    memoryBudget: budget,
  } as const;
  const peer = { ...options, memoryBudget: Infinity };
  const [near, far] =
    role === "client"
      ? await Promise.all([client("ws://localhost/", mine, options), accept(theirs, peer)])
      : await Promise.all([accept(mine, options), client("ws://localhost/", theirs, peer)]);
  t.after(() => {
    near.terminate();
    far.terminate();
  });
  return { near, stream: theirs, budget, masked: role === "server" };
}

/** Sends one chunk and waits until inflating stops. Returns the held bytes. */
async function fill({ near, stream, budget, masked }: Unread, chunk: Buffer): Promise<number> {
  const pinged = new Promise<void>((resolve) => near.once("ping", () => resolve()));
  stream.write(Buffer.concat([chunk, frame(PING, "all came", { masked })]));
  await pinged;
  await until(() => budget.use.held > INBOX && jobCounts(defaultRuntime).running === 0);
  return budget.use.held;
}

/** Checks the number of a message, and that it is complete. */
function check(data: string | Uint8Array, number: number, { size }: Chunk): void {
  const plain = number % PLAIN === PLAIN - 1;
  assert.ok(data instanceof Uint8Array && Buffer.from(data).equals(numbered(number, plain ? 4 : size)), `${number}`);
}

/** Reads `count` messages, and checks the held bytes at each. */
const READERS: Readonly<
  Record<
    string,
    (connection: WebSocketConnection, count: number, each: (data: string | Uint8Array) => void) => Promise<void>
  >
> = {
  "a listener": (connection, count, each) =>
    new Promise<void>((resolve) => {
      let taken = 0;
      connection.on("message", (message) => {
        each(message.data);
        // pausing now and then leaves the next message to the deliverer
        if (taken % 10 === 3) {
          connection.pause();
          setImmediate(() => connection.resume());
        } else if (taken % 10 === 6) {
          connection.pause();
          connection.resume();
        }
        if (++taken === count) resolve();
      });
    }),
  "an iteration": async (connection, count, each) => {
    let taken = 0;
    for await (const message of connection) {
      each(message.data);
      if (++taken === count) return;
    }
  },
  "an iteration by batches": async (connection, count, each) => {
    let taken = 0;
    for await (const batch of connection.batches()) {
      for (const message of batch) each(message.data);
      if ((taken += batch.length) === count) return;
    }
  },
};

function listen(
  connection: WebSocketConnection,
  count: number,
  each: (data: string | Uint8Array) => void,
): Promise<void> {
  return new Promise((resolve) => {
    let taken = 0;
    connection.on("message", (message) => {
      each(message.data);
      if (++taken === count) resolve();
    });
  });
}

for (const role of ["client", "server"] as const) {
  describe(`an unread ${role} that receives one chunk of compressed messages`, () => {
    for (const chunk of CHUNKS) {
      const most = INBOX + READ_AHEAD + chunk.size + 64 * KiB;
      for (const contextTakeover of [false, true]) {
        const how = `${chunk.name}, ${contextTakeover ? "with" : "without"} context takeover`;
        for (const [reader, readBy] of Object.entries(READERS)) {
          test(`keeps them compressed and delivers all to ${reader}: ${how}`, async (t) => {
            const end = await unread(t, role, contextTakeover);
            const bytes = framesOf(chunk, contextTakeover, end.masked);
            assert.ok(bytes.length < 256 * KiB, `${bytes.length} bytes`);
            const held = await fill(end, bytes);
            assert.ok(held <= most, `${held} bytes are held`);
            let number = 0;
            let peak = 0;
            await readBy(end.near, chunk.count, (data) => {
              check(data, number++, chunk);
              peak = Math.max(peak, end.budget.use.held);
            });
            assert.equal(number, chunk.count);
            assert.ok(peak <= most, `${peak} bytes were held`);
            // reading again
            const pinged = new Promise<void>((resolve) => end.near.once("ping", () => resolve()));
            end.stream.write(frame(PING, "more", { masked: end.masked }));
            await pinged;
          });
        }

        test(`detects a Close and the end after them, then delivers them all: ${how}`, async (t) => {
          const end = await unread(t, role, contextTakeover);
          const bytes = framesOf(chunk, contextTakeover, end.masked);
          const close = frame(CLOSE, closePayload(4000, "enough"), { masked: end.masked });
          end.stream.write(Buffer.concat([bytes, close]));
          end.stream.end();
          const info = await end.near.closed;
          assert.deepEqual([info.code, info.clean], [4000, true]);
          assert.equal(end.near.state, "closed");
          let number = 0;
          for await (const message of end.near) check(message.data, number++, chunk);
          assert.equal(number, chunk.count);
        });
      }

      test(`drops them when its reader terminates it: ${chunk.name}`, async (t) => {
        const end = await unread(t, role, false);
        await fill(end, framesOf(chunk, false, end.masked));
        let number = 0;
        for await (const message of end.near) {
          check(message.data, number++, chunk);
          if (number === 20) end.near.terminate();
        }
        assert.equal(number, 20);
        await end.near.closed;
        assert.equal(end.budget.use.held, 0);
        await until(() => jobCounts(defaultRuntime).running === 0);
      });

      test(`drops them when it is terminated after its end: ${chunk.name}`, async (t) => {
        const end = await unread(t, role, false);
        await fill(end, framesOf(chunk, false, end.masked));
        end.stream.end();
        end.stream.destroy();
        end.near.terminate();
        await end.near.closed;
        for await (const message of end.near) assert.fail(`${message.size} bytes`);
      });

      test(`closes in time without a reader: ${chunk.name}`, async (t) => {
        const end = await unread(t, role, false);
        await fill(end, framesOf(chunk, false, end.masked));
        const closing = end.near.close(1000, "done");
        end.stream.write(frame(CLOSE, closePayload(1000), { masked: end.masked }));
        const info = await closing;
        assert.deepEqual([info.code, info.clean], [1000, true]);
        let number = 0;
        for await (const message of end.near) check(message.data, number++, chunk);
        assert.equal(number, chunk.count);
      });
    }
  });
}

for (const role of ["client", "server"] as const) {
  test(`an unread ${role} detects a later Close while compressed messages wait`, async (t) => {
    const end = await unread(t, role, true);
    const chunk = CHUNKS[1];
    await fill(end, framesOf(chunk, true, end.masked));
    end.stream.end(frame(CLOSE, closePayload(4001), { masked: end.masked }));
    const { code, clean } = await end.near.closed;
    assert.deepEqual([code, clean], [4001, true]);
    let number = 0;
    for await (const message of end.near) check(message.data, number++, chunk);
    assert.equal(number, chunk.count);
  });

  for (const [reader, readBy] of Object.entries({ ...READERS, "a listener that never pauses": listen })) {
    test(`a ${role} that receives 1500 compressed messages in one chunk does not starve other work: ${reader}`, async (t) => {
      const end = await unread(t, role, false);
      const chunk = CHUNKS[1];
      const ticks: number[] = [];
      let inTick = 0;
      let done = false;
      const tick = (): void => {
        ticks.push(inTick);
        inTick = 0;
        if (!done) setImmediate(tick);
      };
      setImmediate(tick);
      const read = readBy(end.near, chunk.count, () => inTick++);
      end.stream.write(framesOf(chunk, false, end.masked));
      await read;
      done = true;
      // 1 MiB are 32 messages, and those already in the receive queue
      const most = Math.max(...ticks, inTick);
      assert.ok(most <= 100, `${most} messages in a tick`);
    });
  }
}
