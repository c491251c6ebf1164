import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { copyBytes, LARGEST_SHARED, Message } from "../src/message.ts";
import { primitives, usePrimitives } from "../src/primitives.ts";
import { concat, pattern, utf8 } from "./support/bytes.ts";
import { cut } from "./support/chunks.ts";

const SIZES = [0, 1, 63, 64, 65, 125, 1024, LARGEST_SHARED - 1, LARGEST_SHARED, LARGEST_SHARED + 1, 70_000];

/** The same payload as one part of a larger array, and in pieces. */
function forms(type: "text" | "binary", payload: Uint8Array): Message[] {
  const shared = concat(new Uint8Array(5).fill(0xee), payload, new Uint8Array(3).fill(0xee));
  const pieces = cut(payload, [0, 1, payload.length >> 1]);
  return [
    new Message(type, shared, 5, payload.length),
    new Message(type, payload, 0, payload.length),
    new Message(type, new Uint8Array(0), 0, payload.length, pieces),
  ];
}

describe("a message", () => {
  test("has its bytes, the same array at each call, whatever was asked before", () => {
    for (const size of SIZES) {
      const payload = pattern(size);
      for (const message of forms("binary", payload)) {
        const copy = new Uint8Array(size + 4).fill(0xaa);
        assert.equal(message.copyTo(copy, 2), size + 2);
        assert.deepEqual(copy, concat(Uint8Array.of(0xaa, 0xaa), payload, Uint8Array.of(0xaa, 0xaa)));
        assert.deepEqual(concat(...message.chunks()), payload);
        assert.deepEqual(message.bytes, payload);
        assert.equal(message.bytes, message.bytes);
        assert.equal(message.data, message.bytes);
        assert.equal(message.copyTo(copy, 0), size);
        assert.deepEqual(copy.slice(0, size), payload);
        assert.deepEqual(message.chunks(), [message.bytes]);
        assert.equal(message.size, size);
        assert.equal(message.type, "binary");
      }
    }
  });

  test("has its text, before and after its bytes", () => {
    for (const text of ["", "a", "Grüße 😀", "é".repeat(100), "€".repeat(3000)]) {
      for (const message of forms("text", utf8(text))) {
        assert.equal(message.data, text);
        assert.equal(String(message), text);
        assert.deepEqual(message.bytes, utf8(text));
        assert.equal(message.text, text);
      }
    }
  });

  test("joins its pieces once, in the one array that has its size", () => {
    const pieces = cut(pattern(5000), [100, 3000]);
    const message = new Message("binary", new Uint8Array(0), 0, 5000, pieces);
    assert.equal(message.chunks(), pieces);
    assert.equal(message.bytes.buffer.byteLength, 5000);
    assert.deepEqual(message.chunks(), [message.bytes]);
  });
});

describe("the bytes of a message", () => {
  const portable = { ...primitives };
  afterEach(() => usePrimitives(portable));

  // Node's Buffer is a Uint8Array whose `slice` makes a view
  const ALLOCATORS: [string, (size: number) => Uint8Array][] = [
    ["plain arrays", (size) => new Uint8Array(size)],
    ["Buffers", (size) => Buffer.alloc(size)],
  ];
  for (const [name, allocate] of ALLOCATORS) {
    test(`are a copy where they are few, so that they keep and show nothing else, with ${name}`, () => {
      usePrimitives({ allocate });
      for (const size of SIZES.filter((size) => size <= LARGEST_SHARED)) {
        const shared = allocate(8192);
        shared.set(pattern(8192));
        const { bytes } = new Message("binary", shared, 100, size);
        assert.equal(bytes.buffer.byteLength, size);
        shared.fill(0);
        assert.deepEqual(Uint8Array.from(bytes), pattern(8192).slice(100, 100 + size));
      }
    });

    test(`are a view where they are many, with ${name}`, () => {
      usePrimitives({ allocate });
      const own = allocate(LARGEST_SHARED + 3);
      const { bytes } = new Message("binary", own, 2, LARGEST_SHARED + 1);
      assert.equal(bytes.buffer, own.buffer);
      assert.equal(bytes.byteOffset, 2);
    });
  }
});

test("copyBytes copies what it is told and nothing else", () => {
  for (const length of [0, 1, 63, 64, 65, 200]) {
    for (const start of [0, 3]) {
      for (const source of [pattern(start + length), pattern(start + length + 5)]) {
        const target = new Uint8Array(length + 10).fill(0xaa);
        copyBytes(source, start, length, target, 4);
        const expected = new Uint8Array(length + 10).fill(0xaa);
        expected.set(source.slice(start, start + length), 4);
        assert.deepEqual(target, expected);
      }
    }
  }
});
