import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Message } from "../../src/messages/message.ts";
import { Endpoint } from "../support/endpoint.ts";
import { framesTo } from "../support/receiving.ts";
import { newMessage } from "../support/runtime.ts";

const filled = (size: number): Uint8Array => new Uint8Array(size).fill(0x61);

describe("bytes held by a protocol", () => {
  test("of an incomplete message: its bytes, and that it has started", () => {
    const { protocol } = new Endpoint("server");
    assert.deepEqual([protocol.pendingSize, protocol.midMessage, protocol.heldSize], [0, false, 0]);
    protocol.receive(framesTo("server", [{ opcode: 1, fin: false, payload: filled(300) }]), 0);
    assert.deepEqual([protocol.pendingSize, protocol.midMessage, protocol.heldSize], [300, true, 300]);
    protocol.receive(framesTo("server", [{ opcode: 0, payload: filled(5) }]), 0);
    assert.deepEqual([protocol.pendingSize, protocol.midMessage, protocol.heldSize], [0, false, 0]);
  });

  test("a header starts a message without bytes; that of a ping does not", () => {
    const { protocol } = new Endpoint("server");
    const frame = framesTo("server", [{ opcode: 2, payload: filled(10) }]);
    protocol.receive(frame, 0, 0, 6);
    assert.deepEqual([protocol.pendingSize, protocol.midMessage], [0, true]);
    protocol.receive(frame, 0, 6);
    const ping = framesTo("server", [{ opcode: 9, payload: filled(10) }]);
    protocol.receive(ping, 0, 0, 8);
    assert.deepEqual([protocol.pendingSize, protocol.midMessage], [0, false]);
  });

  test("of output, until it is written", () => {
    const { protocol } = new Endpoint("server");
    protocol.send(filled(100));
    assert.equal(protocol.heldSize, 102);
    const taken = protocol.output.take();
    protocol.inTransit = taken.size;
    assert.equal(protocol.heldSize, 102);
    protocol.output.release(taken);
    protocol.inTransit = 0;
    assert.equal(protocol.heldSize, 0);
  });
});

describe("room for a message", () => {
  test("is what maxWriteBufferSize leaves, including headers; an empty buffer has room for any message", () => {
    const { protocol } = new Endpoint("server", { maxWriteBufferSize: 200 });
    assert.equal(protocol.hasRoom(filled(1000)), true);
    protocol.send(filled(98)); // and a header of two bytes
    for (const [size, room] of [
      [98, true],
      [99, false],
    ] as const) {
      assert.equal(protocol.hasRoom(filled(size)), room);
      assert.equal(protocol.hasRoom("a".repeat(size)), room);
    }
  });
});

describe("one message is always accepted when nothing waits, whatever its size", () => {
  const sends: [string, (end: Endpoint) => void][] = [
    ["send", ({ protocol }) => protocol.send(filled(20))],
    ["transfer", ({ protocol }) => protocol.transfer(newMessage("binary", filled(20), 0, 20))],
    ["sendPayload", ({ protocol }) => protocol.sendPayload("text", filled(20))],
    ["ping", ({ protocol }) => protocol.ping(filled(20))],
    ["pong", ({ protocol }) => protocol.pong(filled(20))],
  ];
  for (const [what, send] of sends) {
    test(`${what}, but not after bytes that are still being written`, () => {
      for (const [inTransit, taken] of [
        [0, true],
        [1, false],
      ] as const) {
        const end = new Endpoint("server", { maxWriteBufferSize: 10 });
        end.protocol.inTransit = inTransit;
        assert.equal(end.protocol.hasRoom(filled(20)), taken);
        if (taken) send(end);
        else assert.throws(() => send(end), { code: "WRITE_BUFFER_FULL" });
        assert.equal(end.protocol.output.size, taken ? 22 : 0);
      }
    });
  }
});

describe("a message that is passed on with transfer", () => {
  const received = (size: number): Message => newMessage("binary", filled(size), 0, size);

  test("is sent as by send, and then unreadable", () => {
    const endpoint = new Endpoint("server");
    const message = received(5000);
    endpoint.protocol.transfer(message);
    const [sent = ""] = endpoint.sent();
    assert.match(sent, /^binary 5000 bytes/);
    assert.throws(() => message.bytes, { code: "INVALID_STATE" });
  });

  test("requires an open connection and room, and stays readable otherwise", () => {
    const { protocol } = new Endpoint("server", { maxWriteBufferSize: 100 });
    protocol.send(filled(50));
    const message = received(5000);
    assert.throws(() => protocol.transfer(message), { code: "WRITE_BUFFER_FULL" });
    protocol.close(1000, "", 0);
    assert.throws(() => protocol.transfer(message), { code: "NOT_OPEN" });
    assert.equal(message.bytes.length, 5000);
  });
});
