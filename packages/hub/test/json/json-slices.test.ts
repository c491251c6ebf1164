import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseInSlices } from "../../src/json/json-slices.ts";
import { TimeSlices } from "../../src/schedule/time-slices.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const slices = new TimeSlices(new VirtualClock());

async function same(text: string): Promise<void> {
  let expected: unknown;
  let isJson = true;
  try {
    expected = JSON.parse(text);
  } catch {
    isJson = false;
  }
  const loop = slices.loop();
  if (isJson) assert.deepEqual(await parseInSlices(text, loop), expected);
  else await assert.rejects(parseInSlices(text, loop), SyntaxError, text.slice(0, 100));
}

/** Creates values that are long enough to be sliced, from a short description. */
const long = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.jsonValue(),
    fc.nat(120_000).map((length) => 'x\\"é'.repeat(length / 4)),
    fc.nat(40_000).map((length) => Array.from({ length }, (_, i) => i)),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.string({ maxLength: 5 }), tie("value"), { maxKeys: 4 }),
  ),
})).value;

test("a long text is parsed as by JSON.parse", async () => {
  await fc.assert(
    fc.asyncProperty(long, fc.constantFrom(undefined, 1, "\t"), (value, space) =>
      same(JSON.stringify(value, undefined, space)),
    ),
    { numRuns: 60 },
  );
  const many = { channels: Array.from({ length: 100_000 }, (_, i) => `a ${i}`), data: { "": [], x: {} } };
  await same(JSON.stringify(many));
  await same(`{"__proto__":${JSON.stringify(many)},"a":1,"a":${"[".repeat(200)}${"]".repeat(200)}}`);
});

test("invalid JSON is rejected, wherever the error is", async () => {
  const text = JSON.stringify({ a: Array.from({ length: 20_000 }, (_, i) => `b ${i}`), c: { d: "x".repeat(80_000) } });
  await fc.assert(
    fc.asyncProperty(
      fc.nat(text.length),
      fc.constantFrom("", ",", '"', "[", "]", "{", "}", ":", "x", "\\"),
      fc.nat(2),
      (at, put, cut) => same(text.slice(0, at) + put + text.slice(at + cut)),
    ),
    { numRuns: 300 },
  );
  const wide = "1,".repeat(50_000);
  for (const broken of [
    `[${wide}]`,
    `[${wide},1]`,
    `[,${wide}1]`,
    `[${wide}1`,
    `[${wide}1}`,
    `[${wide}1]]`,
    `[${wide}1] x`,
    `{${wide}1}`,
  ]) {
    await same(broken);
  }
  await same(`{1:${`[${wide}1]`}}`);
  await same(`{"a" ${`[${wide}1]`}}`);
  await same(`[${wide}1] `);
});

/** A clock that advances at each reading. */
class BusyClock extends VirtualClock {
  override now(): number {
    this.spend(3);
    return super.now();
  }
}

test("other work runs meanwhile", async () => {
  const loop = new TimeSlices(new BusyClock()).loop();
  let turns = 0;
  let isDone = false;
  const count = (): void => {
    turns++;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  await parseInSlices(JSON.stringify(Array.from({ length: 300_000 }, (_, i) => i)), loop);
  isDone = true;
  loop.end();
  assert.ok(turns > 5, `${turns} turns`);
});
