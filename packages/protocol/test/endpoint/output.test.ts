import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Output } from "../../src/endpoint/output.ts";
import { PreparedMessage } from "../../src/messages/prepared.ts";
import { concat, pattern } from "../support/bytes.ts";
import { bytesOf, drain } from "../support/sent.ts";
import { allocatedBy, newOutput } from "../support/runtime.ts";
import fc from "fast-check";

const BLOCK = 16 * 1024;

/** As a sender writes: reserve, write, commit. */
function write(output: Output, bytes: Uint8Array): void {
  const { bytes: block, words, at } = output.reserve(bytes.length);
  assert.equal(words.buffer, block.buffer);
  assert.equal(block.byteOffset, 0);
  block.set(bytes, at);
  output.wrote(at + bytes.length);
}

describe("an output", () => {
  test("that is empty gives nothing", () => {
    const { pieces, size, blocks } = newOutput().take();
    assert.deepEqual([pieces, size, blocks], [[], 0, []]);
  });

  test("packs small writes into one block", () => {
    const output = newOutput();
    const parts = Array.from({ length: 100 }, (_, i) => pattern(i, i));
    for (const part of parts) write(output, part);
    assert.equal(output.size, 4950);
    const taken = output.take();
    assert.ok(taken.pieces instanceof Uint8Array);
    assert.deepEqual(bytesOf(taken), concat(...parts));
    output.release(taken);
  });

  test("continues in another block when one is full", () => {
    const output = newOutput();
    write(output, pattern(BLOCK - 10));
    write(output, pattern(10, 2));
    write(output, pattern(1, 3));
    const taken = output.take();
    assert.ok(Array.isArray(taken.pieces));
    assert.deepEqual(
      taken.pieces.map((piece) => piece.length),
      [BLOCK, 1],
    );
    assert.deepEqual(bytesOf(taken), concat(pattern(BLOCK - 10), pattern(10, 2), pattern(1, 3)));
    assert.equal(taken.blocks.length, 2);
    output.release(taken);
  });

  test("copies up to 4,096 bytes, and references more", () => {
    const output = newOutput();
    const small = pattern(4096);
    const large = pattern(4097);
    const expected = concat(small, large, small);
    output.append(small);
    output.append(large);
    output.append(small);
    const taken = output.take();
    small.fill(0);
    assert.deepEqual(bytesOf(taken), expected);
    assert.ok(Array.isArray(taken.pieces));
    assert.equal(taken.pieces[1], large);
    output.release(taken);
  });

  test("may contain only large chunks", () => {
    const output = newOutput();
    const parts = [pattern(5000), pattern(6000), pattern(7000)];
    for (const part of parts) output.append(part);
    const taken = output.take();
    assert.deepEqual(taken.pieces, parts);
    assert.deepEqual(taken.blocks, []);
  });

  test("discards its contents when it is cleared", () => {
    const output = newOutput();
    write(output, pattern(10));
    output.append(pattern(5000));
    output.clear();
    assert.equal(output.size, 0);
    output.appendPrepared(new PreparedMessage("a"));
    output.clear();
    write(output, pattern(3));
    assert.deepEqual(drain(output), pattern(3));
  });
});

describe("the chunks of an output", () => {
  test("are never empty", () => {
    const sizes = [0, 10, 1024, 4096, 4097, 16_000, BLOCK];
    for (const first of sizes) {
      for (const second of sizes) {
        for (const third of sizes) {
          const output = newOutput();
          for (const [i, size] of [first, second, third].entries()) {
            if (size > 4096 && i === 1) output.append(pattern(size));
            else write(output, pattern(Math.min(size, BLOCK - 1024)));
          }
          const taken = output.take();
          const pieces = Array.isArray(taken.pieces) ? taken.pieces : [taken.pieces];
          assert.ok(
            pieces.every((piece) => piece.length > 0),
            `${first}, ${second}, ${third} bytes`,
          );
          output.release(taken);
        }
      }
    }
  });

  test("use a small block as long as they fit", () => {
    for (const [size, block] of [
      [1024, 1024],
      [1025, BLOCK],
    ]) {
      const output = newOutput();
      write(output, pattern(size));
      const taken = output.take();
      assert.deepEqual(
        taken.blocks.map(({ bytes }) => bytes.length),
        [block],
      );
      output.release(taken);
    }
  });

  test("release their memory once, when they are written", () => {
    const output = newOutput();
    output.recycle([]);
    assert.equal(output.take().recycled, undefined);
    const memory = [pattern(100), pattern(200)];
    output.recycle([memory[0]]);
    output.recycle([memory[1]]);
    assert.deepEqual(output.take().recycled, memory);
    assert.equal(output.take().recycled, undefined);
  });
});

describe("blocks", () => {
  test("are not changed while they are in use, and are reused afterwards", () => {
    const output = newOutput();
    const other = newOutput();
    write(output, pattern(100));
    const taken = output.take();
    const buffers = new Set<ArrayBufferLike>();
    for (let i = 0; i < 50; i++) {
      for (const each of [output, other]) {
        write(each, new Uint8Array(200).fill(i));
        const rest = each.take();
        assert.ok(rest.pieces instanceof Uint8Array);
        buffers.add(rest.pieces.buffer);
        assert.ok(!taken.blocks.some((block) => block.bytes.buffer === rest.blocks[0].bytes.buffer));
        output.release(rest);
      }
    }
    assert.deepEqual(bytesOf(taken), pattern(100));
    assert.equal(buffers.size, 1, "one block served all that was written at once");
    const [block] = taken.blocks;
    output.release(taken);
    write(other, pattern(1));
    const next = other.take();
    assert.equal(next.blocks[0], block, "the last one given back is the first one used");
    output.release(next);
  });

  test("released twice are released once", () => {
    const output = newOutput();
    write(output, pattern(10));
    const taken = output.take();
    output.release(taken);
    output.release(taken);
    const [first, second] = [newOutput(), newOutput()];
    write(first, pattern(100, 1));
    write(second, pattern(100, 2));
    assert.deepEqual(drain(first), pattern(100, 1));
    assert.deepEqual(drain(second), pattern(100, 2));
  });

  test("are pooled after release, small ones up to 2 MiB, large ones up to 2 MiB", () => {
    const SMALL = 1024;
    allocatedBy((allocated) => {
      const fill = (count: number, bytes: number): number => {
        const before = allocated();
        const taken = Array.from({ length: count }, () => {
          const output = newOutput();
          write(output, pattern(bytes));
          return output.take();
        });
        for (const each of taken) newOutput().release(each);
        return allocated() - before;
      };
      fill(2100, 1);
      assert.equal(fill(2100, 1), (2100 - 2048) * SMALL);
      fill(150, SMALL + 1);
      assert.equal(fill(150, SMALL + 1), (150 - 128) * BLOCK);
    });
  });

  test("are small for small output, and output that grows moves to a large one", () => {
    const output = newOutput();
    write(output, pattern(1000, 1));
    write(output, pattern(1000, 2));
    const taken = output.take();
    assert.equal(taken.blocks.length, 1);
    assert.ok(!Array.isArray(taken.pieces), "one piece");
    assert.deepEqual(bytesOf(taken), concat(pattern(1000, 1), pattern(1000, 2)));
    output.release(taken);
  });

  test("are not needed for prepared messages", () => {
    const output = newOutput();
    const message = new PreparedMessage("a");
    const allocated = allocatedBy(() => {
      output.appendPrepared(message);
      assert.deepEqual(output.take().blocks, []);
    });
    assert.equal(allocated, 0);
  });
});

describe("prepared messages", () => {
  test("are shared by many outputs as one object", () => {
    const outputs = Array.from({ length: 50 }, () => newOutput());
    const messages = [pattern(10), pattern(3000), pattern(200)].map((bytes) => new PreparedMessage(bytes));
    for (const message of messages) for (const output of outputs) output.appendPrepared(message);
    const taken = outputs.map((output) => output.take());
    assert.equal(new Set(taken.map(({ pieces }) => pieces)).size, 1);
    assert.deepEqual(bytesOf(taken[0]), concat(...messages.map(({ frame }) => frame)));
    assert.deepEqual(taken[0].blocks, []);
  });

  test("are shared as one object by outputs with different orders", () => {
    const [a, b, c] = ["a", "b", "c"].map((text) => new PreparedMessage(text));
    const outputs = Array.from({ length: 9 }, () => newOutput());
    outputs.forEach((output, i) => {
      for (const message of [[a, b, c], [b, a, c], [c]][i % 3]) output.appendPrepared(message);
    });
    const taken = outputs.map((output) => bytesOf(output.take()));
    [[a, b, c], [b, a, c], [c]].forEach((order, i) => {
      for (let at = i; at < 9; at += 3) assert.deepEqual(taken[at], concat(...order.map(({ frame }) => frame)));
    });
  });

  test("that are alone are passed on unchanged", () => {
    const output = newOutput();
    const message = new PreparedMessage(pattern(100_000));
    for (let i = 0; i < 3; i++) {
      output.appendPrepared(message);
      assert.equal(output.take().pieces, message.frame);
    }
  });

  test("keep their place among other bytes, whatever their sizes", () => {
    const prepared = [0, 10, 4000, 5000, 140_000].map((size) => new PreparedMessage(pattern(size, size)));
    const step = fc.oneof(
      fc.constantFrom(...prepared),
      fc.record({ own: fc.oneof(fc.nat(100), fc.constantFrom(0, 4096, 4097, 9000)), how: fc.boolean() }),
      fc.constant("take" as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const output = newOutput();
        const expected: Uint8Array[] = [];
        const got: Uint8Array[] = [];
        steps.forEach((each, i) => {
          if (each === "take") got.push(drain(output));
          else if (each instanceof PreparedMessage) {
            output.appendPrepared(each);
            expected.push(each.frame);
          } else {
            const bytes = pattern(each.own, i);
            if (each.how) output.append(bytes);
            else write(output, bytes);
            expected.push(bytes);
          }
        });
        got.push(drain(output));
        assert.deepEqual(concat(...got), concat(...expected));
      }),
      { numRuns: 200 },
    );
  });

  test("of a chain longer than is joined keep their place, too", () => {
    const output = newOutput();
    const message = new PreparedMessage(pattern(50_000));
    for (let i = 0; i < 4; i++) output.appendPrepared(message);
    write(output, pattern(9));
    output.appendPrepared(message);
    const frames = Array<Uint8Array>(4).fill(message.frame);
    assert.deepEqual(drain(output), concat(...frames, pattern(9), message.frame));
  });
});
