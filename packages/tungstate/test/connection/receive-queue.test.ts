import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Message } from "@tungstate/protocol";
import fc from "fast-check";
import { ReceiveQueue } from "@tungstate/protocol/internal";
import { collectGarbage, memoryInUse } from "../../../../scripts/testing/memory.mjs";
import { newMessage } from "../support/messages.ts";

const message = (size: number): Message => newMessage("binary", new Uint8Array(size), 0, size);

describe("a receive queue", () => {
  test("returns its messages in order, and counts 64 bytes for each in addition to its size", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof({ weight: 3, arbitrary: fc.nat(5000) }, fc.constantFrom("shift", "shift", "settle", "drain")),
          {
            maxLength: 3000,
            size: "max",
          },
        ),
        (steps) => {
          const receiveQueue = new ReceiveQueue();
          let model: Message[] = [];
          for (const step of steps) {
            if (typeof step === "number") {
              const one = message(step);
              receiveQueue.push(one);
              model.push(one);
            } else if (step === "shift") assert.equal(receiveQueue.shift(), model.shift());
            else if (step === "settle") receiveQueue.settle();
            else {
              assert.deepEqual(receiveQueue.drain(), model);
              model = [];
            }
            assert.equal(receiveQueue.count, model.length);
            assert.equal(
              receiveQueue.size,
              model.reduce((sum, one) => sum + one.size + 64, 0),
            );
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  // 257 to 2048 bytes lie in slabs of 64 KiB, smaller ones in slabs of 8 KiB
  for (const [size, slab] of [
    [0, 8192],
    [20, 8192],
    [200, 8192],
    [2000, 65_536],
  ] as const) {
    for (const [count, perTick] of [
      [1, 1],
      [100, 1],
      [100, 7],
      [20_000, 1],
      [20_000, 100],
    ] as const) {
      test(`holds no more memory than it counts: ${count} of ${size} bytes, ${perTick} in each tick`, async () => {
        const queues: ReceiveQueue[] = [];
        const fill = (): void => {
          for (let made = 0; made < Math.max(1, 10_000 / count); made++) {
            const receiveQueue = new ReceiveQueue();
            for (let number = 0; number < count; number++) {
              // as received: in memory shared with messages of other connections
              const shared = new Uint8Array(count > 1000 ? size + 200 : slab);
              receiveQueue.push(newMessage("binary", shared.fill(number & 0xff, 100, 100 + size), 100, size));
              if (number % perTick === perTick - 1) receiveQueue.settle();
            }
            receiveQueue.settle();
            queues.push(receiveQueue);
          }
        };
        const before = await memoryInUse();
        fill();
        const growth = (await memoryInUse()) - before;
        const held = queues.reduce((sum, each) => sum + each.held, 0);
        // of each queue itself, of each typed array that is a block, and of what else the process
        // does
        const besides = queues.length * 700 + 500_000;
        assert.ok(growth < held * 1.1 + besides, `${growth} bytes, counted as ${held}`);
        for (const receiveQueue of queues) {
          for (let number = 0; number < count; number++) {
            const bytes = receiveQueue.shift()?.bytes;
            assert.ok(bytes?.length === size && bytes.every((byte) => byte === (number & 0xff)));
          }
        }
      });
    }
  }

  test("releases messages that were read, although it is never empty", async () => {
    const receiveQueue = new ReceiveQueue();
    receiveQueue.push(message(10));
    const taken: WeakRef<Message>[] = [];
    for (let round = 0; round < 500; round++) {
      receiveQueue.push(message(10));
      const one = receiveQueue.shift();
      if (one !== undefined) taken.push(new WeakRef(one));
    }
    await collectGarbage();
    assert.ok(taken.filter((ref) => ref.deref() !== undefined).length <= 1);
    assert.equal(receiveQueue.count, 1);
  });
});
