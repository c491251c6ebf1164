import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Backoff } from "../../src/reconnecting/core/backoff.ts";

const OPTIONS = { initialDelay: 1_000, maxDelay: 30_000, resetAfter: 10_000 };

/** Returns the delays after failed attempts. */
function waits(count: number, random: number): number[] {
  const backoff = new Backoff(OPTIONS, () => random);
  return Array.from({ length: count }, () => backoff.next(undefined));
}

describe("backoff", () => {
  test("the window starts at initialDelay and doubles up to maxDelay", () => {
    assert.deepEqual(waits(7, 0.5), [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    assert.deepEqual(waits(3, 0), [0, 0, 0]);
  });

  test("is at most maxDelay, after any number of failures", () => {
    assert.equal(Math.max(...waits(2_000, 0.999_999)), 30_000);
  });

  test("each delay is spread over its whole window", () => {
    const delays: number[] = [];
    for (let client = 0; client < 1_000; client++) {
      const backoff = new Backoff(OPTIONS, () => client / 1_000);
      backoff.next(undefined);
      delays.push(backoff.next(undefined));
    }
    assert.equal(new Set(delays.map((delay) => Math.floor(delay / 100))).size, 20);
  });

  test("restarts after a stable connection, and only then", () => {
    const backoff = new Backoff(OPTIONS, () => 0.5);
    for (let count = 0; count < 4; count++) backoff.next(undefined);
    assert.deepEqual([backoff.attempt, backoff.next(9_999)], [5, 8_000]);
    assert.deepEqual([backoff.attempt, backoff.next(10_000), backoff.attempt], [6, 500, 1]);
    assert.deepEqual([backoff.next(undefined), backoff.attempt], [1_000, 2]);
  });

  test("a hint of the server is obeyed, and the delay then spread", () => {
    const next = (random: number): number =>
      new Backoff(OPTIONS, () => random).next(undefined, { notBefore: 5_000, spread: 0 });
    assert.deepEqual([next(0), next(0.5)], [5_000, 5_500]);
    const wide = new Backoff(OPTIONS, () => 0.5).next(undefined, { notBefore: 5_000, spread: 25_000 });
    assert.equal(wide, 17_500);
  });

  test("a delay is an integer within its limits", () => {
    const random = fc.double({ min: 0, max: 0.999_999_9, noNaN: true });
    const options = fc.record({
      initialDelay: fc.integer({ min: 1, max: 100_000 }),
      maxDelay: fc.integer({ min: 1, max: 100_000 }),
      resetAfter: fc.integer({ min: 1, max: 100_000 }),
    });
    const history = fc.array(fc.option(fc.integer({ min: 0, max: 200_000 }), { nil: undefined }), { maxLength: 60 });
    fc.assert(
      fc.property(options, random, history, (given, value, ends) => {
        const backoff = new Backoff(given, () => value);
        for (const openFor of ends) {
          const delay = backoff.next(openFor);
          assert.ok(Number.isInteger(delay) && delay >= 0 && delay <= given.maxDelay);
          if (openFor !== undefined && openFor >= given.resetAfter) assert.ok(delay <= given.initialDelay);
        }
      }),
    );
  });
});
