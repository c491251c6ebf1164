import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import type { Assembly } from "../../src/messages/assembly.ts";
import { rotateKey } from "../../src/bytes/mask.ts";
import { concat, pattern } from "../support/bytes.ts";
import { KEY, masked } from "../support/frames.ts";
import { allocatedBy, memory, newAssembly, useRuntime } from "../support/runtime.ts";
import fc from "fast-check";

const KEY_WORD = KEY[0] | (KEY[1] << 8) | (KEY[2] << 16) | (KEY[3] << 24);

const BEFORE = 5000; // bytes in the chunk before the payload

/** Passes all of `bytes` to the assembly, as the receiver does; returns what it stored there. */
function appendAll(assembly: Assembly, bytes: Uint8Array, more: number, last: boolean, key = 0): Uint8Array {
  const chunk = concat(new Uint8Array(BEFORE), bytes);
  const kept: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    assembly.append(chunk, BEFORE + at, chunk.length, rotateKey(key, at), more, last);
    const { piece, from, to } = assembly;
    assert.ok(to > from, "it goes on");
    kept.push(piece.slice(from, to));
    at += to - from;
  }
  return concat(...kept);
}

describe("an assembly", () => {
  test("keeps its input, in order", () => {
    const assembly = newAssembly("text", true);
    assert.equal(assembly.type, "text");
    assert.equal(assembly.compressed, true);
    const parts = [1, 200, 300, 5, 4000, 0, 9].map((length, i) => pattern(length, i));
    for (const part of parts) assert.deepEqual(appendAll(assembly, part, 0, false), part);
    const whole = concat(...parts);
    assert.equal(assembly.size, whole.length);
    assert.deepEqual(concat(...assembly.finish()), whole);
  });

  test("unmasks it", () => {
    const assembly = newAssembly("binary", false);
    const bytes = pattern(1000);
    assert.deepEqual(appendAll(assembly, masked(bytes, KEY), 0, true, KEY_WORD), bytes);
    assert.deepEqual(concat(...assembly.finish()), bytes);
  });

  test("of nothing has no pieces", () => {
    assert.deepEqual(newAssembly("binary", false).finish(), []);
  });

  test("holds at most twice what has arrived, and 256 bytes, whatever was declared", () => {
    const step = fc.record({
      length: fc.oneof(fc.nat(10), fc.nat(600), fc.constantFrom(4096, 65536, 1_500_000)),
      more: fc.oneof(fc.constantFrom(0, 1, 2 ** 24, 2 ** 31, 2 ** 53), fc.nat(5000)),
      last: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), (steps) => {
        allocatedBy((allocated) => {
          const assembly = newAssembly("binary", false);
          for (const { length, more, last } of steps) {
            appendAll(assembly, new Uint8Array(length), more, last);
            assert.ok(allocated() <= 2 * assembly.size + 256, `${allocated()} bytes for ${assembly.size}`);
          }
        });
      }),
      { numRuns: 150 },
    );
  });

  test("of a frame with a known end is allocated once, exactly", () => {
    const bytes = pattern(100);
    const allocated = allocatedBy(() => {
      const assembly = newAssembly("binary", false);
      appendAll(assembly, bytes.subarray(0, 40), 60, true);
      appendAll(assembly, bytes.subarray(40), 0, true);
      const [only, ...others] = assembly.finish();
      assert.deepEqual(others, []);
      assert.deepEqual(only, bytes);
    });
    assert.equal(allocated, 100);
  });

  test("grows in pieces as large as all before them, up to 128 KiB", () => {
    const assembly = newAssembly("binary", false);
    for (let i = 0; i < 6000; i++) appendAll(assembly, new Uint8Array(1000), 2 ** 40, false);
    const sizes = assembly.finish().map((piece) => piece.length);
    assert.deepEqual(sizes.slice(0, 4), [1000, 1000, 2000, 4000]);
    assert.equal(Math.max(...sizes), 128 * 1024);
    assert.ok(sizes.length < 60, `${sizes.length} pieces`);
  });

  test("of small fragments has few pieces: each leaves room for the next ones", () => {
    const assembly = newAssembly("binary", false);
    for (let i = 0; i < 1000; i++) appendAll(assembly, pattern(10, i), 0, false);
    assert.ok(assembly.finish().length < 10);
  });

  test("uses released memory, of at most twice what has arrived of a message", () => {
    // independent of other tests
    for (let i = 0; i < 256; i++) memory().pieces.acquire(16 * 1024, Infinity);
    const bytes = pattern(16 * 1024);
    for (const [size, taken] of [
      [32 * 1024, true],
      [32 * 1024 + 1, false],
    ] as const) {
      const piece = new Uint8Array(size);
      memory().pieces.release(piece);
      const assembly = newAssembly("binary", false);
      appendAll(assembly, bytes, 2 ** 20, true);
      assert.equal(assembly.piece === piece, taken, `${size} bytes`);
      assert.deepEqual(concat(...assembly.finish()), bytes);
    }
    memory().pieces.acquire(16 * 1024, Infinity);
    // existing contents count, too
    const piece = new Uint8Array(48 * 1024);
    memory().pieces.release(piece);
    const assembly = newAssembly("binary", false);
    appendAll(assembly, bytes, 0, false);
    appendAll(assembly, bytes, 0, false);
    assert.equal(assembly.piece, piece);
  });

  describe("when it is finished", () => {
    test("is not copied if at least half of its last piece is used", () => {
      for (const size of [127, 128, 129, 256]) {
        const assembly = newAssembly("binary", false);
        appendAll(assembly, pattern(size), 0, false);
        const [only] = assembly.finish();
        assert.equal(only.buffer === assembly.piece.buffer, size >= 128, `${size} bytes`);
      }
    });

    afterEach(() => useRuntime());

    for (const [name, allocate] of [
      ["plain arrays", (size: number) => new Uint8Array(size)],
      ["Buffers", (size: number) => Buffer.alloc(size)],
    ] as const) {
      test(`keeps at most twice its size, with ${name}`, () => {
        useRuntime({ allocate });
        for (let size = 0; size < 1200; size++) {
          const assembly = newAssembly("binary", false);
          const bytes = pattern(size);
          for (let at = 0; at < size; at += 100) appendAll(assembly, bytes.subarray(at, at + 100), 2 ** 20, false);
          const pieces = assembly.finish();
          const held = pieces.reduce((sum, piece) => sum + piece.buffer.byteLength, 0);
          assert.ok(held <= 2 * size, `${held} bytes for ${size}`);
          assert.deepEqual(concat(...pieces), bytes);
        }
      });
    }
  });
});
