import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Message } from "@tungstate/protocol";
import fc from "fast-check";
import { ReceiveQueue } from "../../src/connection/reading/receive-queue.ts";
import { collectGarbage, memoryInUse } from "../support/memory.ts";
import { newMessage } from "../support/messages.ts";

const message = (size: number): Message => newMessage("binary", new Uint8Array(size), 0, size);

describe("an receive queue", () => {
  test("gives back what was put in, in order, and counts 64 bytes for each message besides its own", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 3, arbitrary: fc.nat(5000) }, fc.constantFrom("shift", "shift", "drain")), {
          maxLength: 3000,
          size: "max",
        }),
        (steps) => {
          const receiveQueue = new ReceiveQueue();
          let model: Message[] = [];
          for (const step of steps) {
            if (typeof step === "number") {
              const one = message(step);
              receiveQueue.push(one);
              model.push(one);
            } else if (step === "shift") assert.equal(receiveQueue.shift(), model.shift());
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

  test("holds thousands of small messages in little more memory than it counts", async () => {
    const COUNT = 20_000;
    for (const size of [0, 20, 200, 2000]) {
      const fill = (): ReceiveQueue => {
        const receiveQueue = new ReceiveQueue();
        for (let number = 0; number < COUNT; number++) {
          // as they come: in memory that each shares with messages of other connections
          receiveQueue.push(newMessage("binary", new Uint8Array(8192).fill(number & 0xff, 100), 100, size));
        }
        return receiveQueue;
      };
      const before = await memoryInUse();
      const receiveQueue = fill();
      const growth = (await memoryInUse()) - before;
      assert.ok(
        growth < 128 * 8400 + 1.5 * receiveQueue.size, // the first 128 stay where they came
        `${growth / COUNT} bytes for each message, counted as ${receiveQueue.size / COUNT}`,
      );
      for (let number = 0; number < COUNT; number++) {
        const bytes = receiveQueue.shift()?.bytes;
        assert.ok(bytes?.length === size && bytes.every((byte) => byte === (number & 0xff)));
      }
    }
  });

  test("does not keep what was taken, though it is never empty", async () => {
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
