import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { own, sizeOf, sizeOfOptional } from "../../src/memory/owned.ts";
import { memoryInUse } from "../../../../scripts/testing/memory.mjs";

test("an owned text is equal, including lone surrogates, for any length", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), fc.nat(200), (text, from) => {
      const tally = { bytes: 0 };
      assert.equal(own(text.slice(from), tally), text.slice(from));
      assert.equal(tally.bytes, sizeOf(text.slice(from)));
    }),
  );
  for (const unit of ["x", "é", "ж", "\ud800"]) {
    for (const length of [0, 12, 13, 65_535, 65_536, 65_537, 200_000]) {
      const text = unit.repeat(length);
      assert.ok(own(text) === text, `${length} times ${unit}`);
    }
  }
});

test("sizes are in bytes: UTF-8, or two for each unit if V8 stores the text so", () => {
  assert.equal(sizeOf("abc"), 3);
  assert.equal(sizeOf("é"), 2);
  assert.equal(sizeOf("€"), 3);
  assert.equal(sizeOf("aaaaaaaa€"), 18);
  assert.equal(sizeOfOptional(undefined), 0);
  const tally = { bytes: 10 };
  own("abc", tally);
  own("€", tally);
  assert.equal(tally.bytes, 16, "added to what is there");
});

test("an owned text keeps nothing else in memory, while a substring keeps its whole source", async () => {
  const kept: string[] = [];
  const frame = (number: number): string => `${number} `.padEnd(60_000, "x");
  const measure = async (cut: (text: string) => string): Promise<number> => {
    const before = await memoryInUse();
    for (let number = 0; number < 100; number++) kept.push(cut(Buffer.from(frame(number)).toString()));
    return (await memoryInUse()) - before;
  };
  assert.ok((await measure((text) => text.slice(0, 20))) > 5_000_000, "this is what it is for");
  assert.ok((await measure((text) => own(text.slice(0, 20)))) < 500_000);
  assert.equal(kept.length, 200);
});
