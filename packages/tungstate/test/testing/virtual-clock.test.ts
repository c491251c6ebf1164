import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

describe("a virtual clock", () => {
  test("stands still until it is advanced", async () => {
    const clock = new VirtualClock(500);
    let called = 0;
    clock.after(0, () => called++);
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual([clock.now(), called, clock.pending], [500, 0, 1]);
    await clock.advance(0);
    assert.deepEqual([clock.now(), called, clock.pending], [500, 1, 0]);
  });

  test("calls due callbacks in order of time, each at its time; then in order of registration", async () => {
    const clock = new VirtualClock();
    const seen: [string, number][] = [];
    const call = (name: string) => () => void seen.push([name, clock.now()]);
    clock.after(30, call("late"));
    clock.after(10, call("first"));
    clock.after(10, call("second"));
    clock.after(31, call("not yet"));
    await clock.advance(30);
    assert.deepEqual(seen, [
      ["first", 10],
      ["second", 10],
      ["late", 30],
    ]);
    assert.equal(clock.now(), 30);
  });

  test("calls callbacks registered meanwhile if they are due, and no cancelled ones", async () => {
    const clock = new VirtualClock();
    const seen: number[] = [];
    const again = (): void => {
      seen.push(clock.now());
      clock.after(10, again);
    };
    clock.after(10, again);
    const cancel = clock.after(15, () => seen.push(-1));
    clock.after(12, cancel);
    await clock.advance(35);
    assert.deepEqual(seen, [10, 20, 30]);
    assert.equal(clock.pending, 1);
  });

  test("runs the event loop in between", async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    clock.after(1, () => clock.endOfTick(() => seen.push("turn")));
    clock.after(2, () => seen.push("two"));
    await clock.advance(2);
    assert.deepEqual(seen, ["turn", "two"]);
  });
});
