import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { test } from "node:test";
import { payloadBytes, TEXT } from "../cases/case.ts";
import { corpus, slice } from "../cases/corpus.ts";
import { CASES, GROUP_TITLES, groupOf } from "../cases/table.ts";

/** The number of cases in each subgroup of the Autobahn Testsuite. */
const COUNTS: Readonly<Record<string, number>> = {
  ...{ "1.1": 8, "1.2": 8, "2": 11, "3": 7, "4.1": 5, "4.2": 5, "5": 20 },
  ...{
    "6.1": 3,
    "6.2": 4,
    "6.3": 2,
    "6.4": 4,
    "6.5": 5,
    "6.6": 11,
    "6.7": 4,
    "6.8": 2,
    "6.9": 4,
    "6.10": 3,
    "6.11": 5,
  },
  ...{ "6.12": 8, "6.13": 5, "6.14": 10, "6.15": 1, "6.16": 3, "6.17": 5, "6.18": 5, "6.19": 5, "6.20": 7, "6.21": 8 },
  ...{ "6.22": 34, "6.23": 7, "7.1": 6, "7.3": 6, "7.5": 1, "7.7": 13, "7.9": 9, "7.13": 2 },
  ...{ "9.1": 6, "9.2": 6, "9.3": 9, "9.4": 9, "9.5": 6, "9.6": 6, "9.7": 6, "9.8": 6, "10.1": 1 },
  ...{ "12.1": 18, "12.2": 18, "12.3": 18, "12.4": 18, "12.5": 18 },
  ...{ "13.1": 18, "13.2": 18, "13.3": 18, "13.4": 18, "13.5": 18, "13.6": 18, "13.7": 18 },
};

test("there are 517 cases, numbered without gaps", () => {
  const expected = Object.entries(COUNTS).flatMap(([prefix, count]) =>
    Array.from({ length: count }, (_, index) => `${prefix}.${index + 1}`),
  );
  assert.deepEqual(new Set(CASES.map(({ id }) => id)), new Set(expected));
  assert.equal(CASES.length, 517);
  for (const { id } of CASES) assert.ok(GROUP_TITLES.has(groupOf(id)), id);
});

test("text is echoed if it is UTF-8, and failed with 1007 otherwise", () => {
  const sequences = CASES.filter(({ id }) => /^6\.([5-9]|\d\d)\./.test(id));
  assert.equal(sequences.length, 132);
  for (const { id, steps, ok, close } of sequences) {
    const [step] = steps;
    assert.ok(step?.do === "send" && step.frames.length === 1, id);
    const [frame] = step.frames;
    assert.equal(frame?.opcode, TEXT);
    const octets = payloadBytes(frame?.payload ?? Buffer.alloc(0));
    assert.ok(octets.length > 0, id);
    assert.equal(close.by, isUtf8(octets) ? "suite" : "remote", id);
    assert.equal(ok.length, isUtf8(octets) ? 1 : 0, id);
  }
});

test("the data to compress has its length, is deterministic, and may be split anywhere if it is text", () => {
  assert.equal(corpus("json").length, 194_056);
  assert.equal(corpus("bitmap").length, 263_222);
  assert.equal(corpus("prose").length, 222_218);
  assert.equal(corpus("html").length, 263_527);
  assert.equal(corpus("document").length, 1_042_328);
  for (const name of ["json", "html"] as const) assert.ok(corpus(name).every((byte) => byte < 0x80));
  assert.deepEqual(slice(Buffer.from("abcde"), 13, 4), Buffer.from("deab"));
  assert.deepEqual(slice(Buffer.from("abcde"), 10, 5), Buffer.from("abcde"));
  assert.equal(slice(Buffer.from("abcde"), 3, 0).length, 0);
});
