import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PreparedMessage } from "@tungstate/protocol";
import fc from "fast-check";
import { systemClock } from "../../src/schedule/clock.ts";
import { BroadcastQueue, type Subscriber } from "../../src/broadcast/broadcast-queue.ts";
import { Flusher } from "../../src/schedule/flusher.ts";
import { turns } from "../support/server.ts";

const DIGITS = 6;
const FRAME = 2 + DIGITS; // bytes
const HALF = 5 * FRAME; // bytes distributed at once

/**
 * A subscriber that records deliveries and may act during one, as a stream whose `write` calls the
 * application.
 */
class Listener implements Subscriber {
  cursor: number;
  clear = true;
  waiting = 0;
  over = false;
  readonly got: string[] = [];
  readonly joinedAt: number;
  private readonly given: (listener: Listener) => void;

  constructor(queue: BroadcastQueue, given: (listener: Listener) => void = () => undefined) {
    this.cursor = this.joinedAt = queue.count;
    this.given = given;
  }

  canWriteFrames(): boolean {
    return this.clear && !this.over;
  }

  writeFrames(frames: Uint8Array, count: number): boolean {
    assert.ok(this.canWriteFrames());
    assert.equal(frames.length, count * FRAME);
    for (let at = 0; at < frames.length; at += FRAME) {
      this.got.push(Buffer.from(frames.subarray(at + 2, at + FRAME)).toString());
    }
    this.given(this);
    return this.waiting === 0;
  }

  writeMessage(message: PreparedMessage): void {
    if (this.over) return; // as an ended connection
    this.got.push(Buffer.from(message.payload).toString());
    this.given(this);
  }

  isBehind(more: number): boolean {
    return this.waiting + more > 2 * HALF;
  }
}

interface Fed {
  readonly queue: BroadcastQueue;
  readonly listeners: Set<Listener>;
}

function feedFor(): Fed {
  const listeners = new Set<Listener>();
  const settings = { flusher: new Flusher(systemClock), writeBufferSize: 2 * HALF, maxFrameSize: 1000 };
  return { queue: new BroadcastQueue(listeners, settings), listeners };
}

const messageOf = (number: number): PreparedMessage => new PreparedMessage(String(number).padStart(DIGITS, "0"));

describe("a broadcast queue", () => {
  test("delivers each message to every subscriber once, in order, whatever they do in their callbacks", async () => {
    const act = fc.record({
      kind: fc.constantFrom(
        "none",
        "none",
        "add",
        "addAll",
        "except",
        "catchUp",
        "distribute",
        "join",
        "leave",
        "block",
      ),
      who: fc.nat(40),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 60 }), fc.array(act, { maxLength: 60 }), async (outside, script) => {
        const inside = [...script];
        const { queue, listeners } = feedFor();
        const left = new Set<Listener>();
        const excepted = new Map<string, Listener>();
        let number = 0;
        const add = (except?: Listener): void => {
          const message = messageOf(number++);
          if (except !== undefined) excepted.set(Buffer.from(message.payload).toString(), except);
          queue.add(message, except);
        };
        const perform = ({ kind, who }: { readonly kind: string; readonly who: number }): void => {
          const someone = [...listeners][1 + (who % Math.max(1, listeners.size - 1))];
          if (kind === "add") add();
          else if (kind === "addAll") for (let i = 0; i < 5; i++) add();
          else if (kind === "except") add(someone);
          else if (kind === "distribute") queue.distribute();
          else if (kind === "join") listeners.add(new Listener(queue, given));
          else if (someone === undefined) return;
          else if (kind === "catchUp") queue.catchUp(someone);
          else if (kind === "block") someone.clear = !someone.clear;
          else if (kind === "leave") {
            listeners.delete(someone);
            queue.forget(someone);
            someone.over = true;
            left.add(someone);
          }
        };
        const given = (): void => {
          const next = inside.pop();
          if (next !== undefined) perform(next);
        };
        const witness = new Listener(queue);
        listeners.add(witness);
        for (let i = 0; i < 20; i++) listeners.add(new Listener(queue, given));
        for (const each of outside) {
          perform(each);
          if (each.who === 0) await turns(1);
        }
        while (inside.length > 0) {
          add();
          queue.distribute();
        }
        queue.distribute();
        assert.equal(witness.got.length, queue.count);
        for (const listener of listeners) {
          const due = witness.got.slice(listener.joinedAt).filter((each) => excepted.get(each) !== listener);
          assert.deepEqual(listener.got, due);
        }
        for (const listener of left) {
          const due = witness.got.slice(listener.joinedAt).filter((each) => excepted.get(each) !== listener);
          assert.deepEqual(listener.got, due.slice(0, listener.got.length));
        }
      }),
      { numRuns: 150 },
    );
  });

  test("a subscriber that adds a message for each delivery does not prolong the tick", async () => {
    const { queue, listeners } = feedFor();
    const echo = new Listener(queue, () => void queue.add(messageOf(queue.count), undefined));
    listeners.add(echo);
    queue.add(messageOf(0), undefined);
    await turns(5);
    assert.ok(echo.got.length >= 2 && echo.got.length <= 6, `${echo.got.length} in 5 turns`);
    listeners.delete(echo);
    await turns(2);
  });

  test("counts each slow subscriber once, and none that has left", () => {
    const { queue, listeners } = feedFor();
    const first = new Listener(queue, () => {
      if (queue.count < 3) {
        queue.add(messageOf(queue.count), undefined);
        queue.distribute();
      }
    });
    const slow = new Listener(queue);
    slow.waiting = 1000;
    listeners.add(slow).add(first);
    queue.add(messageOf(0), undefined);
    queue.distribute();
    assert.equal(queue.add(messageOf(3), undefined), 1);
    assert.equal(queue.add(messageOf(4), slow), 0);
    listeners.delete(slow);
    queue.forget(slow);
    assert.equal(queue.add(messageOf(5), undefined), 0);
  });
});
