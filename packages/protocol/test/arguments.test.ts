import assert from "node:assert/strict";
import { describe as suite, it } from "node:test";
import { ByteBuffer } from "../src/handshake/byte-buffer.ts";
import { checkLimit, describe, invalidOption, quote } from "../src/arguments.ts";
import { decodeLatin1, encodeLatin1 } from "../src/bytes/latin1.ts";
import { bytes, refusedWith } from "./handshake/support.ts";

suite("latin1", () => {
  const all = Uint8Array.from({ length: 256 }, (_, code) => code);

  it("maps each byte to the character of the same number, and back", () => {
    const text = decodeLatin1(all, 0, 256);
    assert.deepEqual(
      Array.from(text, (character) => character.charCodeAt(0)),
      [...all],
    );
    assert.deepEqual(encodeLatin1(text), all);
  });

  for (const size of [0, 1, 4095, 4096, 4097, 10_000]) {
    it(`takes ${size} bytes from the middle`, () => {
      const source = Uint8Array.from({ length: size + 2 }, (_, at) => at % 251);
      assert.deepEqual(encodeLatin1(decodeLatin1(source, 1, size + 1)), source.slice(1, size + 1));
    });
  }
});

suite("quote", () => {
  it("escapes everything that a terminal or a log would interpret", () => {
    assert.equal(quote('a"b\\c'), '"a\\"b\\\\c"');
    assert.equal(quote(" ~"), '" ~"');
    assert.equal(quote("\x1b[2J\r\n\0\x7f\x9b\u2028"), '"\\u001b[2J\\u000d\\u000a\\u0000\\u007f\\u009b\\u2028"');
  });

  it("shows 64 characters and the total number", () => {
    assert.equal(quote("x".repeat(64)), `"${"x".repeat(64)}"`);
    assert.equal(quote("x".repeat(65)), `"${"x".repeat(64)}"... (65 characters)`);
  });
});

suite("describe", () => {
  const table: readonly (readonly [unknown, string])[] = [
    ["text", '"text"'],
    [undefined, "undefined"],
    [null, "null"],
    [NaN, "NaN"],
    [true, "true"],
    [[1], "an array"],
    [{}, "an object"],
    [() => 0, "a function"],
    [Symbol("s"), "Symbol(s)"],
  ];
  for (const [value, said] of table) it(said, () => assert.equal(describe(value), said));

  it("is part of error messages for callers", () => {
    const error = invalidOption("host", "a string", 7);
    assert.equal(error.code, "INVALID_ARGUMENT");
    assert.equal(error.message, "host must be a string, got 7");
  });
});

suite("checkLimit", () => {
  it("accepts the default, integers from the minimum, and Infinity", () => {
    assert.equal(checkLimit("max", undefined, 1, 5), 5);
    assert.equal(checkLimit("max", 1, 1, 5), 1);
    assert.equal(checkLimit("max", Infinity, 1, 5), Infinity);
  });
  for (const wrong of [0, -1, 1.5, NaN, -Infinity, "1", null]) {
    it(`throws for ${String(wrong)}`, () => {
      assert.throws(
        () => checkLimit("max", wrong as number, 1, 5),
        refusedWith("INVALID_ARGUMENT", /max must be an integer of at least 1, or Infinity for no limit, got /),
      );
    });
  }
});

suite("ByteBuffer", () => {
  it("keeps copies in order, in at most twice their size", () => {
    const buffer = new ByteBuffer();
    let expected = "";
    for (let at = 0; at < 1000; at++) {
      const source = bytes(`<${at}>`);
      buffer.append(source, 1, source.length - 1);
      source.fill(0);
      expected += at;
      assert.ok(buffer.bytes.length <= Math.max(256, 2 * buffer.length));
    }
    const taken = buffer.take();
    assert.deepEqual(taken, bytes(expected));
    assert.equal(taken.buffer.byteLength, taken.length);
    assert.equal(buffer.length, 0);
    assert.equal(buffer.take().length, 0);
  });
});
