import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { applyDelta } from "fossil-delta";
import { createDelta } from "../../src/protocol/fossil-delta.ts";

function roundTrip(source: string, target: string): string {
  const delta = createDelta(Buffer.from(source), Buffer.from(target));
  // as UTF-8 text, as in JSON
  const applied = applyDelta<Uint8Array>(Buffer.from(source), new TextEncoder().encode(delta));
  assert.equal(Buffer.from(applied).toString(), target);
  return delta;
}

test("a delta applied to the source gives the target, by the fossil-delta package", () => {
  const word = fc.constantFrom(
    "a",
    "ä",
    "€",
    "😀",
    "x".repeat(20),
    "lorem ipsum dolor sit amet",
    "0123456789",
    '"',
    "\n",
  );
  const text = fc.array(word, { maxLength: 60 }).map((words) => words.join(""));
  fc.assert(
    fc.property(text, text, (source, target) => void roundTrip(source, target)),
    { numRuns: 2000 },
  );
});

test("the size of a delta is that of the edit", () => {
  const source = JSON.stringify({
    rows: Array.from({ length: 50 }, (_, id) => ({ id, name: `row ${id}`, price: id * 3.5 })),
  });
  assert.ok(roundTrip(source, source).length < 20);
  assert.ok(roundTrip(source, source.replace("row 7", "row seven")).length < 50);
  assert.ok(
    roundTrip(source, source.replace("row 7", "r7").replace("row 40", "r40").replace("row 45", "")).length < 90,
  );
  const moved = source.slice(700) + source.slice(0, 700);
  assert.ok(roundTrip(source, moved).length < 60);
});

test("characters are not split", () => {
  const before = "grüße an alle leser dieses textes: é ".repeat(3);
  // second bytes differ, first bytes do not
  const after = before.replaceAll("é", "è").replaceAll("ü", "û");
  assert.ok(!roundTrip(before, after).includes("\ufffd"));
});

test("the work is linear for any input", () => {
  const size = 60_000;
  for (const period of [1, 2, 17, 24, 33, 200]) {
    const source = Buffer.from(("a".repeat(period) + "c").repeat(size / (period + 1)));
    const target = Buffer.from(("a".repeat(period) + "b").repeat(size / (period + 1)));
    const before = process.cpuUsage();
    createDelta(source, target);
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 200_000, `period ${period}: ${user + system} µs`); // a few ms
  }
});
