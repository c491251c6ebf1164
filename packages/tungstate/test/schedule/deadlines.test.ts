import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { NodeRuntime } from "../../src/native/runtime.ts";
import { Deadlines, NOWHERE, type Timed } from "../../src/schedule/deadlines.ts";
import { systemClock } from "../../src/schedule/clock.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

const SLOT = 50; // ms

class Alarm implements Timed {
  slot = NOWHERE;
  deadline: number;
  readonly rung: number[] = [];
  private readonly next: ((alarm: Alarm) => number) | undefined;

  /** `next`: the following deadline; none if omitted. */
  constructor(deadline: number, next?: (alarm: Alarm) => number) {
    this.deadline = deadline;
    this.next = next;
  }

  onDeadline(now: number): void {
    this.rung.push(now);
    this.deadline = this.next?.(this) ?? Infinity;
  }
}

describe("deadlines", () => {
  test("fire on time: never early and at most a slot late, with one timer", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2000), { minLength: 1, maxLength: 40 }), fc.nat(100), async (times, start) => {
        const clock = new VirtualClock(start);
        const deadlines = new Deadlines(clock);
        const alarms = times.map((time) => new Alarm(start + time));
        for (const alarm of alarms) deadlines.watch(alarm);
        assert.equal(clock.pending, 1);
        await clock.advance(2000 + SLOT);
        for (const [at, alarm] of alarms.entries()) {
          const late = (alarm.rung[0] ?? Infinity) - start - (times[at] ?? 0);
          assert.ok(alarm.rung.length === 1 && late >= 0 && late <= SLOT, `${late} ms late`);
        }
        assert.equal(clock.pending, 0);
      }),
      { numRuns: 15 },
    );
  });

  test("work on a clock that counts from 1970", async () => {
    const clock = new VirtualClock(1_795_000_000_000.5);
    const deadlines = new Deadlines(clock);
    const alarm = new Alarm(clock.now() + 1000);
    deadlines.watch(alarm);
    await clock.advance(999);
    assert.deepEqual(alarm.rung, []);
    await clock.advance(1 + SLOT);
    assert.equal(alarm.rung.length, 1);
  });

  test("one moved later fires later, without notice", async () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(clock);
    const alarm = new Alarm(100);
    deadlines.watch(alarm);
    alarm.deadline = 1000;
    await clock.advance(999);
    assert.deepEqual(alarm.rung, []);
    await clock.advance(1);
    assert.deepEqual(alarm.rung, [1000]);
  });

  test("one moved earlier fires earlier after notice", async () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(clock);
    const alarm = new Alarm(10_000);
    deadlines.watch(alarm);
    alarm.deadline = 100;
    deadlines.watch(alarm);
    await clock.advance(100);
    assert.deepEqual(alarm.rung, [100]);
    assert.equal(clock.pending, 0);
  });

  test("one may repeat", async () => {
    const clock = new VirtualClock();
    const alarm = new Alarm(100, ({ rung }) => (rung.length < 3 ? rung.length * 100 + 100 : Infinity));
    new Deadlines(clock).watch(alarm);
    await clock.advance(5000);
    assert.deepEqual(alarm.rung, [100, 200, 300]);
    assert.equal(clock.pending, 0);
  });

  test("a removed one does not fire, and leaves no timer that keeps the process alive", async () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(clock);
    const [first, second] = [new Alarm(100), new Alarm(200)];
    deadlines.watch(first);
    deadlines.watch(second);
    deadlines.forget(first);
    deadlines.forget(first);
    assert.equal(clock.pending, 1);
    deadlines.forget(second);
    assert.equal(clock.pending, 0);
    await clock.advance(1000);
    assert.deepEqual([first.rung, second.rung], [[], []]);
  });

  test("one may remove another, or itself, while it fires", async () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(clock);
    const later = new Alarm(30_000);
    const first = new Alarm(100, (alarm) => {
      deadlines.forget(later);
      deadlines.forget(alarm);
      return Infinity;
    });
    deadlines.watch(first);
    deadlines.watch(later);
    await clock.advance(100);
    assert.deepEqual(first.rung, [100]);
    assert.equal(clock.pending, 0);
  });

  test("one that removes itself without a new deadline fires once", async () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(clock);
    let alarm: Alarm | undefined;
    alarm = new Alarm(100, (one) => {
      deadlines.forget(one);
      // without a limit a table that fires forever would never end
      return one.rung.length < 10 ? 100 : Infinity;
    });
    deadlines.watch(alarm);
    await clock.advance(1000);
    assert.deepEqual(alarm.rung, [100]);
    alarm = undefined;
  });

  test("there is one table per clock of a runtime", () => {
    const [one, other] = [new NodeRuntime(), new NodeRuntime()];
    assert.equal(one.deadlines.of(systemClock), one.deadlines.of(systemClock));
    assert.notEqual(one.deadlines.of(new VirtualClock()), one.deadlines.of(new VirtualClock()));
    assert.notEqual(one.deadlines.of(systemClock), other.deadlines.of(systemClock));
  });
});
