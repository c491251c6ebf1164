// How `tungstate connect` prints messages: escaped and truncated as a stream, with one small
// buffer.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Message } from "tungstate";
import { escapeControls, escapeInto, type Progress } from "../../src/system/escape.ts";
import { MessagePrinter } from "../../src/connect/printer.ts";

interface Printed {
  readonly text: string;
  readonly chunks: readonly number[];
  readonly cuts: readonly (readonly [printed: number, size: number])[];
}

async function print(messages: readonly (string | Uint8Array)[], maxLineBytes = 16 * 1024 * 1024): Promise<Printed> {
  const chunks: Uint8Array[] = [];
  const cuts: (readonly [number, number])[] = [];
  const printer = new MessagePrinter({
    maxLineBytes,
    write(chunk) {
      chunks.push(chunk);
      // alternate between synchronous and asynchronous writes
      return chunks.length % 2 === 0 ? undefined : Promise.resolve();
    },
    onCut: (printed, size) => cuts.push([printed, size]),
  });
  for (const each of messages) {
    const message =
      typeof each === "string" ? { type: "text", bytes: Buffer.from(each) } : { type: "binary", bytes: each };
    await printer.print(message as Message);
  }
  await printer.flush();
  return { text: Buffer.concat(chunks).toString(), chunks: chunks.map(({ length }) => length), cuts };
}

/** Text with many characters that are escaped or take several bytes in UTF-8. */
const texts = fc.string({
  unit: fc.constantFrom(
    ...[
      "a",
      "\0",
      "\t",
      "\n",
      "\r",
      "\x1b",
      "\x7f",
      "\x80",
      "\x9f",
      "\u00a0",
      "ü",
      "߿",
      "ࠀ",
      "\u2029",
      "\u202a",
      "\u202e",
    ],
    ...["\u202f", "\u2065", "\u2066", "\u2069", "\u206a", "日", "\uffff", "🌡", "\u{10ffff}"],
  ),
});

describe("escapeInto", () => {
  test("writes the bytes of escapeControls, in a target of any size", () => {
    fc.assert(
      fc.property(texts, fc.integer({ min: 6, max: 40 }), (text, room) => {
        const source = Buffer.from(text);
        const target = Buffer.alloc(room);
        const progress: Progress = { read: 0, written: 0 };
        const parts: string[] = [];
        do {
          progress.written = 0;
          escapeInto(source, target, room, progress);
          // a call that stopped within a character would fail here
          parts.push(target.toString("utf8", 0, progress.written));
        } while (progress.read < source.length);
        assert.equal(parts.join(""), escapeControls(text));
      }),
    );
  });

  test("writes nothing if the longest escape does not fit", () => {
    const progress: Progress = { read: 0, written: 0 };
    escapeInto(Buffer.from("a"), Buffer.alloc(5), 5, progress);
    assert.deepEqual(progress, { read: 0, written: 0 });
  });
});

describe("MessagePrinter", () => {
  test("prints each message as a line, and small ones in one write", async () => {
    const { text, chunks } = await print(["one", "", "two\nlines", Uint8Array.of(0, 1, 254, 255), new Uint8Array()]);
    assert.equal(text, "one\n\ntwo\\nlines\nbase64:AAH+/w==\nbase64:\n");
    assert.equal(chunks.length, 1);
  });

  test("prints large messages in chunks of at most 64 KiB", async () => {
    const large = "\x01ü".repeat(200_000);
    const bytes = Uint8Array.from({ length: 300_001 }, (_, index) => index % 251);
    const { text, chunks } = await print([large, bytes, "end"]);
    const expected = `${escapeControls(large)}\nbase64:${Buffer.from(bytes).toString("base64")}\nend\n`;
    assert.ok(text === expected, "it is what the whole messages would be");
    assert.ok(Math.max(...chunks) <= 64 * 1024);
  });

  for (const [what, message, printed] of [
    ["ASCII", "x".repeat(100), 100],
    ["escapes", "\x01".repeat(100), 400],
    ["characters of three bytes", "日".repeat(100), 300],
  ] as const) {
    test(`truncates a line of ${what} after the limit, not at it`, async () => {
      const size = Buffer.byteLength(message);
      for (const limit of [printed + 1, printed]) {
        const { text, cuts } = await print([message, "next"], limit);
        assert.deepEqual([text, cuts], [`${escapeControls(message)}\nnext\n`, []]);
      }
      const { text, cuts } = await print([message, "next"], printed - 6);
      const [line = "", next] = text.split("\n");
      const [[shown, of] = [0, 0]] = cuts;
      assert.equal(of, size);
      assert.equal(next, "next");
      const kept = Buffer.from(message).subarray(0, shown).toString();
      assert.equal(line, `${escapeControls(kept)} [truncated: ${size - shown} more bytes]`);
      assert.ok(Buffer.byteLength(escapeControls(kept)) >= printed - 6);
    });
  }

  test("truncates a binary message between groups of base64", async () => {
    const bytes = new Uint8Array(300);
    for (const limit of [407, 408]) assert.deepEqual((await print([bytes], limit)).cuts, [], String(limit));
    const { text, cuts } = await print([bytes, "next"], 406);
    assert.equal(text, `base64:${"A".repeat(396)} [truncated: 3 more bytes]\nnext\n`);
    assert.deepEqual(cuts, [[297, 300]]);
  });
});
