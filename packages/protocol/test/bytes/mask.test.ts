import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { copyMasked, isAscii, maskInPlace, rotateKey, ViewCache } from "../../src/bytes/mask.ts";
import { pattern } from "../support/bytes.ts";
import { collectGarbage } from "../support/garbage.ts";
import { KEY, type Key, masked } from "../support/frames.ts";

/** ES2024's ArrayBuffer. */
interface Resizable extends ArrayBuffer {
  resize(size: number): void;
}

const views = new ViewCache();
const wordOf = (key: Key): number => key[0] | (key[1] << 8) | (key[2] << 16) | (key[3] << 24);
const wordsOf = (bytes: Uint8Array): Int32Array => new Int32Array(bytes.buffer, 0, bytes.length >> 2);
const allAscii = (bytes: Uint8Array): boolean => bytes.every((byte) => byte < 0x80);

const KEYS: readonly Key[] = [KEY, [0, 0, 0, 0], [255, 255, 255, 255], [0x80, 1, 2, 3], [0, 0, 0, 0x80]];

/**
 * Copies with the function under test and with the reference, and compares the surrounding bytes,
 * too.
 */
function checkCopy(source: Uint8Array, start: number, length: number, key: Key, at: number): void {
  const target = new Uint8Array(at + length + 9).fill(0xcc);
  const before = Uint8Array.from(source);
  const seen = copyMasked(source, start, length, wordOf(key), target, wordsOf(target), at, views);
  const expected = new Uint8Array(target.length).fill(0xcc);
  const copied = masked(source.slice(start, start + length), key);
  expected.set(copied, at);
  const where = `${length} bytes from ${source.byteOffset}+${start} to ${at}`;
  assert.deepEqual(target, expected, where);
  assert.deepEqual(source, before, `the source of ${where}`);
  assert.equal(isAscii(seen), allAscii(copied), `ASCII of ${where}`);
}

function checkInPlace(length: number, key: Key, start: number): void {
  const target = pattern(start + length + 9, length + 1);
  const expected = Uint8Array.from(target);
  const result = masked(target.slice(start, start + length), key);
  expected.set(result, start);
  const seen = maskInPlace(target, wordsOf(target), start, start + length, wordOf(key));
  assert.deepEqual(target, expected, `${length} bytes at ${start}`);
  assert.equal(isAscii(seen), allAscii(result), `ASCII of ${length} bytes at ${start}`);
}

describe("masking", () => {
  test("of a copy equals the reference, at every alignment and length", () => {
    const buffer = pattern(300).buffer;
    for (let length = 0; length <= 200; length++) {
      const key = KEYS[length % KEYS.length];
      for (let from = 0; from < 4; from++) {
        for (let at = 0; at < 4; at++) checkCopy(new Uint8Array(buffer, from, 290), 0, length, key, at);
      }
    }
  });

  test("of a long copy from the middle of views equals the reference", () => {
    for (const length of [1023, 1024, 4096, 65535, 65536, 65537, 1 << 20]) {
      const buffer = pattern(length + 64, length).buffer;
      for (const [offset, start, at] of [
        [0, 0, 0],
        [3, 8, 7],
        [5, 3, 2],
        [1, 2, 3],
      ] as const) {
        checkCopy(new Uint8Array(buffer, offset), start, length, KEY, at);
      }
    }
  });

  test("accepts a source at the end of a buffer whose size is not a multiple of a word", () => {
    for (let size = 24; size < 60; size++) {
      for (let length = 24; length <= size; length++) {
        checkCopy(new Uint8Array(pattern(size).buffer, size - length), 0, length, KEY, (size - length) & 3);
      }
    }
  });

  test("in place equals the reference, at every alignment and length", () => {
    for (let length = 0; length <= 200; length++) {
      for (let start = 0; start < 4; start++) checkInPlace(length, KEYS[length % KEYS.length], start);
    }
    for (const length of [4095, 65536, 1 << 20]) checkInPlace(length, KEY, 3);
  });

  test("detects a non-ASCII byte at any position", () => {
    for (const key of KEYS) {
      for (const length of [1, 7, 23, 24, 25, 31, 64, 130]) {
        for (let odd = -1; odd < length; odd++) {
          const text = new Uint8Array(length).fill(0x41);
          if (odd >= 0) text[odd] = 0x80;
          for (let start = 0; start < 4; start++) {
            const source = new Uint8Array(length + 4);
            source.set(masked(text, key), start);
            const target = new Uint8Array(length + 8);
            const seen = copyMasked(source, start, length, wordOf(key), target, wordsOf(target), start, views);
            assert.equal(isAscii(seen), odd < 0, `${length} bytes, byte ${odd}`);
          }
        }
      }
    }
  });

  test("uses the current contents of a buffer", () => {
    // the view of a buffer is cached between chunks
    const buffer = Reflect.construct(ArrayBuffer, [64, { maxByteLength: 256 }]) as Resizable;
    checkCopy(new Uint8Array(buffer), 0, 64, KEY, 0);
    buffer.resize(256);
    new Uint8Array(buffer).set(pattern(256));
    checkCopy(new Uint8Array(buffer), 0, 256, KEY, 0);
    buffer.resize(32);
    checkCopy(new Uint8Array(buffer), 0, 32, KEY, 0);
    buffer.resize(128);
    new Uint8Array(buffer).set(pattern(128, 7));
    checkCopy(new Uint8Array(buffer), 0, 128, KEY, 0);
    const same = new Uint8Array(buffer);
    checkCopy(same, 0, 128, KEY, 0);
    buffer.resize(200);
    same.set(pattern(200, 3));
    checkCopy(same, 0, 200, KEY, 0);
  });

  test("respects the offset of an array in its buffer", () => {
    const buffer = new ArrayBuffer(64);
    const arrays = [0, 5, 8].map((offset) => new Uint8Array(buffer, offset));
    for (const array of [...arrays, ...arrays, ...arrays.toReversed(), new Uint8Array(1)]) {
      assert.equal(views.offsetOf(array), array.byteOffset);
      assert.equal(views.offsetOf(array), array.byteOffset);
    }
  });

  test("accepts shared memory", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(128));
    shared.set(pattern(128));
    checkCopy(shared, 0, 128, KEY, 0);
    checkCopy(shared, 1, 100, KEY, 0);
  });

  test("continues within a payload with the key rotated", () => {
    for (let offset = 0; offset < 9; offset++) {
      const turned: Key = [KEY[offset % 4], KEY[(offset + 1) % 4], KEY[(offset + 2) % 4], KEY[(offset + 3) % 4]];
      for (const far of [0, 2 ** 31, 2 ** 32, 2 ** 53 - 8]) {
        assert.equal(rotateKey(wordOf(KEY), offset + far) | 0, wordOf(turned), `${offset + far}`);
      }
    }
  });
});

test("a large buffer is not kept in memory", async () => {
  const look = (): WeakRef<ArrayBufferLike> => {
    const chunk = new Uint8Array(2 << 20);
    views.offsetOf(chunk);
    copyMasked(chunk, 0, 64, 0, new Uint8Array(64), new Int32Array(16), 0, views);
    return new WeakRef(chunk.buffer);
  };
  const buffer = look();
  await collectGarbage();
  assert.equal(buffer.deref(), undefined);
});
