import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SharedMessage, type WhenFull } from "../../src/output/connection.ts";
import { SendQueue } from "../../src/output/send-queue.ts";

const message = (text: string, whenFull: WhenFull, key = ""): SharedMessage => new SharedMessage(text, whenFull, key);
const rest = (queue: SendQueue): string[] => {
  const texts: string[] = [];
  for (let next = queue.take(); next !== undefined; next = queue.take()) texts.push(next.text);
  return texts;
};

test("the limit is in bytes: one below it, at it, one above it", () => {
  const queue = new SendQueue(10);
  assert.equal(queue.add(message("äääää", "disconnect")), "queued");
  assert.equal(queue.bytes, 10);
  assert.equal(queue.add(message("x", "disconnect")), "full");
  assert.equal(queue.take()?.text, "äääää");
  assert.equal(queue.bytes, 0);
  assert.equal(queue.add(message("123456789", "disconnect")), "queued");
  assert.equal(queue.add(message("0", "disconnect")), "queued");
  assert.equal(queue.add(message("", "disconnect")), "queued");
  assert.deepEqual(rest(queue), ["123456789", "0", ""]);
});

test("drop-oldest: the oldest droppable entries are dropped, others never", () => {
  const queue = new SendQueue(6);
  queue.add(message("a1", "drop-oldest"));
  queue.add(message("k1", "disconnect"));
  queue.add(message("a2", "drop-oldest"));
  assert.equal(queue.add(message("a3", "drop-oldest")), "queued");
  assert.equal(queue.dropped, 1);
  assert.equal(queue.add(message("a4++", "drop-oldest")), "queued");
  assert.equal(queue.dropped, 3);
  assert.equal(queue.add(message("a5+++", "drop-oldest")), "dropped", "even with all gone there is no room");
  assert.deepEqual(rest(queue), ["k1"]);
});

test("conflate: the newest of each key remains, in order of the newest", () => {
  const queue = new SendQueue(8);
  for (const text of ["a1", "b1", "a2", "c1", "b2", "a3"]) {
    assert.equal(queue.add(message(text, "conflate", text.charAt(0))), "queued");
  }
  assert.equal(queue.dropped, 3);
  assert.equal(queue.add(message("d1", "conflate", "d")), "queued");
  assert.equal(queue.add(message("e1", "conflate", "e")), "full", "a key's newest value is never dropped");
  assert.deepEqual(rest(queue), ["c1", "b2", "a3", "d1"]);
});

test("a key that was sent is no longer queued", () => {
  const queue = new SendQueue(100);
  queue.add(message("a1", "conflate", "a"));
  assert.equal(queue.take()?.text, "a1");
  queue.add(message("a2", "conflate", "a"));
  assert.equal(queue.dropped, 0);
  assert.deepEqual(rest(queue), ["a2"]);
});

test("any sequence is bounded and in order, and no kept entry is lost", () => {
  const kinds = fc.constantFrom<WhenFull>("disconnect", "drop-oldest", "conflate");
  const step = fc.oneof(
    fc.record({ whenFull: kinds, size: fc.integer({ min: 1, max: 40 }), key: fc.constantFrom("a", "b", "c") }),
    fc.constant("take" as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 3000, size: "max" }), (steps) => {
      const limit = 100;
      const queue = new SendQueue(limit);
      const kept: number[] = [];
      const newest = new Map<string, number>();
      const out: number[] = [];
      let count = 0;
      for (const each of steps) {
        if (each === "take") {
          const taken = queue.take();
          if (taken !== undefined) out.push(Number(taken.text.trim()));
        } else {
          const number = ++count;
          const became = queue.add(message(`${number}`.padEnd(each.size + 4), each.whenFull, each.key));
          if (became === "queued" && each.whenFull === "disconnect") kept.push(number);
          if (became === "queued" && each.whenFull === "conflate") newest.set(each.key, number);
          if (became === "full") newest.delete(each.key); // the connection ends, and its queue
          assert.notEqual(became, each.whenFull === "drop-oldest" ? "full" : "dropped");
        }
        assert.ok(queue.bytes <= limit && queue.bytes >= 0);
      }
      out.push(...rest(queue).map((text) => Number(text.trim())));
      assert.equal(queue.bytes, 0);
      assert.deepEqual(
        out,
        out.toSorted((a, b) => a - b),
      );
      const sent = new Set(out);
      assert.equal(sent.size, out.length);
      for (const number of kept) assert.ok(sent.has(number));
      for (const number of newest.values()) assert.ok(sent.has(number));
    }),
    { numRuns: 100 },
  );
});
