import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../src/schedule/clock.ts";
import { TimeSlices } from "../../src/schedule/time-slices.ts";

/** A clock that only work advances. The test ends its ticks. */
class WorkClock implements Clock {
  time = 0;
  private ends: (() => void)[] = [];
  now(): number {
    return this.time;
  }
  unix(): number {
    return this.time;
  }
  after(): () => void {
    return () => undefined;
  }
  endOfTick(callback: () => void): void {
    this.ends.push(callback);
  }
  /** Ends the tick. Returns the time of the work done in it. */
  async tick(): Promise<number> {
    const from = this.time;
    const { ends } = this;
    this.ends = [];
    for (const end of ends) end();
    await microtasks();
    return this.time - from;
  }
}

async function microtasks(): Promise<void> {
  for (let i = 0; i < 200; i++) await Promise.resolve();
}

test("work runs in order, at once while the slice lasts, then one slice in each tick", async () => {
  const clock = new WorkClock();
  const slices = new TimeSlices(clock);
  const done: number[] = [];
  for (let number = 0; number < 20; number++) {
    slices.add(() => {
      done.push(number);
      clock.time += 2;
      return undefined;
    });
  }
  assert.equal(clock.time, 4, "as many as fit");
  const ticks: number[] = [];
  while (slices.size > 0) ticks.push(await clock.tick());
  assert.deepEqual(ticks, [4, 4, 4, 4, 4, 4, 4, 4, 4]);
  assert.deepEqual(
    done,
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test("work that continues after a promise counts: it runs in the slice, too", async () => {
  const clock = new WorkClock();
  const slices = new TimeSlices(clock);
  let running = 0;
  let most = 0;
  for (let number = 0; number < 100; number++) {
    slices.add(async () => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      clock.time += 0.5;
      running--;
    });
  }
  await microtasks();
  const ticks = [clock.time];
  while (slices.size > 0) ticks.push(await clock.tick());
  assert.ok(Math.max(...ticks) <= 5 + 16 * 0.5, ticks.join(", "));
  assert.ok(most <= 16 && ticks.length >= 5, `${most} at once, ${ticks.length} ticks`);
});

test("a store that does not answer delays others by at most a tick", async () => {
  const clock = new WorkClock();
  const slices = new TimeSlices(clock);
  for (let number = 0; number < 16; number++) slices.add(() => new Promise(() => undefined));
  let done = false;
  slices.add(() => {
    done = true;
    return undefined;
  });
  assert.equal(done, false);
  await clock.tick();
  assert.equal(done, true);
});

test("loops over many items share the slices, and yield to each other and to the event loop", async () => {
  const clock = new WorkClock();
  const slices = new TimeSlices(clock);
  const finished: number[] = [];
  const steps: number[] = [];
  const run = async (number: number): Promise<void> => {
    const loop = slices.loop();
    for (let item = 0; item < 100; item++) {
      if (loop.isOver()) await loop.next();
      clock.time += 0.2;
      if (steps.at(-1) !== number) steps.push(number);
    }
    loop.end();
    finished.push(number);
  };
  const running = [run(1), run(2), run(3)];
  assert.ok(clock.time <= 2 * (5 + 16 * 0.2), "all together begin at once");
  const ticks: number[] = [];
  while (finished.length < 3) ticks.push(await clock.tick());
  await Promise.all(running);
  assert.ok(Math.max(...ticks) <= 5 + 2 * 16 * 0.2, ticks.join(", "));
  assert.ok(steps.length > 6, steps.join(" "));
  assert.equal(slices.size, 0);
});
