import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { elementsOf, isDeeperThan, onOneLine, sliceAt, toJson } from "../../src/json/json.ts";

test("a slice equals the value that JSON.parse finds", () => {
  const key = fc.constantFrom("data", "publish", "a", "", 'q"', "b\\", "__proto__", "ä");
  const spaced = fc.constantFrom(undefined, 1, "\t");
  fc.assert(
    fc.property(
      fc.dictionary(key, fc.dictionary(key, fc.jsonValue())),
      key,
      key,
      spaced,
      (value, outer, inner, space) => {
        const text = JSON.stringify(value, undefined, space);
        const parsed = JSON.parse(text) as Record<string, Record<string, unknown>>;
        const found = Object.hasOwn(parsed, outer) ? (parsed[outer] ?? {}) : {};
        const slice = sliceAt(text, [outer, inner]);
        if (Object.hasOwn(found, inner)) assert.deepEqual(JSON.parse(slice ?? ""), found[inner]);
        else assert.equal(slice, undefined);
      },
    ),
    { numRuns: 1000 },
  );
});

test("a slice is the text as written", () => {
  const data = '{ "n" : 12345678901234567890, "f":1.0,"s":"\\u00e4\\"}],:" }';
  assert.equal(sliceAt(`{"id":1,"publish":{"channel":"a","data":${data}}}`, ["publish", "data"]), data);
  assert.equal(sliceAt(` {\t"publish" : {"data":${data} , "channel":"a"} , "id":1}`, ["publish", "data"]), data);
});

test("of a repeated key the last counts, also if written with escapes", () => {
  assert.equal(sliceAt('{"data":1,"data":2}', ["data"]), "2");
  assert.equal(sliceAt('{"data":1,"d\\u0061ta":2}', ["data"]), "2");
  assert.equal(sliceAt('{"publish":{"data":1},"publish":{}}', ["publish", "data"]), undefined);
  assert.equal(sliceAt('{"dat\\u0061x":1}', ["data"]), undefined);
  assert.equal(sliceAt("[1]", ["data"]), undefined);
  assert.equal(sliceAt('{"data":{}}', ["data", "x"]), undefined);
});

test("the elements of an array are found", () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.constantFrom(undefined, 2), (value, space) => {
      const text = JSON.stringify(value, undefined, space);
      assert.deepEqual(
        elementsOf(text).map((each) => JSON.parse(each) as unknown),
        JSON.parse(text),
      );
    }),
  );
});

test("depth counts objects and arrays, not contents of strings", () => {
  const nested = (depth: number): string => '{"a":['.repeat(depth / 2) + '"]}[[[{\\"[["' + "]}".repeat(depth / 2);
  assert.equal(isDeeperThan(nested(64), 64), false);
  assert.equal(isDeeperThan(nested(66), 64), true);
  assert.equal(isDeeperThan(`[${"[],".repeat(1000)}[]]`, 64), false);
  assert.equal(isDeeperThan("[".repeat(100_000) + "]".repeat(100_000), 64), true);
});

test("the depth of invalid JSON is computed in linear time", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('"', "\\", "[", "{", "x", "]") }),
      (text) => void isDeeperThan(text, 2),
    ),
  );
  for (const piece of ['"', '\\"', "\\\\", '["', '"[', '{"\\']) isDeeperThan(piece.repeat(500_000), 1_000_000);
});

test("JSON on one line has the same value", () => {
  const value = { a: ["\n", "\r\n", { b: "\\n" }] };
  const line = onOneLine(JSON.stringify(value, undefined, 2));
  assert.ok(!/[\n\r]/.test(line));
  assert.deepEqual(JSON.parse(line), value);
});

test("invalid JSON is reported", () => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  for (const value of [undefined, () => 1, 1n, cycle, Symbol("x")]) {
    assert.throws(() => toJson(value, "the data"), /^TypeError: the data must be a JSON value/);
  }
});
