import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MaskingKeys } from "../../src/frames/masking-keys.ts";
import { pattern } from "../support/bytes.ts";

describe("masking keys", () => {
  const octets = (key: number): number[] => [key & 255, (key >>> 8) & 255, (key >>> 16) & 255, key >>> 24];

  test("are the bytes of the source, in order, each used once", () => {
    let asked = 0;
    const given: number[] = [];
    const keys = new MaskingKeys((target) => {
      asked++;
      target.set(pattern(target.length, asked));
      given.push(...target);
    });
    assert.equal(asked, 0, "nothing is drawn before it is needed");
    const taken: number[] = [];
    for (let i = 0; i < 2500; i++) taken.push(...octets(keys.take()));
    assert.equal(asked, 3);
    assert.deepEqual(taken, given.slice(0, taken.length));
  });

  test("are discarded after use", () => {
    let pool: Uint8Array = new Uint8Array(0);
    const keys = new MaskingKeys((target) => {
      pool = target.fill(0xff);
    });
    assert.equal(keys.take(), -1);
    assert.deepEqual([...pool.subarray(0, 8)], [0, 0, 0, 0, 255, 255, 255, 255]);
  });

  test("are generated again after a failure of the source", () => {
    let broken = true;
    const keys = new MaskingKeys((target) => {
      if (broken) throw new Error("no randomness");
      target.fill(7);
    });
    assert.throws(() => keys.take(), /no randomness/);
    broken = false;
    assert.deepEqual(octets(keys.take()), [7, 7, 7, 7]);
  });
});
