// What a receiver can be told besides the limits in bytes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { viewMessage } from "../../src/messages/message.ts";
import { hex, pattern, show } from "../support/bytes.ts";
import { cut } from "../support/chunks.ts";
import { type FrameSpec, ROLES } from "../support/frames.ts";
import { expectFrames, framesTo, listen, newReceiver } from "../support/receiving.ts";

const fragments = (count: number): FrameSpec[] =>
  Array.from({ length: count }, (_, at) => ({
    opcode: at === 0 ? 2 : 0,
    fin: at === count - 1,
    payload: Uint8Array.of(at),
  }));

describe("maxFragments", () => {
  for (const count of [1, 2, 3]) {
    test(`3: a message of ${count} frames is received`, () => {
      const payload = show(Uint8Array.from({ length: count }, (_, at) => at));
      expectFrames(fragments(count), [`binary ${payload}`], { maxFragments: 3 });
    });
  }

  test("3: a message of 4 frames is refused", () => {
    expectFrames(fragments(4), ["error TOO_MANY_FRAGMENTS"], { maxFragments: 3 });
  });
});

describe("maxFrameChunks", () => {
  for (const role of ROLES) {
    const bytes = framesTo(role, [{ opcode: 2, payload: pattern(20) }, { opcode: 9 }]);
    const end = bytes.length - (role === "server" ? 6 : 2);

    test(`a frame in 3 chunks is received with 3 and refused with 2, by a ${role}`, () => {
      const chunks = cut(bytes, [1, end - 5, end]);
      assert.deepEqual(listen(role, chunks, { maxFrameChunks: 3 }).log, [`binary ${show(pattern(20))}`, "ping"]);
      assert.deepEqual(listen(role, chunks, { maxFrameChunks: 2 }).log, ["error TOO_MANY_CHUNKS"]);
    });

    test(`counts the chunks of one frame, not of the connection, by a ${role}`, () => {
      const chunks = [1, 2, 3].flatMap(() => cut(bytes, [5, end]));
      const log = listen(role, chunks, { maxFrameChunks: 2 }).log;
      assert.equal(log.length, 6);
      assert.deepEqual(log.at(-1), "ping");
    });
  }
});

describe("skipUtf8Check", () => {
  test("text that is not UTF-8 is received, in one frame and in several", () => {
    expectFrames([{ opcode: 1, payload: hex("ff61") }], ["text ff61"], { skipUtf8Check: true });
    const halves: FrameSpec[] = [
      { opcode: 1, fin: false, payload: hex("ff") },
      { opcode: 0, payload: hex("e2") },
    ];
    expectFrames(halves, ["text ffe2"], { skipUtf8Check: true });
    expectFrames(halves, ["error INVALID_UTF8"]);
  });
});

describe("acceptLongLengths", () => {
  for (const form of [16, 64] as const) {
    test(`a length of 1 in ${form} bits is received`, () => {
      expectFrames([{ opcode: 2, payload: hex("01"), form }], ["binary 01"], { acceptLongLengths: true });
    });
  }
});

describe("keepFragmentSizes", () => {
  test("the sizes of the frames are there while the message is delivered", () => {
    const seen: (readonly number[] | undefined)[] = [];
    const { receiver, listener } = newReceiver("client", { keepFragmentSizes: true });
    const { onMessage } = listener;
    listener.onMessage = (message) => {
      seen.push(receiver.fragmentSizes);
      onMessage.call(listener, message);
    };
    const bytes = framesTo("client", [
      { opcode: 2, fin: false, payload: pattern(3) },
      { opcode: 0, fin: false },
      { opcode: 0, payload: pattern(300) },
      { opcode: 2, payload: pattern(7) },
    ]);
    assert.equal(receiver.receive(bytes, 0, bytes.length), undefined);
    assert.deepEqual(seen, [[3, 0, 300], undefined]);
    assert.equal(receiver.fragmentSizes, undefined);
  });
});

describe("the first bytes of a violation", () => {
  test("are those of the header that was read last", () => {
    const { receiver } = newReceiver("client");
    const bytes = framesTo("client", [{ opcode: 1 }, { opcode: 9, rsv: 2 }]);
    assert.equal(receiver.receive(bytes, 0, bytes.length)?.code, "RESERVED_BITS");
    assert.equal(receiver.firstByte & 0x0f, 9);
  });
});

describe("viewMessage", () => {
  test("shows the payload where it lies, whole, whatever pieces it came in", () => {
    for (const size of [0, 5, 2000, 5000, 400_000]) {
      const bytes = framesTo("server", [{ opcode: 2, payload: pattern(size) }]);
      for (const chunks of [[bytes], cut(bytes, [Math.ceil(bytes.length / 2)])]) {
        const [message] = listen("server", chunks).messages;
        assert.ok(message !== undefined);
        const view = viewMessage(message, (source, start, length) => source.subarray(start, start + length));
        assert.deepEqual(new Uint8Array(view), pattern(size));
        view.fill(1);
        assert.deepEqual(new Uint8Array(message.bytes), new Uint8Array(size).fill(1));
      }
    }
  });
});
