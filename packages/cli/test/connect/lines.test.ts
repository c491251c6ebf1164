import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineError, linesOf } from "../../src/connect/lines.ts";

async function* chunks(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === "string" ? Buffer.from(part) : part;
}

async function all(input: AsyncIterable<Uint8Array>, max?: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const some of linesOf(input, max)) lines.push(...some);
  return lines;
}

/** Returns the lines yielded before an error, and the error. */
async function until(input: AsyncIterable<Uint8Array>, max?: number): Promise<[string[], string]> {
  const lines: string[] = [];
  try {
    for await (const some of linesOf(input, max)) lines.push(...some);
  } catch (error) {
    assert.ok(error instanceof LineError);
    return [lines, error.message];
  }
  return assert.fail("it did not throw");
}

test("linesOf splits at LF and CR LF; the last line needs no line ending", async () => {
  assert.deepEqual(await all(chunks("")), []);
  assert.deepEqual(await all(chunks("\n")), [""]);
  assert.deepEqual(await all(chunks("a\r\n\r\nb\n\nc")), ["a", "", "b", "", "c"]);
  assert.deepEqual(await all(chunks("a\rb\u2028c\u0085d\ve\n")), ["a\rb\u2028c\u0085d\ve"]);
  assert.deepEqual(await all(chunks("\ufeffa\n")), ["\ufeffa"]);
});

test("linesOf yields the same lines for any chunks", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\n", ""))),
      fc.array(fc.nat(40)),
      async (lines, sizes) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
        const parts: Uint8Array[] = [];
        let at = 0;
        for (const size of sizes) parts.push(bytes.subarray(at, (at += size)));
        parts.push(bytes.subarray(at));
        const expected = lines.map((line) => line.replace(/\r$/, ""));
        assert.deepEqual(await all(chunks(...parts)), expected);
      },
    ),
    { numRuns: 200 },
  );
});

test("linesOf names the first line that is not UTF-8, after the lines before it", async () => {
  const bad = Buffer.from([0x61, 0xff, 0x0a]);
  assert.deepEqual(await until(chunks("a\nb\n", bad, "c\n")), [["a", "b"], "line 3 is not UTF-8"]);
  assert.deepEqual(await until(chunks(Buffer.concat([Buffer.from("a\nb\n"), bad]))), [
    ["a", "b"],
    "line 3 is not UTF-8",
  ]);
  assert.deepEqual(await until(chunks("a\n", Buffer.from([0xe2, 0x82]))), [["a"], "line 2 is not UTF-8"]);
});

test("linesOf accepts the longest line, and rejects one more byte", async () => {
  for (const parts of [["12345678"], ["1234", "5678"], ["12345678\n"], ["1234", "5678\n9"]]) {
    assert.equal((await all(chunks(...parts), 8))[0], "12345678");
  }
  for (const parts of [["123456789"], ["1234", "56789"], ["12345678", "9\n"], ["123456789\n"]]) {
    assert.deepEqual(
      await until(chunks("a\n", ...parts), 8),
      [["a"], "line 2 is longer than 8 bytes"],
      parts.join("|"),
    );
  }
  assert.deepEqual(await until(chunks("a\n123456789\nb\n"), 8), [["a"], "line 2 is longer than 8 bytes"]);
});
