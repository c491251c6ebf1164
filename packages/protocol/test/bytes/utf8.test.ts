import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkUtf8, decodeUtf8, UTF8_INVALID, UTF8_START, utf8Length, writeUtf8 } from "../../src/bytes/utf8.ts";
import { hex, show, toHex, utf8 } from "../support/bytes.ts";
import { boundsOf, INTERESTING, judge, MALFORMED, WELL_FORMED } from "../support/utf8-table.ts";
import fc from "fast-check";

const stateAfter = (bytes: Uint8Array): number => checkUtf8(bytes, 0, bytes.length, UTF8_START);

/**
 * The state after the bytes must equal the table's, wherever a piece ends, and the first invalid
 * byte must be detected.
 */
function check(bytes: Uint8Array): void {
  const verdict = judge(bytes);
  const state = stateAfter(bytes);
  const right = (what: string, is: boolean): void => {
    if (!is) assert.fail(`${toHex(bytes)} is ${what}, the table says ${verdict}`);
  };
  if (verdict === "whole") right("whole", state === UTF8_START);
  else if (verdict === "partial") right("partial", state > UTF8_START);
  else {
    right("bad", state === UTF8_INVALID);
    right("good before the first bad byte", checkUtf8(bytes, 0, verdict, UTF8_START) !== UTF8_INVALID);
    right("bad with it", checkUtf8(bytes, 0, verdict + 1, UTF8_START) === UTF8_INVALID);
  }
  for (let split = 0; split <= bytes.length; split++) {
    const half = checkUtf8(bytes, 0, split, UTF8_START);
    if (half === UTF8_INVALID) break;
    right("the same in pieces", checkUtf8(bytes, split, bytes.length, half) === state);
  }
}

describe("the UTF-8 check", () => {
  test("equals the table for each byte and each pair of bytes", () => {
    for (let first = 0; first < 256; first++) {
      check(Uint8Array.of(first));
      for (let second = 0; second < 256; second++) check(Uint8Array.of(first, second));
    }
  });

  test("equals the table at all limits of three and four bytes, and next to them", () => {
    for (const lead of INTERESTING.filter((byte) => byte >= 0x80)) {
      for (const second of INTERESTING) {
        for (const third of INTERESTING) {
          check(Uint8Array.of(lead, second, third));
          if (lead < 0xf0 || (second & 0xc0) !== 0x80) continue;
          for (const fourth of INTERESTING) check(Uint8Array.of(lead, second, third, fourth));
        }
      }
    }
  });

  test("accepts the limits of each row, and rejects truncated characters", () => {
    for (const row of WELL_FORMED) {
      for (const bytes of boundsOf(row)) {
        assert.equal(stateAfter(bytes), UTF8_START, toHex(bytes));
        for (let end = 1; end < bytes.length; end++) assert.ok(stateAfter(bytes.subarray(0, end)) > UTF8_START);
      }
    }
  });

  for (const [what, digits] of MALFORMED) {
    test(`rejects ${what}`, () => {
      const bytes = hex(digits);
      assert.equal(stateAfter(bytes), UTF8_INVALID);
      check(bytes);
      check(Uint8Array.of(0x61, 0xc3, 0xa9, ...bytes, 0x62));
    });
  }

  test("reads only the given range", () => {
    const bytes = hex("ff 41 c3a9 ff");
    assert.equal(checkUtf8(bytes, 1, 4, UTF8_START), UTF8_START);
    assert.equal(checkUtf8(bytes, 2, 2, UTF8_START), UTF8_START);
    assert.equal(checkUtf8(bytes, 1, 5, UTF8_START), UTF8_INVALID);
  });

  test("agrees with the platform's decoder on any bytes", () => {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const isUtf8 = (bytes: Uint8Array): boolean => {
      try {
        decoder.decode(bytes);
        return true;
      } catch {
        return false;
      }
    };
    const piece = fc.oneof(
      fc.string({ unit: "binary" }).map(utf8),
      fc.uint8Array({ maxLength: 4 }),
      fc.constantFrom(...MALFORMED.map(([, digits]) => hex(digits))),
      fc.constantFrom(...INTERESTING).map((byte) => Uint8Array.of(byte)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const bytes = Uint8Array.from(pieces.flatMap((part) => [...part]));
        assert.equal(stateAfter(bytes) === UTF8_START, isUtf8(bytes));
      }),
      { numRuns: 1000 },
    );
  });
});

/** Text of any UTF-16 units, including lone surrogates. */
const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc
    .array(fc.constantFrom("a", "é", "€", "😀", "\u{10ffff}", "\ud83d", "\ude00", "\ufeff", "\0"))
    .map((units) => units.join("")),
  fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units)),
);

function encoded(text: string): Uint8Array {
  const target = new Uint8Array(3 * text.length + 9).fill(0xaa);
  const end = writeUtf8(text, target, 4);
  assert.match(toHex(target.subarray(0, 4)), /^(aa)*$/);
  assert.ok(target.subarray(end).every((byte) => byte === 0xaa));
  return target.slice(4, end);
}

function checkText(text: string): void {
  const expected = utf8(text);
  assert.equal(show(encoded(text)), show(expected));
  assert.equal(utf8Length(text), expected.length);
  const shifted = Uint8Array.of(0xff, ...expected, 0xff);
  assert.equal(decodeUtf8(shifted, 1, shifted.length - 1), Buffer.from(expected).toString("utf8"));
  assert.equal(show(expected), show(new TextEncoder().encode(text)));
}

describe("UTF-8 text", () => {
  test("is encoded and decoded at the limits of each length", () => {
    for (const point of [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfeff, 0xfffd, 0xffff, 0x10000, 0x10ffff]) {
      checkText(String.fromCodePoint(point));
      checkText(`a${String.fromCodePoint(point)}é`);
    }
  });

  test("of lone surrogates equals that of U+FFFD", () => {
    for (const text of [
      "\ud800",
      "\udbff",
      "\udc00",
      "\udfff",
      "\ud83d!",
      "!\ude00",
      "\ude00\ud83d",
      "\ud83d\ud83d\ude00",
    ]) {
      checkText(text);
    }
    assert.equal(toHex(encoded("\ud800")), "efbfbd");
  });

  test("keeps a byte order mark", () => {
    assert.equal(decodeUtf8(hex("efbbbf41"), 0, 4), "\ufeffA");
  });

  test("may be long", () => {
    for (const part of ["a", "é", "€", "😀"]) {
      for (const length of [4095, 4096, 4097, 10_000]) checkText(part.repeat(length));
    }
    checkText(`a${"😀".repeat(5000)}`); // a pair across the boundary of what is decoded at once
  });

  test("agrees with the platform's encoder and decoder on any text", () => {
    fc.assert(fc.property(anyText, checkText), { numRuns: 1000 });
  });
});
