import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { READ_BUFFER_SIZE, loadSimd } from "../../src/native/simd.ts";

const simd = loadSimd();

/** Byte by byte. */
function plainly(source: Uint8Array, key: number): { readonly bytes: Uint8Array; readonly ascii: boolean } {
  const bytes = source.map((byte, at) => byte ^ ((key >>> (8 * (at & 3))) & 0xff));
  return { bytes, ascii: bytes.every((byte) => byte < 0x80) };
}

/**
 * The same by the module: from any offset to any, with a border on both sides that must not change.
 */
function check(source: Uint8Array, key: number, from: number, to: number, inMemory: boolean): void {
  if (simd === undefined) return;
  const { bytes, ascii } = plainly(source, key);
  const where = inMemory ? simd.readBuffer : new Uint8Array(from + source.length + 16);
  where.set(source, from);
  const target = new Uint8Array(to + source.length + 16).fill(0xaa);
  const seen = simd.copyMasked(where, from, source.length, key, target, new Int32Array(0), to);
  assert.ok(Buffer.compare(target.subarray(to, to + source.length), bytes) === 0);
  assert.ok(target.subarray(0, to).every((byte) => byte === 0xaa));
  assert.ok(target.subarray(to + source.length).every((byte) => byte === 0xaa));
  assert.equal(seen, ascii ? 0 : 0x80);
  assert.ok(Buffer.compare(where.subarray(from, from + source.length), source) === 0, "the source stays as it was");
}

describe("masking, 16 bytes at a time", () => {
  test("is available on this system", () => {
    assert.ok(simd !== undefined);
    assert.equal(simd.readBuffer.length, READ_BUFFER_SIZE);
  });

  test("equals masking byte by byte, for every length up to 200 and every offset", () => {
    for (let length = 0; length <= 200; length++) {
      const source = Uint8Array.from({ length }, (_, at) => (at * 89 + length) & 0xff);
      check(source, (length * 0x9e3779b1) | 0, length % 17, length % 5, length % 2 === 0);
    }
  });

  test("and around its block sizes", () => {
    const PIECE = 32 * 1024;
    for (const size of [PIECE, 2 * PIECE, 4 * PIECE]) {
      for (const length of [size - 1, size, size + 1, size + 16]) {
        const source = Uint8Array.from({ length }, (_, at) => (at * 31) & 0x7f);
        check(source, 0, 3, 1, true);
        check(source, 0x12_34_56_78, 0, 0, false);
      }
    }
    const whole = Uint8Array.from({ length: READ_BUFFER_SIZE }, (_, at) => at & 0xff);
    check(whole, -1, 0, 7, true);
  });

  test("classifies each byte as ASCII or not", () => {
    for (const length of [1, 7, 15, 16, 17, 63, 64, 65, 130]) {
      for (let at = 0; at < length; at++) {
        const source = new Uint8Array(length).fill(0x41);
        source[at] = 0x80;
        check(source, 0, at % 3, 0, at % 2 === 0);
      }
    }
  });

  test("with any bytes, any key", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000 }), fc.integer(), fc.nat(100), fc.nat(8), fc.boolean(), check),
      { numRuns: 200 },
    );
  });
});
