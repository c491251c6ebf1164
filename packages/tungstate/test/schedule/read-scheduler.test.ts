import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ScheduledReader, ReadScheduler } from "../../src/schedule/read-scheduler.ts";
import { withConnected } from "../support/connected.ts";
import { kinds } from "../support/pairs.ts";

const KiB = 1024;

/** A clock that a reader's work advances, and whose ticks a test ends. */
class WorkClock {
  time = 0;
  private callbacks: (() => void)[] = [];

  now(): number {
    return this.time;
  }

  after(): () => void {
    return () => undefined;
  }

  endOfTick(callback: () => void): void {
    this.callbacks.push(callback);
  }

  endTick(): void {
    for (const callback of this.callbacks.splice(0)) callback();
  }
}

/** A reader that takes time for its bytes. It keeps unprocessed ones, as a connection does. */
class Reader implements ScheduledReader {
  processed = 0;
  private kept: Uint8Array | undefined;
  private readonly clock: WorkClock;
  private readonly scheduler: ReadScheduler;
  private readonly msPerKiB: number;

  constructor(clock: WorkClock, scheduler: ReadScheduler, msPerKiB: number) {
    this.clock = clock;
    this.scheduler = scheduler;
    this.msPerKiB = msPerKiB;
  }

  read(bytes: Uint8Array): void {
    const at = this.scheduler.process(this, bytes, 0, bytes.length);
    if (at === bytes.length) return;
    this.kept = bytes.subarray(at);
    this.scheduler.enqueue(this);
  }

  processBytes(_chunk: Uint8Array, start: number, _end: number, until: number): number {
    this.processed += until - start;
    this.clock.time += ((until - start) / KiB) * this.msPerKiB;
    return until;
  }

  onTurn(): void {
    const { kept } = this;
    this.kept = undefined;
    if (kept !== undefined) this.read(kept);
  }
}

function scheduled(): { clock: WorkClock; reader: (msPerKiB: number) => Reader } {
  const clock = new WorkClock();
  const scheduler = new ReadScheduler(clock);
  return { clock, reader: (msPerKiB) => new Reader(clock, scheduler, msPerKiB) };
}

describe("the read scheduler", () => {
  test("processes a large read at once if its bytes are cheap", () => {
    const { reader } = scheduled();
    const cheap = reader(0.001);
    cheap.read(new Uint8Array(256 * KiB));
    assert.equal(cheap.processed, 256 * KiB);
  });

  test("ends the slice of a reader after 2 ms and continues it in later ticks, in order", () => {
    const { clock, reader } = scheduled();
    const [first, second] = [reader(0.25), reader(0.25)];
    first.read(new Uint8Array(40 * KiB));
    second.read(new Uint8Array(40 * KiB));
    assert.deepEqual([first.processed, second.processed], [8 * KiB, 8 * KiB]);
    for (let tick = 0; tick < 4; tick++) clock.endTick();
    assert.deepEqual([first.processed, second.processed], [40 * KiB, 40 * KiB]);
  });

  test("gives all readers together 8 ms of a tick; small reads are processed regardless", () => {
    const { clock, reader } = scheduled();
    const greedy = Array.from({ length: 20 }, () => reader(0.5));
    for (const each of greedy) each.read(new Uint8Array(8 * KiB));
    assert.ok(clock.time <= 10, `${clock.time} ms`);
    const modest = reader(0.01);
    modest.read(new Uint8Array(4 * KiB));
    assert.equal(modest.processed, 4 * KiB);
    for (let tick = 0; greedy.some(({ processed }) => processed < 8 * KiB); tick++) {
      const before = clock.time;
      clock.endTick();
      assert.ok(clock.time - before <= 10, `tick ${tick} took ${clock.time - before} ms`);
      assert.ok(tick < 20);
    }
  });
});

const SLOW = { client: { closeTimeout: 60_000 }, server: { closeTimeout: 60_000 } };

/** A slow listener. */
function work(): void {
  const until = performance.now() + 0.1;
  while (performance.now() < until);
}

describe("many small messages in one read do not starve the event loop", () => {
  for (const kind of kinds) {
    test(`over ${kind.name}: all of them arrive, in order, a part in each tick, and then the end`, async () => {
      await withConnected(kind, SLOW, async ({ client, server }) => {
        const sent = Array.from({ length: 3_000 }, (_, index) => String(index % 10));
        const got: string[] = [];
        let inTick = 0;
        let most = 0;
        server.on("message", ({ text }) => {
          got.push(text);
          if (inTick++ === 0) setImmediate(() => (inTick = 0));
          most = Math.max(most, inTick);
          work();
        });
        for (const text of sent) client.write(text);
        assert.equal((await client.close()).clean, true);
        assert.deepEqual(got, sent);
        // 4 KiB have 600 of them
        assert.ok(most <= 1_300, `${most} messages in a tick`);
      });
    });

    test(`over ${kind.name}: data read before the end of the stream is delivered before close`, async () => {
      await withConnected(kind, SLOW, async ({ client, server }) => {
        let got = 0;
        server.on("message", () => {
          got++;
          work();
        });
        for (let index = 0; index < 2_000; index++) client.write("x");
        void client.close();
        await server.closed;
        assert.equal(got, 2_000);
      });
    });
  }
});
