import assert from "node:assert/strict";
import { test } from "node:test";
import { RepeatLimiter } from "../../src/logging/repeat-limiter.ts";

function setUp(most: number): { repeats: RepeatLimiter; endSecond: () => void; timers: () => number } {
  let timers: (() => void)[] = [];
  const repeats = new RepeatLimiter(most, (delay, callback) => {
    assert.equal(delay, 1_000);
    timers.push(callback);
  });
  const endSecond = (): void => {
    const due = timers;
    timers = [];
    for (const callback of due) callback();
  };
  return { repeats, endSecond, timers: () => timers.length };
}

test("RepeatLimiter passes a number of lines for each key and second, and reports the rest", () => {
  const { repeats, endSecond, timers } = setUp(3);
  const reported: [string, number][] = [];
  const ask = (kind: string): boolean => repeats.allows(kind, (count) => reported.push([kind, count]));
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => ask("a")),
    [true, true, true, false, false],
  );
  assert.deepEqual(
    [1, 2, 3].map(() => ask("b")),
    [true, true, true],
  );
  assert.equal(timers(), 1);
  endSecond();
  assert.deepEqual(reported, [["a", 2]]);
  assert.equal(timers(), 0);
  assert.equal(ask("a"), true);
});

test("RepeatLimiter counts all keys beyond its limit as one", () => {
  const { repeats, endSecond } = setUp(1);
  let reported = 0;
  let passed = 0;
  for (let number = 0; number < 10_000; number++) {
    if (repeats.allows(`kind ${number}`, (count) => (reported += count))) passed++;
  }
  endSecond();
  assert.ok(passed <= 201, String(passed));
  assert.equal(passed + reported, 10_000);
});
