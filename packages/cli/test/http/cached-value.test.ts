import assert from "node:assert/strict";
import { test } from "node:test";
import { CachedValue } from "../../src/http/cached-value.ts";

function setUp(burst: number): { get: () => number; pass: (ms: number) => void } {
  let now = 0;
  let computed = 0;
  const value = new CachedValue(
    () => ++computed,
    { interval: 1_000, burst },
    () => now,
  );
  return { get: () => value.get(), pass: (ms) => void (now += ms) };
}

test("CachedValue computes once in each interval", () => {
  const { get, pass } = setUp(1);
  const values = Array.from({ length: 50 }, () => {
    pass(100);
    return get();
  });
  assert.equal(values.at(-1), 5); // at 100 ms, then once a second
  assert.deepEqual(values.slice(0, 10), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
});

test("CachedValue computes for each of the first calls after a pause", () => {
  const { get, pass } = setUp(3);
  assert.deepEqual([get(), get(), get(), get(), get()], [1, 2, 3, 3, 3]);
  pass(1_000);
  assert.deepEqual([get(), get()], [4, 4]);
  pass(100_000);
  assert.deepEqual([get(), get(), get(), get(), get()], [5, 6, 7, 7, 7]);
});

test("CachedValue shares a pending promise", async () => {
  let resolve: (value: number) => void = () => undefined;
  const value = new CachedValue(
    () => new Promise<number>((done) => (resolve = done)),
    { interval: 1_000, burst: 1 },
    () => 0,
  );
  const all = [value.get(), value.get(), value.get()];
  assert.equal(new Set(all).size, 1);
  resolve(7);
  assert.deepEqual(await Promise.all(all), [7, 7, 7]);
});
