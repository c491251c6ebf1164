import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import type { Message } from "../../src/messages/message.ts";
import { borrowChunks, moveMessage, recyclable } from "../../src/messages/message.ts";
import { concat, pattern, show, utf8 } from "../support/bytes.ts";
import { cut } from "../support/chunks.ts";
import { collectGarbage } from "../support/garbage.ts";
import { newMessage, useRuntime } from "../support/runtime.ts";
import { copyBytes } from "../../src/bytes/copy.ts";
import { LARGEST_SHARED } from "../../src/runtime/slabs.ts";

const SIZES = [0, 1, 63, 64, 65, 125, 1024, LARGEST_SHARED - 1, LARGEST_SHARED, LARGEST_SHARED + 1, 70_000];

/** The same payload as a part of a larger array, and in pieces. */
function forms(type: "text" | "binary", payload: Uint8Array): Message[] {
  const shared = concat(new Uint8Array(5).fill(0xee), payload, new Uint8Array(3).fill(0xee));
  const pieces = cut(payload, [0, 1, payload.length >> 1]);
  return [
    newMessage(type, shared, 5, payload.length),
    newMessage(type, payload, 0, payload.length),
    newMessage(type, new Uint8Array(0), 0, payload.length, pieces),
  ];
}

describe("a message", () => {
  test("has its bytes, the same array at each call, after any other access", () => {
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

  test("joins its pieces once, in the array of its size", () => {
    const pieces = cut(pattern(5000), [100, 3000]);
    const message = newMessage("binary", new Uint8Array(0), 0, 5000, pieces);
    assert.equal(message.chunks(), pieces);
    assert.equal(message.bytes.buffer.byteLength, 5000);
    assert.deepEqual(message.chunks(), [message.bytes]);
  });
});

describe("the bytes of a message", () => {
  afterEach(() => useRuntime());

  // Node's Buffer is a Uint8Array whose `slice` returns a view
  const ALLOCATORS: [string, (size: number) => Uint8Array][] = [
    ["plain arrays", (size) => new Uint8Array(size)],
    ["Buffers", (size) => Buffer.alloc(size)],
  ];
  for (const [name, allocate] of ALLOCATORS) {
    test(`are a copy if they are few, so that they keep and show nothing else, with ${name}`, () => {
      useRuntime({ allocate });
      for (const size of SIZES.filter((size) => size <= LARGEST_SHARED)) {
        for (const start of [100, 8192 - size]) {
          for (const read of [(message: Message) => message.bytes, (message: Message) => message.chunks()[0]]) {
            const shared = allocate(8192);
            shared.set(pattern(8192));
            const bytes = read(newMessage("binary", shared, start, size));
            assert.equal(bytes.buffer.byteLength, size);
            shared.fill(0);
            assert.equal(show(bytes), show(pattern(8192).slice(start, start + size)));
          }
        }
      }
    });

    test(`are a view if they are many, with ${name}`, () => {
      useRuntime({ allocate });
      const own = allocate(LARGEST_SHARED + 3);
      const { bytes } = newMessage("binary", own, 2, LARGEST_SHARED + 1);
      assert.equal(bytes.buffer, own.buffer);
      assert.equal(bytes.byteOffset, 2);
    });
  }
});

describe("a message that is written again", () => {
  const WORDS_AND_MORE = [
    ...Array.from({ length: 40 }, (_, size) => size),
    191,
    192,
    193,
    194,
    195,
    300,
    2047,
    2048,
    2049,
    3000,
  ];

  test("is copied into a larger block, after any other copy", () => {
    // alternating between two arrays at offsets in their buffers, as payloads of two connections
    const sources = [3, 8].map((offset) => new Uint8Array(pattern(4000, offset).buffer, offset));
    const target = new Uint8Array(4096);
    const view = new DataView(target.buffer);
    for (const size of WORDS_AND_MORE) {
      for (const start of [0, 1, 5]) {
        for (const source of [...sources, ...sources]) {
          const message = newMessage("binary", source, start, size);
          for (const at of [2, 7]) {
            target.fill(0xaa);
            assert.equal(message.copyTo(target, at, view), at + size);
            const expected = new Uint8Array(4096).fill(0xaa);
            expected.set(source.subarray(start, start + size), at);
            assert.equal(show(target), show(expected), `${size} bytes from ${source.byteOffset}+${start} to ${at}`);
          }
        }
      }
    }
  });

  test("is copied also if its bytes were read, or arrived in pieces", () => {
    const target = new Uint8Array(4096);
    const view = new DataView(target.buffer);
    for (const size of WORDS_AND_MORE) {
      const payload = pattern(size, size + 1);
      for (const message of forms("binary", payload)) {
        for (const prepare of [() => {}, () => message.copy()]) {
          prepare();
          target.fill(0);
          message.copyTo(target, 3, view);
          assert.equal(show(target.slice(3, 3 + size)), show(payload));
        }
      }
    }
  });

  test("is not kept in memory by its copy, if it is large", async () => {
    const copy = (): WeakRef<ArrayBufferLike> => {
      const source = new Uint8Array(1 << 20);
      const target = new Uint8Array(1 << 20);
      newMessage("binary", source, 0, source.length).copyTo(target, 0, new DataView(target.buffer));
      return new WeakRef(source.buffer);
    };
    const buffer = copy();
    await collectGarbage();
    assert.equal(buffer.deref(), undefined);
  });

  test("in parts is not copied if it is large, and keeps its own memory", () => {
    const memory = pattern(LARGEST_SHARED + 1);
    const message = newMessage("binary", memory, 0, memory.length, undefined, true);
    const [part] = borrowChunks(message);
    assert.equal(part.buffer, memory.buffer);
    assert.deepEqual(recyclable(message), [memory]);
    assert.equal(message.bytes, message.chunks()[0]);
    assert.deepEqual(recyclable(message), []);
  });

  test("moves out of shared memory, if it is small, and stays equal", () => {
    for (const size of [0, 10, LARGEST_SHARED]) {
      const payload = pattern(size);
      const shared = new Uint8Array([...pattern(7, 3), ...payload, 9, 9]);
      const message = newMessage("text", shared, 7, size);
      const target = new Uint8Array(size + 20).fill(0xaa);
      assert.equal(moveMessage(message, target, 5), true);
      shared.fill(0);
      const expected = new Uint8Array(size + 20).fill(0xaa);
      expected.set(payload, 5);
      assert.equal(show(target), show(expected));
      assert.deepEqual([message.size, recyclable(message)], [size, []]);
      const { bytes } = message;
      assert.equal(show(bytes), show(payload));
      assert.equal(bytes.buffer.byteLength, size); // which shows nothing of its memory
      assert.equal(moveMessage(message, target, 0), false); // it has its own memory by now
      assert.equal(show(target), show(expected));
    }
  });

  test("does not move if it shares no memory, or is large", () => {
    const target = new Uint8Array(5000);
    const large = newMessage("binary", pattern(5000), 0, LARGEST_SHARED + 1);
    const inPieces = newMessage("binary", new Uint8Array(0), 0, 4, [pattern(2), pattern(2)], true);
    for (const message of [large, inPieces]) assert.equal(moveMessage(message, target, 0), false);
    assert.ok(target.every((byte) => byte === 0));
  });

  test("has the same bytes before and after it is shared", () => {
    for (const size of [10, 3000]) {
      for (const message of forms("binary", pattern(size))) {
        const { bytes } = message;
        assert.deepEqual(message.share().bytes, pattern(size));
        assert.equal(message.bytes, bytes);
      }
    }
  });
});

test("copyBytes copies the given range only", () => {
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
