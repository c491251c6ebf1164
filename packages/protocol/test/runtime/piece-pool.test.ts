import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Message } from "../../src/messages/message.ts";
import { recyclable } from "../../src/messages/message.ts";
import type { Output } from "../../src/endpoint/output.ts";
import { memory, newMessage, newOutput, newSender, releaseAll } from "../support/runtime.ts";
import { MaskingKeys } from "../../src/frames/masking-keys.ts";

const KIB = 1024;
const LIMIT = 16 * KIB * KIB;

function filled(size: number, byte: number): Uint8Array {
  return new Uint8Array(size).fill(byte);
}

/** Empties the pool: at most 4 MiB, in pieces of at least 16 KiB. */
function takeAll(): void {
  for (let i = 0; i < 256; i++) memory().pieces.acquire(16 * KIB, Infinity);
}

describe("released memory", () => {
  test("is acquired for requests that it is large enough for, and of at most twice the requested size", () => {
    const piece = filled(40 * KIB, 1);
    memory().pieces.release(piece);
    assert.notEqual(memory().pieces.acquire(41 * KIB, 80 * KIB), piece);
    assert.notEqual(memory().pieces.acquire(20 * KIB, 39 * KIB), piece);
    assert.equal(memory().pieces.acquire(20 * KIB, 40 * KIB), piece);
    assert.notEqual(memory().pieces.acquire(20 * KIB, 40 * KIB), piece, "only once");
  });

  test("is bounded, and small pieces are not pooled", () => {
    const small = filled(16 * KIB - 1, 1);
    memory().pieces.release(small);
    assert.notEqual(memory().pieces.acquire(16 * KIB - 1, 16 * KIB - 1), small);
    const pieces = Array.from({ length: 100 }, () => filled(100 * KIB, 1));
    for (const piece of pieces) memory().pieces.release(piece);
    const again = pieces
      .map(() => memory().pieces.acquire(100 * KIB, 100 * KIB))
      .filter((piece) => pieces.includes(piece));
    assert.equal(again.length, 40); // 4 MiB
  });

  test("excludes small pieces, which would displace large ones", () => {
    takeAll();
    const piece = filled(4096 * KIB, 1); // the capacity of the pool
    memory().pieces.release(piece);
    for (let i = 0; i < 1000; i++) memory().pieces.release(filled(8 * KIB, 1));
    memory().pieces.release(filled(4096 * KIB + 1, 1));
    assert.equal(memory().pieces.acquire(4096 * KIB, 4096 * KIB), piece);
  });

  test("is evicted if it was released longest ago, so that sizes that nobody asks for leave", () => {
    takeAll();
    const pieces = Array.from({ length: 41 }, () => filled(100 * KIB, 1));
    for (const piece of pieces) memory().pieces.release(piece);
    const large = filled(300 * KIB, 1);
    memory().pieces.release(large);
    assert.equal(memory().pieces.acquire(300 * KIB, 300 * KIB), large);
    const again = Array.from({ length: 41 }, () => memory().pieces.acquire(100 * KIB, 100 * KIB));
    assert.deepEqual(
      pieces.map((piece) => again.includes(piece)),
      pieces.map((_, at) => at > 3),
    );
  });

  test("is not searched for small requests", () => {
    takeAll();
    const piece = filled(16 * KIB, 1);
    memory().pieces.release(piece);
    assert.notEqual(memory().pieces.acquire(16 * KIB - 1, 16 * KIB), piece);
    assert.equal(memory().pieces.acquire(16 * KIB, 16 * KIB), piece);
  });
});

/** A message as created by a receiver. */
function received(own: Uint8Array, size = own.length): Message {
  return newMessage("binary", own, 0, size, undefined, true);
}

describe("a transferred message", () => {
  const transferred = (message: Message): Output => {
    const output = newOutput();
    newSender(undefined, LIMIT).transfer(output, message);
    return output;
  };

  test("is unreadable", () => {
    for (const size of [10, 3000, 100 * KIB]) {
      const message = newMessage("binary", filled(size, 1), 0, size);
      transferred(message);
      const reads = [
        () => message.bytes,
        () => message.text,
        () => message.data,
        () => message.chunks(),
        () => message.copyTo(filled(size, 0), 0),
        () => message.copy(),
        () => recyclable(message),
      ];
      for (const read of reads) {
        assert.throws(read, {
          code: "INVALID_STATE",
          message: /the message was written with transfer and cannot be read: call copy\(\) before write\(\)/,
        });
      }
      assert.equal(message.size, size);
    }
  });

  test("releases its memory when it has been written, and not before", () => {
    const own = filled(90 * KIB, 1);
    const output = transferred(received(own));
    const taken = output.take();
    assert.deepEqual(Array.isArray(taken.pieces) && taken.pieces[1], own);
    assert.notEqual(memory().pieces.acquire(own.length, own.length), own);
    output.release(taken);
    output.release(taken); // repeating has no effect
    assert.equal(memory().pieces.acquire(own.length, own.length), own);
    assert.notEqual(memory().pieces.acquire(own.length, own.length), own);
  });

  test("releases its memory also if its text was read", () => {
    const own = filled(90 * KIB, 0x61);
    const message = newMessage("text", own, 0, own.length, undefined, true);
    assert.equal(message.text, "a".repeat(90 * KIB));
    assert.equal(memory().pieces.acquire(own.length, own.length), own, "released when its text was read");
    const output = transferred(message);
    releaseAll(output);
    assert.notEqual(memory().pieces.acquire(own.length, own.length), own, "not released twice");
  });

  test("keeps bytes that were read", () => {
    const own = filled(90 * KIB, 1);
    const message = received(own);
    const { bytes } = message;
    releaseAll(transferred(message));
    assert.notEqual(memory().pieces.acquire(own.length, own.length), own);
    assert.deepEqual(bytes, filled(90 * KIB, 1));
  });

  test("keeps what others use of it: an application, or another connection that is writing it", () => {
    const others: ((message: Message) => void)[] = [
      (message) => message.chunks(),
      (message) => message.share(),
      (message) => newSender(undefined, LIMIT).message(newOutput(), message),
    ];
    for (const give of others) {
      const own = filled(90 * KIB, 1);
      const message = received(own);
      give(message);
      releaseAll(transferred(message));
      assert.notEqual(memory().pieces.acquire(own.length, own.length), own);
    }
  });

  test("keeps memory that no receiver allocated", () => {
    const own = Buffer.alloc(200 * KIB).subarray(50 * KIB, 140 * KIB);
    releaseAll(transferred(newMessage("binary", own, 0, own.length)));
    assert.notEqual(memory().pieces.acquire(own.length, 200 * KIB).buffer, own.buffer);
  });

  test("is rejected a second time, and nothing is sent", () => {
    for (const [size, keys] of [
      [10, undefined],
      [90 * KIB, undefined],
      [90 * KIB, new MaskingKeys((target) => target.fill(7))],
    ] as const) {
      const output = newOutput();
      const sender = newSender(keys, LIMIT);
      const message = received(filled(size, 1));
      sender.transfer(output, message);
      const before = output.size;
      assert.throws(() => sender.transfer(output, message), { code: "INVALID_STATE" });
      assert.throws(() => sender.message(output, message), { code: "INVALID_STATE" });
      assert.throws(() => message.share(), { code: "INVALID_STATE" });
      assert.equal(output.size, before);
    }
    const notMessage = filled(10, 1) as unknown as Message;
    assert.throws(() => transferred(notMessage), {
      code: "INVALID_ARGUMENT",
      message: /^a message must be a string, /,
    });
  });

  test("is not sent within a fragmented message, and stays readable", () => {
    const output = newOutput();
    const sender = newSender(undefined, LIMIT);
    sender.begin(output, "binary");
    const message = received(filled(10, 1));
    assert.throws(() => sender.transfer(output, message), { code: "MESSAGE_IN_PROGRESS" });
    assert.deepEqual(message.bytes, filled(10, 1));
    sender.fragment(output, filled(1, 2), true);
    sender.transfer(output, message);
    assert.throws(() => message.bytes, { code: "INVALID_STATE" });
  });

  test("releases its memory also if it was masked, and so copied", () => {
    const own = filled(90 * KIB, 1);
    const output = newOutput();
    newSender(new MaskingKeys((target) => target.fill(7)), LIMIT).transfer(output, received(own));
    releaseAll(output);
    assert.equal(memory().pieces.acquire(own.length, own.length), own);
  });

  test("whose payload another one shares leaves that readable", () => {
    for (const size of [10, 3000, 90 * KIB]) {
      const message = received(filled(size, 1));
      const other = message.share();
      transferred(message);
      assert.deepEqual(other.bytes, filled(size, 1));
    }
  });
});

test("a partially used piece is released as a whole", () => {
  const own = filled(100 * KIB, 1);
  memory().pieces.release(own.subarray(0, 60 * KIB));
  const again = memory().pieces.acquire(100 * KIB, 100 * KIB);
  assert.equal(again.buffer, own.buffer);
  assert.equal(again.length, own.length);
});

test("the bytes of a message show nothing of their memory's earlier contents", () => {
  const own = filled(100 * KIB, 0x55);
  own.fill(1, 0, 60 * KIB);
  const { bytes } = newMessage("binary", own, 0, 60 * KIB);
  assert.equal(bytes.buffer.byteLength, 60 * KIB);
  assert.deepEqual(bytes, filled(60 * KIB, 1));
});

test("nor do the buffers of its chunks", () => {
  const own = filled(100 * KIB, 0x55);
  own.fill(1, 0, 60 * KIB);
  for (const message of [
    received(own.slice(), 60 * KIB),
    newMessage("binary", filled(0, 0), 0, 60 * KIB, [own.slice().subarray(0, 60 * KIB)], true),
  ]) {
    const [chunk = own] = message.chunks();
    assert.deepEqual(chunk, filled(60 * KIB, 1));
    assert.equal(new Uint8Array(chunk.buffer).includes(0x55), false);
  }
  const foreign = newMessage("binary", own, 0, 60 * KIB);
  foreign.chunks();
  assert.equal(own.at(-1), 0x55, "what is not its own stays as it is");
});
