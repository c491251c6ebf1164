import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PreparedMessage } from "@tungstate/protocol";
import fc from "fast-check";
import { Outbox } from "../../src/reconnecting/core/outbox.ts";
import { outboxEntry } from "../../src/reconnecting/outbox-entry.ts";
import type { MessageData } from "../../src/connection/types.ts";
import { newMessage } from "../support/messages.ts";

const entry = (data: MessageData): ReturnType<typeof outboxEntry> => outboxEntry(data, undefined);

describe("a message for the outbox", () => {
  test("counts its bytes, and 64 more", () => {
    const bytes = new Uint8Array(10);
    const message = newMessage("binary", bytes, 2, 5);
    const data: [MessageData, number][] = [
      ["", 64],
      ["abc", 67],
      ["é€", 69],
      [bytes, 74],
      [bytes.buffer, 74],
      [new DataView(bytes.buffer, 1, 3), 67],
      [new Uint16Array(4), 72],
      [message, 69],
      [new PreparedMessage("abc"), 69], // with the frame's header
    ];
    for (const [each, cost] of data) assert.equal(entry(each).cost, cost);
  });

  test("is copied from the caller's bytes", () => {
    const bytes = Buffer.from("abcdef");
    for (const data of [bytes.subarray(1, 3), new DataView(bytes.buffer, bytes.byteOffset + 1, 2)]) {
      const { data: kept } = entry(data);
      bytes.fill("x");
      assert.deepEqual(kept, new Uint8Array([0x62, 0x63]));
      bytes.write("abcdef");
    }
  });

  test("keeps nothing else in memory", () => {
    const shared = new Uint8Array(8192);
    const message = newMessage("binary", shared, 100, 5);
    entry(message);
    assert.notEqual(message.bytes.buffer, shared.buffer);
  });

  test("must be valid", () => {
    for (const data of [undefined, null, 5, {}, [1]]) {
      assert.throws(() => entry(data as string), {
        code: "INVALID_ARGUMENT",
        message: /a message must be a string/,
      });
    }
  });
});

describe("the outbox", () => {
  test("has room up to its limit", () => {
    const outbox = new Outbox(200);
    outbox.push(entry("x".repeat(36)));
    assert.equal(outbox.size, 100);
    for (const [length, fits] of [
      [35, true],
      [36, true],
      [37, false],
    ] as const) {
      assert.equal(outbox.fits(entry("x".repeat(length))), fits);
    }
  });

  test("returns its messages in order, and counts correctly", () => {
    const steps = fc.array(fc.oneof(fc.string({ maxLength: 8 }), fc.constant(undefined)), {
      maxLength: 3_000,
      size: "max",
    });
    fc.assert(
      fc.property(steps, (all) => {
        const outbox = new Outbox(Infinity);
        const model: string[] = [];
        for (const step of all) {
          if (step === undefined) {
            assert.equal(outbox.peek()?.data, model[0]);
            assert.equal(outbox.shift()?.data, model.shift());
          } else {
            outbox.push(entry(step));
            model.push(step);
          }
          assert.equal(outbox.count, model.length);
        }
        assert.equal(
          outbox.size,
          model.reduce((sum, text) => sum + 64 + Buffer.byteLength(text), 0),
        );
      }),
      { numRuns: 30 },
    );
  });
});
