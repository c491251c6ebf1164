import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Message } from "../src/message.ts";
import { giveBack, Output } from "../src/output.ts";
import { giveBackPiece, takePiece } from "../src/pieces.ts";
import { Sender } from "../src/sender.ts";

const KIB = 1024;
const LIMIT = 16 * KIB * KIB;

function filled(size: number, byte: number): Uint8Array {
  return new Uint8Array(size).fill(byte);
}

describe("memory that was given back", () => {
  test("is taken for what it is large enough for, and not more than is asked for at most", () => {
    const piece = filled(40 * KIB, 1);
    giveBackPiece(piece);
    assert.notEqual(takePiece(41 * KIB, 80 * KIB), piece);
    assert.notEqual(takePiece(20 * KIB, 39 * KIB), piece);
    assert.equal(takePiece(20 * KIB, 40 * KIB), piece);
    assert.notEqual(takePiece(20 * KIB, 40 * KIB), piece, "only once");
  });

  test("is bounded, and small pieces are not kept", () => {
    const small = filled(16 * KIB - 1, 1);
    giveBackPiece(small);
    assert.notEqual(takePiece(16 * KIB - 1, 16 * KIB - 1), small);
    const pieces = Array.from({ length: 100 }, () => filled(100 * KIB, 1));
    for (const piece of pieces) giveBackPiece(piece);
    const again = pieces.map(() => takePiece(100 * KIB, 100 * KIB)).filter((piece) => pieces.includes(piece));
    assert.equal(again.length, 40); // 4 MiB
  });
});

describe("a message that is transferred", () => {
  const transferred = (message: Message): Output => {
    const output = new Output();
    new Sender(output, undefined, LIMIT).transfer(message);
    return output;
  };

  test("can't be read any more", () => {
    for (const size of [10, 3000, 100 * KIB]) {
      const message = new Message("binary", filled(size, 1), 0, size);
      transferred(message);
      const reads = [
        () => message.bytes,
        () => message.text,
        () => message.data,
        () => message.chunks(),
        () => message.copyTo(filled(size, 0), 0),
        () => message.detach(),
      ];
      for (const read of reads) assert.throws(read, { code: "INVALID_STATE" });
      assert.equal(message.size, size);
    }
  });

  test("leaves its memory to others when it is written, and not before", () => {
    const memory = filled(90 * KIB, 1);
    const output = transferred(new Message("binary", memory, 0, memory.length));
    const taken = output.take();
    assert.deepEqual(Array.isArray(taken.pieces) && taken.pieces[1], memory);
    assert.notEqual(takePiece(memory.length, memory.length), memory);
    giveBack(taken);
    giveBack(taken); // a second time it does nothing
    assert.equal(takePiece(memory.length, memory.length), memory);
    assert.notEqual(takePiece(memory.length, memory.length), memory);
  });

  test("keeps the bytes that somebody has asked for", () => {
    const memory = filled(90 * KIB, 1);
    const message = new Message("binary", memory, 0, memory.length);
    const { bytes } = message;
    giveBack(transferred(message).take());
    assert.notEqual(takePiece(memory.length, memory.length), memory);
    assert.deepEqual(bytes, filled(90 * KIB, 1));
  });
});

test("the bytes of a message show nothing of what their memory held before", () => {
  const memory = filled(100 * KIB, 0x55);
  memory.fill(1, 0, 60 * KIB);
  const { bytes } = new Message("binary", memory, 0, 60 * KIB);
  assert.equal(bytes.buffer.byteLength, 60 * KIB);
  assert.deepEqual(bytes, filled(60 * KIB, 1));
});
