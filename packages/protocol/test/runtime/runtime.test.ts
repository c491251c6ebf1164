import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ProtocolConfig } from "../../src/endpoint/options.ts";
import { Protocol } from "../../src/endpoint/protocol.ts";
import type { Message } from "../../src/messages/message.ts";
import { Runtime } from "../../src/runtime/runtime.ts";
import { pattern } from "../support/bytes.ts";
import { optionsOf } from "../support/endpoint.ts";
import { type FrameSpec, ROLES } from "../support/frames.ts";
import { framesTo } from "../support/receiving.ts";

/** A runtime that records its allocated buffers, with a server and a client. */
class World {
  readonly buffers = new Set<ArrayBufferLike>();
  readonly messages: Message[] = [];
  readonly runtime: Runtime;
  readonly ends: readonly Protocol[];

  constructor() {
    this.runtime = new Runtime({
      allocate: (size) => {
        const bytes = new Uint8Array(size);
        this.buffers.add(bytes.buffer);
        return bytes;
      },
    });
    this.ends = ROLES.map(
      (role) =>
        new Protocol(new ProtocolConfig(this.runtime, optionsOf(role)), {
          onMessage: (message) => this.messages.push(message),
          onPing: () => undefined,
          onPong: () => undefined,
          onStateChange: () => undefined,
        }),
    );
  }

  /**
   * Sends and receives messages of all sizes, and transfers some, so that memory is recycled.
   * Returns the memory of everything sent.
   */
  work(): ArrayBufferLike[] {
    const sent: ArrayBufferLike[] = [];
    for (const [at, role] of ROLES.entries()) {
      const end = this.ends[at];
      for (const size of [10, 200, 1000, 5000, 100_000]) {
        const whole: FrameSpec = { opcode: 2, payload: pattern(size) };
        const bytes = framesTo(role, [whole, { ...whole, fin: false }, { opcode: 0, payload: pattern(size) }]);
        end.receive(bytes, 0, 0, bytes.length >> 1);
        end.receive(bytes, 0, bytes.length >> 1, bytes.length);
        for (const message of this.messages.splice(0)) end.transfer(message);
        end.send(pattern(size));
        end.send("text");
        const taken = end.output.take();
        for (const piece of [taken.pieces].flat()) sent.push(piece.buffer);
        end.output.release(taken);
      }
    }
    return sent;
  }
}

describe("two runtimes in one process", () => {
  test("share no memory, for any alternating work of their connections", () => {
    const [a, b] = [new World(), new World()];
    for (let round = 0; round < 5; round++) {
      for (const [own, other] of [
        [a, b],
        [b, a],
      ]) {
        const sent = own.work();
        assert.ok(sent.some((buffer) => own.buffers.has(buffer)));
        assert.deepEqual(
          sent.filter((buffer) => other.buffers.has(buffer)),
          [],
        );
      }
    }
    assert.ok(a.buffers.size > 0);
    assert.deepEqual(
      [...a.buffers].filter((buffer) => b.buffers.has(buffer)),
      [],
    );
  });

  test("recycle memory separately: work in one allocates nothing in the other", () => {
    const [a, b] = [new World(), new World()];
    a.work();
    b.work();
    const allocated = b.buffers.size;
    for (let round = 0; round < 20; round++) a.work();
    assert.equal(b.buffers.size, allocated);
  });

  test("have separate functions", () => {
    const fast = new Runtime({ utf8Length: () => 5 });
    assert.equal(fast.primitives.utf8Length("a"), 5);
    assert.equal(new Runtime().primitives.utf8Length("a"), 1);
    assert.ok(Object.isFrozen(fast.primitives));
  });

  test("hide their internals", () => {
    const runtime = new Runtime();
    assert.deepEqual(Reflect.ownKeys(runtime), []);
    assert.deepEqual(Reflect.ownKeys(Runtime.prototype), ["constructor", "primitives"]);
  });
});
