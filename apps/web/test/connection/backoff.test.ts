import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { retryDelay } from "../../src/connection/backoff.ts";

const ALMOST_ONE = 1 - Number.EPSILON;

test("full jitter: random up to a limit that doubles, at most 30 s", () => {
  for (const [failures, ceiling] of [
    [1, 1_000],
    [2, 2_000],
    [3, 4_000],
    [5, 16_000],
    [6, 30_000],
    [1_000, 30_000],
  ] as const) {
    assert.equal(retryDelay(failures, 1006, 0), 0);
    assert.equal(retryDelay(failures, 1006, 0.5), ceiling / 2);
    assert.equal(retryDelay(failures, 1006, ALMOST_ONE), ceiling);
  }
});

test("1012 waits 5 to 30 s, 1013 15 to 60 s, for any number of failures", () => {
  for (const failures of [1, 50]) {
    assert.deepEqual(
      [0, ALMOST_ONE].map((random) => retryDelay(failures, 1012, random)),
      [5_000, 30_000],
    );
    assert.deepEqual(
      [0, ALMOST_ONE].map((random) => retryDelay(failures, 1013, random)),
      [15_000, 60_000],
    );
  }
});

test("the delay is always an integer that a timer accepts", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1 }),
      fc.integer({ min: 1000, max: 4999 }),
      fc.double({ min: 0, max: ALMOST_ONE, noNaN: true }),
      (failures, code, random) => {
        const delay = retryDelay(failures, code, random);
        assert.ok(Number.isInteger(delay) && delay >= 0 && delay <= 60_000);
      },
    ),
  );
});
