import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PreparedMessage } from "../../src/messages/prepared.ts";
import type { Protocol } from "../../src/endpoint/protocol.ts";
import { pattern, utf8 } from "../support/bytes.ts";
import { Endpoint } from "../support/endpoint.ts";
import { ROLES } from "../support/frames.ts";
import { newMessage, releaseAll } from "../support/runtime.ts";
import fc from "fast-check";

/** All calls that add to the output, each with `size` bytes of payload. */
const CALLS: [string, (protocol: Protocol, size: number) => void][] = [
  ["text", (protocol, size) => protocol.send("a".repeat(size))],
  ["text of two bytes a character", (protocol, size) => protocol.send("é".repeat(size >> 1) + "a".repeat(size & 1))],
  ["bytes", (protocol, size) => protocol.send(pattern(size))],
  ["a message", (protocol, size) => protocol.send(newMessage("text", new Uint8Array(size + 1), 1, size))],
  ["a prepared message", (protocol, size) => protocol.send(new PreparedMessage(pattern(size)))],
  ["a payload", (protocol, size) => protocol.sendPayload("text", pattern(size))],
  [
    "a fragment",
    (protocol, size) => {
      if (!protocol.inMessage) protocol.beginMessage("binary");
      protocol.sendFragment(pattern(size), false);
    },
  ],
];

/** Header and payload of one frame. */
const encoded = (role: string, size: number): number =>
  size + (size < 126 ? 2 : size < 65536 ? 4 : 10) + (role === "client" ? 4 : 0);

describe("maxWriteBufferSize", () => {
  for (const role of ROLES) {
    for (const [name, call] of CALLS) {
      test(`${name} of a ${role}: one less, exactly, one more`, () => {
        for (const size of [0, 1, 100, 125, 126, 5000]) {
          for (const limit of [-1, 0, 1].map((more) => 50 + encoded(role, size) + more)) {
            const end = new Endpoint(role, { maxWriteBufferSize: limit });
            const { protocol } = end;
            protocol.send(pattern(50 - encoded(role, 0)));
            assert.equal(protocol.output.size, 50);
            if (limit < 50 + encoded(role, size)) {
              if (name === "a fragment") protocol.beginMessage("binary");
              const message = new RegExp(`50 bytes are buffered, ${encoded(role, size)} more would exceed ${limit}`);
              assert.throws(() => call(protocol, size), { code: "WRITE_BUFFER_FULL", fault: "local", message });
              assert.equal(protocol.output.size, 50, "nothing is half-sent");
            } else {
              call(protocol, size);
              assert.equal(protocol.output.size, 50 + encoded(role, size));
            }
            assert.equal(protocol.state, "open");
          }
        }
      });

      test(`${name} of a ${role}: one is always accepted when nothing waits`, () => {
        const { protocol } = new Endpoint(role, { maxWriteBufferSize: 0 });
        call(protocol, 1000);
        assert.equal(protocol.output.size, encoded(role, 1000));
        assert.throws(() => call(protocol, 0), { code: "WRITE_BUFFER_FULL" });
        protocol.output.clear();
        protocol.inTransit = 1;
        assert.throws(() => call(protocol, 0), { code: "WRITE_BUFFER_FULL" }, "what is being written waits, too");
        protocol.inTransit = 0;
        call(protocol, 0);
      });
    }

    test(`pings and pongs of a ${role} are counted`, () => {
      const end = new Endpoint(role, { maxWriteBufferSize: 20 });
      end.protocol.ping(pattern(5));
      const rest = 20 - encoded(role, 5) - encoded(role, 0);
      end.protocol.pong(pattern(rest));
      assert.equal(end.protocol.output.size, 20);
      assert.throws(() => end.protocol.ping(), { code: "WRITE_BUFFER_FULL" });
      assert.throws(() => end.protocol.pong(), { code: "WRITE_BUFFER_FULL" });
      assert.deepEqual(end.sent().length, 2);
    });

    test(`automatic replies of a ${role} are sent although the buffer is full`, () => {
      const end = new Endpoint(role, { maxWriteBufferSize: 10, heartbeat: { interval: 1, timeout: 1 } });
      end.protocol.start(0);
      end.protocol.send("a".repeat(100));
      end.protocol.handleTimeout(1);
      end.receive({ opcode: 9 });
      end.protocol.close(1000, "bye", 0);
      assert.deepEqual(
        end.sent().map((frame) => frame.split(" ")[0]),
        ["text", "ping", "pong", "close"],
      );
    });

    test(`a message of a ${role} is rejected as a whole, whatever frames it would take`, () => {
      const { protocol } = new Endpoint(role, { maxWriteBufferSize: 100, maxFrameSize: 1 });
      protocol.send("a");
      const each = encoded(role, 1);
      const fits = Math.floor((100 - each) / each);
      assert.throws(() => protocol.send("a".repeat(fits + 1)), { code: "WRITE_BUFFER_FULL" });
      assert.equal(protocol.output.size, each);
      protocol.send("a".repeat(fits));
      assert.ok(protocol.output.size <= 100);
    });
  }

  test("is never exceeded by later writes, in any order", () => {
    const step = fc.tuple(fc.nat(CALLS.length - 1), fc.oneof(fc.nat(50), fc.nat(6000)), fc.nat(9));
    const limits = fc.record({ maxWriteBufferSize: fc.nat(20_000), maxFrameSize: fc.integer({ min: 1, max: 5000 }) });
    fc.assert(
      fc.property(fc.constantFrom(...ROLES), limits, fc.array(step, { maxLength: 20 }), (role, options, steps) => {
        const { protocol } = new Endpoint(role, options);
        for (const [which, size, taken] of steps) {
          const before = protocol.output.size;
          try {
            CALLS[which][1](protocol, size);
            assert.ok(before === 0 || protocol.output.size <= options.maxWriteBufferSize);
          } catch (error) {
            assert.ok(error instanceof Error && "code" in error);
            assert.ok(["WRITE_BUFFER_FULL", "MESSAGE_IN_PROGRESS"].includes(String(error.code)), String(error));
            assert.equal(protocol.output.size, before);
          }
          if (taken === 0) releaseAll(protocol.output);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("arguments", () => {
  const NO_BYTES = [null, 5, -1, NaN, true, "text", {}, [1, 2], new ArrayBuffer(8), new DataView(new ArrayBuffer(8))];
  for (const role of ROLES) {
    test(`that are not bytes are rejected by a ${role}, and nothing is sent`, () => {
      for (const waiting of [false, true]) {
        const end = new Endpoint(role);
        const { protocol } = end;
        if (waiting) protocol.send("a");
        for (const value of NO_BYTES as unknown as Uint8Array[]) {
          const refused = { code: "INVALID_ARGUMENT", fault: "local", message: /must be .*Uint8Array.*, got / };
          assert.throws(() => protocol.ping(value), refused);
          assert.throws(() => protocol.pong(value), refused);
          assert.throws(() => protocol.sendPayload("text", value), refused);
          if (typeof value !== "string") assert.throws(() => protocol.send(value), refused);
          assert.throws(() => protocol.receive(value, 0), refused);
        }
        assert.throws(() => protocol.send(undefined as unknown as string), { code: "INVALID_ARGUMENT" });
        protocol.beginMessage("binary");
        for (const value of [undefined, ...NO_BYTES] as unknown as Uint8Array[]) {
          assert.throws(() => protocol.sendFragment(value, false), { code: "INVALID_ARGUMENT" });
        }
        protocol.sendFragment(utf8("b"), true);
        assert.deepEqual(end.sent(), [...(waiting ? ["text 61 fin"] : []), "binary 62 fin"]);
        assert.equal(protocol.state, "open");
      }
    });

    test(`of a ping or a pong that are too long are rejected by a ${role}`, () => {
      const end = new Endpoint(role);
      end.protocol.ping(pattern(125));
      end.protocol.pong(pattern(125));
      assert.equal(end.sent().length, 2);
      for (const length of [126, 1000, 100_000]) {
        const refused = { code: "INVALID_ARGUMENT", message: new RegExp(`at most 125 bytes, got ${length}$`) };
        assert.throws(() => end.protocol.ping(pattern(length)), refused);
        assert.throws(() => end.protocol.pong(pattern(length)), refused);
      }
      assert.deepEqual(end.sent(), []);
    });

    test(`of receive must be within the chunk, for a ${role}`, () => {
      const end = new Endpoint(role);
      for (const [from, to] of [
        [-1, 2],
        [0, 5],
        [NaN, 2],
        [0, NaN],
      ]) {
        assert.throws(() => end.protocol.receive(pattern(4), 0, from, to), { code: "INVALID_ARGUMENT" });
      }
      end.protocol.receive(pattern(4), 0, 4, 4);
      end.protocol.receive(pattern(4), 0, 2, 2);
      assert.equal(end.protocol.error, undefined);
    });
  }

  test("of the constructor are validated", () => {
    assert.throws(() => new Endpoint("client", { keys: undefined }), { code: "INVALID_ARGUMENT" });
    assert.throws(() => new Endpoint("server", { maxFrameSize: 0 }), { code: "INVALID_ARGUMENT" });
  });
});
