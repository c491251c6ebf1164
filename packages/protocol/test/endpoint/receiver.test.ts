import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Message, recyclable } from "../../src/messages/message.ts";
import { Receiver } from "../../src/endpoint/receiver.ts";
import { concat, hex, pattern, show, toHex, utf8 } from "../support/bytes.ts";
import { frame, type FrameSpec, KEY, keyTo, ROLES } from "../support/frames.ts";
import {
  expectBytes,
  expectFrames,
  framesTo,
  listen,
  Listener,
  newReceiver,
  RECEIVER_DEFAULTS,
  TO_LISTENER,
} from "../support/receiving.ts";
import { allocatedBy, memory } from "../support/runtime.ts";

const HELLO = toHex(utf8("Hello"));

describe("the examples of RFC 6455 §5.7", () => {
  test("a text message in one unmasked frame", () => {
    expectBytes("client", hex("81 05 48 65 6c 6c 6f"), [`text ${HELLO}`]);
  });
  test("a text message in one masked frame", () => {
    expectBytes("server", hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"), [`text ${HELLO}`]);
  });
  test("a text message in two fragments", () => {
    expectBytes("client", hex("01 03 48 65 6c  80 02 6c 6f"), [`text ${HELLO}`]);
  });
  test("a ping and the masked pong to it", () => {
    expectBytes("client", hex("89 05 48 65 6c 6c 6f"), [`ping ${HELLO}`]);
    expectBytes("server", hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"), [`pong ${HELLO}`]);
  });
  test("256 bytes in one frame", () => {
    const payload = pattern(256);
    expectBytes("client", concat(hex("82 7e 01 00"), payload), [`binary ${show(payload)}`]);
  });
  test("64 KiB in one frame", () => {
    const payload = pattern(65536);
    expectBytes("client", concat(hex("82 7f 00 00 00 00 00 01 00 00"), payload), [`binary ${show(payload)}`]);
  });
});

describe("payload lengths", () => {
  for (const length of [0, 1, 2, 23, 24, 125, 126, 127, 2048, 2049, 65535, 65536, 65537]) {
    test(`${length} bytes`, () => {
      const payload = pattern(length);
      expectFrames([{ opcode: 2, payload }], [`binary ${show(payload)}`.trimEnd()]);
      const text = new Uint8Array(length).fill(0x61);
      expectFrames([{ opcode: 1, payload: text }], [`text ${show(text)}`.trimEnd()]);
    });
  }

  for (const length of [0, 1, 125]) {
    test(`${length} bytes in 16 or 64 bits are rejected`, () => {
      const payload = pattern(length);
      for (const opcode of [1, 2]) {
        expectFrames([{ opcode, payload, form: 16 }], ["error NON_MINIMAL_LENGTH"]);
        expectFrames([{ opcode, payload, form: 64 }], ["error NON_MINIMAL_LENGTH"]);
      }
    });
  }
  for (const length of [126, 127, 65535]) {
    test(`${length} bytes in 64 bits are rejected`, () => {
      expectFrames([{ opcode: 2, payload: pattern(length), form: 64 }], ["error NON_MINIMAL_LENGTH"]);
    });
  }
  test("of a continuation are rejected in a longer form, too", () => {
    const first: FrameSpec = { opcode: 2, fin: false, payload: hex("01") };
    expectFrames([first, { opcode: 0, payload: hex("02"), form: 16 }], ["error NON_MINIMAL_LENGTH"]);
    expectFrames([first, { opcode: 0, payload: hex("02"), form: 64 }], ["error NON_MINIMAL_LENGTH"]);
  });
});

describe("opcodes", () => {
  const MEANING: readonly string[] = ["error UNEXPECTED_CONTINUATION", `text ${HELLO}`, `binary ${HELLO}`];
  const CONTROL: readonly string[] = [`close ${HELLO}`, `ping ${HELLO}`, `pong ${HELLO}`];
  for (let opcode = 0; opcode < 16; opcode++) {
    const meaning = MEANING[opcode] ?? CONTROL[opcode - 8];
    test(`${opcode} is ${meaning?.split(" ", 2).join(" ") ?? "refused"}`, () => {
      expectFrames([{ opcode, payload: utf8("Hello") }], [meaning ?? "error INVALID_OPCODE"]);
      // the error is reported at the first two bytes
      if (meaning === undefined) {
        for (const length of [0, 125, 126, 127]) {
          for (const role of ROLES) {
            const bytes = Uint8Array.of(0x80 | opcode, (role === "server" ? 0x80 : 0) | length);
            expectBytes(role, bytes, ["error INVALID_OPCODE"]);
          }
        }
        expectFrames([{ opcode, fin: false }], ["error INVALID_OPCODE"]);
      }
    });
  }
});

describe("reserved bits", () => {
  const names = ["RSV3", "RSV2", "RSV1"];
  for (let rsv = 1; rsv < 8; rsv++) {
    test(`${names.filter((_, bit) => (rsv >> bit) & 1).join(" and ")} without an extension`, () => {
      for (let opcode = 0; opcode < 16; opcode++) {
        expectFrames([{ opcode, rsv, payload: hex("61") }], ["error RESERVED_BITS"]);
        expectFrames(
          [
            { opcode: 1, fin: false },
            { opcode, rsv },
          ],
          ["error RESERVED_BITS"],
        );
      }
    });
  }

  test("RSV1 with compression starts a compressed message, text not validated", () => {
    const payload = hex("ff fe 00");
    for (const [opcode, type] of [
      [1, "text"],
      [2, "binary"],
    ] as const) {
      expectFrames([{ opcode, rsv: 4, payload }], [`compressed ${type} fffe00`], { compression: true });
      expectFrames(
        [
          { opcode, rsv: 4, fin: false, payload },
          { opcode: 9, payload: hex("01") },
          { opcode: 0, payload },
        ],
        ["ping 01", `compressed ${type} fffe00fffe00`],
        { compression: true },
      );
    }
    // and uncompressed messages are unchanged
    expectFrames([{ opcode: 2, payload }], ["binary fffe00"], { compression: true });
    expectFrames([{ opcode: 1, payload }], ["error INVALID_UTF8"], { compression: true });
  });

  test("with compression every other use of them is rejected", () => {
    for (let opcode = 0; opcode < 16; opcode++) {
      for (let rsv = 1; rsv < 8; rsv++) {
        if (rsv === 4 && (opcode === 1 || opcode === 2)) continue;
        expectFrames([{ opcode, rsv }], ["error RESERVED_BITS"], { compression: true });
        expectFrames(
          [
            { opcode: 1, rsv: 4, fin: false },
            { opcode, rsv },
          ],
          ["error RESERVED_BITS"],
          {
            compression: true,
          },
        );
      }
    }
  });
});

describe("masking", () => {
  test("a server rejects unmasked frames with 1002", () => {
    for (const opcode of [0, 1, 2, 8, 9, 10]) {
      expectBytes("server", frame({ opcode, payload: hex("0102") }), ["error UNMASKED_FRAME"]);
    }
  });

  test("a server accepts them if configured, and masked ones too", () => {
    const bytes = concat(
      frame({ opcode: 1, payload: utf8("a") }),
      frame({ opcode: 1, payload: utf8("b"), key: KEY }),
      frame({ opcode: 2, fin: false, payload: hex("01") }),
      frame({ opcode: 9, payload: hex("aa") }),
      frame({ opcode: 0, payload: hex("02"), key: KEY }),
    );
    expectBytes("server", bytes, ["text 61", "text 62", "ping aa", "binary 0102"], { acceptUnmaskedFrames: true });
  });

  test("a client rejects masked frames", () => {
    for (const opcode of [0, 1, 2, 8, 9, 10]) {
      const bytes = frame({ opcode, payload: hex("0102"), key: KEY });
      expectBytes("client", bytes, ["error MASKED_FRAME"]);
      expectBytes("client", bytes, ["error MASKED_FRAME"], { acceptUnmaskedFrames: true });
    }
  });

  test("every key is applied from the payload's first octet on, after any frame", () => {
    const keys = [KEY, [0, 0, 0, 0], [255, 255, 255, 255], [0, 0, 0, 0x80], [1, 2, 3, 4]] as const;
    const payloads = keys.map((_, i) => pattern(30 + i, i));
    const bytes = concat(...keys.map((key, i) => frame({ opcode: 2, payload: payloads[i], key })));
    expectBytes(
      "server",
      bytes,
      payloads.map((payload) => `binary ${show(payload)}`),
    );
  });
});

describe("fragments", () => {
  test("of a text and of a binary message are joined", () => {
    const parts = [utf8("Gr"), hex("c3"), hex("bc"), hex(""), utf8("ße")];
    const frames = parts.map((payload, i) => ({ opcode: i === 0 ? 1 : 0, fin: i === parts.length - 1, payload }));
    expectFrames(frames, [`text ${toHex(utf8("Grüße"))}`]);
    const large = [pattern(3000), pattern(1), pattern(300, 2)];
    expectFrames(
      large.map((payload, i) => ({ opcode: i === 0 ? 2 : 0, fin: i === 2, payload })),
      [`binary ${show(concat(...large))}`],
    );
  });

  test("may all be empty", () => {
    for (const [opcode, type] of [
      [1, "text"],
      [2, "binary"],
    ] as const) {
      expectFrames([{ opcode, fin: false }, { opcode: 0 }], [type]);
      expectFrames([{ opcode, fin: false }, { opcode: 0, fin: false }, { opcode: 0 }, { opcode }], [type, type]);
      expectFrames(
        [
          { opcode, fin: false },
          { opcode: 0, payload: hex("61") },
        ],
        [`${type} 61`],
      );
      expectFrames([{ opcode, fin: false, payload: hex("61") }, { opcode: 0 }], [`${type} 61`]);
    }
  });

  test("may have control frames between them", () => {
    expectFrames(
      [
        { opcode: 9, payload: hex("01") },
        { opcode: 1, fin: false, payload: hex("e2") },
        { opcode: 9, payload: hex("ff") },
        { opcode: 10 },
        { opcode: 0, fin: false, payload: hex("82") },
        { opcode: 9, payload: pattern(125) },
        { opcode: 0, payload: hex("ac") },
        { opcode: 2, payload: hex("02") },
        { opcode: 10, payload: hex("03") },
      ],
      ["ping 01", "ping ff", "pong", `ping ${show(pattern(125))}`, "text e282ac", "binary 02", "pong 03"],
    );
  });

  test("continue only a started message", () => {
    expectFrames([{ opcode: 0, payload: hex("61") }], ["error UNEXPECTED_CONTINUATION"]);
    expectFrames([{ opcode: 0, fin: false }], ["error UNEXPECTED_CONTINUATION"]);
    expectFrames([{ opcode: 1, payload: hex("61") }, { opcode: 0 }], ["text 61", "error UNEXPECTED_CONTINUATION"]);
    expectFrames(
      [{ opcode: 2, fin: false }, { opcode: 0 }, { opcode: 0 }],
      ["binary", "error UNEXPECTED_CONTINUATION"],
    );
    expectFrames([{ opcode: 9 }, { opcode: 0 }], ["ping", "error UNEXPECTED_CONTINUATION"]);
  });

  test("are not interrupted by another message", () => {
    for (const opcode of [1, 2]) {
      for (const fin of [true, false]) {
        expectFrames(
          [
            { opcode: 1, fin: false, payload: hex("61") },
            { opcode, fin },
          ],
          ["error EXPECTED_CONTINUATION"],
        );
        expectFrames(
          [{ opcode: 2, fin: false }, { opcode: 10 }, { opcode: 0, fin: false }, { opcode, fin }],
          ["pong", "error EXPECTED_CONTINUATION"],
        );
      }
    }
  });
});

describe("control frames", () => {
  for (const [opcode, name] of [
    [8, "close"],
    [9, "ping"],
    [10, "pong"],
  ] as const) {
    test(`${name}: 0 to 125 bytes`, () => {
      for (const length of [0, 1, 2, 4, 124, 125]) {
        const payload = pattern(length);
        expectFrames([{ opcode, payload }], [`${name} ${show(payload)}`.trimEnd()]);
      }
    });

    test(`${name}: longer ones are rejected at their header`, () => {
      for (const declared of [126n, 127n, 65535n, 65536n, 2n ** 63n]) {
        expectFrames([{ opcode, declared }], ["error CONTROL_TOO_LONG"]);
      }
      expectFrames([{ opcode, declared: 5n, form: 16 }], ["error CONTROL_TOO_LONG"]);
      expectFrames([{ opcode, declared: 5n, form: 64 }], ["error CONTROL_TOO_LONG"]);
    });

    test(`${name}: not fragmented`, () => {
      expectFrames([{ opcode, fin: false, payload: hex("61") }], ["error FRAGMENTED_CONTROL"]);
      expectFrames(
        [
          { opcode: 1, fin: false },
          { opcode, fin: false },
        ],
        ["error FRAGMENTED_CONTROL"],
      );
    });
  }
});

describe("a receiver", () => {
  test("delivers many messages of one chunk, in order, and none of them changes", () => {
    const frames: FrameSpec[] = [];
    const expected: string[] = [];
    for (let i = 0; i < 300; i++) {
      const payload = pattern((i * 37) % 200, i);
      frames.push({ opcode: 2, payload });
      expected.push(`binary ${show(payload)}`.trimEnd());
    }
    for (const role of ROLES) {
      const bytes = framesTo(role, frames);
      assert.deepEqual(listen(role, [bytes]).log, expected);
      const chunks = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_, i) =>
        bytes.subarray(1000 * i, 1000 * i + 1000),
      );
      assert.deepEqual(listen(role, chunks).log, expected);
    }
  });

  test("shares the memory of small messages without mixing them", () => {
    const first = newReceiver("server");
    const second = newReceiver("client");
    const expected: [string[], string[]] = [[], []];
    for (let i = 0; i < 500; i++) {
      [first, second].forEach(({ receiver }, which) => {
        const payload = pattern((i * 53) % 400, 2 * i + which);
        const bytes = frame({ opcode: 2, payload, key: which === 0 ? KEY : undefined });
        expected[which].push(`binary ${show(payload)}`.trimEnd());
        assert.equal(receiver.receive(bytes, 0, bytes.length), undefined);
      });
    }
    assert.deepEqual([first.listener.log, second.listener.log], expected);
  });

  test("shares it so that unread messages stay unchanged", () => {
    const receivers = [newReceiver("server"), newReceiver("client")];
    const kept: { message: Message; payload: Uint8Array }[] = [];
    const payloads = Array.from({ length: 2000 }, (_, i) => pattern((i * 53) % (i % 7 === 0 ? 2100 : 300), i));
    for (const [i, payload] of payloads.entries()) {
      const { receiver, listener } = receivers[i % 2];
      listener.onMessage = (message) => kept.push({ message, payload });
      const bytes = frame({ opcode: 2, payload, key: i % 2 === 0 ? KEY : undefined });
      const chunk = concat(new Uint8Array(i % 5), bytes);
      assert.equal(receiver.receive(chunk, i % 5, chunk.length), undefined);
    }
    assert.equal(kept.length, payloads.length);
    for (const { message, payload } of kept) assert.equal(show(message.bytes), show(payload));
  });

  test("reuses the memory of large ones after release, and never shared memory", () => {
    for (const role of ROLES) {
      const { receiver, listener } = newReceiver(role);
      const kept: Message[] = [];
      listener.onMessage = (message) => kept.push(message);
      const pieces = (): readonly Uint8Array[] => {
        const message = kept.pop();
        assert.ok(message !== undefined);
        return recyclable(message);
      };
      for (const size of [0, 1, 256, 257, 2048]) {
        const bytes = framesTo(role, [{ opcode: 2, payload: pattern(size) }]);
        receiver.receive(bytes, 0, bytes.length);
        assert.deepEqual(pieces(), [], `${size} bytes`);
      }
      const large = framesTo(role, [{ opcode: 2, payload: pattern(5000) }]);
      for (const cut of [0, 4999]) {
        receiver.receive(large, 0, cut);
        receiver.receive(large, cut, large.length);
        assert.equal(pieces().length, cut === 0 ? 1 : 2);
      }
      // in fragments, but in one piece
      const first = framesTo(role, [{ opcode: 2, fin: false, payload: pattern(200) }]);
      const second = framesTo(role, [{ opcode: 0 }]);
      receiver.receive(concat(first, second), 0, first.length + second.length);
      assert.equal(pieces().length, 1);
    }
  });

  test("shows nothing of its memory's earlier contents before a message", () => {
    allocatedBy(() => {
      // memory that is not zero
      for (let offset = 0; offset < 4; offset++) {
        const { receiver, listener } = newReceiver("client");
        const chunk = concat(new Uint8Array(offset), frame({ opcode: 2, payload: pattern(3000) }));
        receiver.receive(chunk, offset, chunk.length);
        const { bytes } = listener.messages[0];
        assert.equal(bytes.byteOffset, offset); // the header has four bytes
        assert.deepEqual(new Uint8Array(bytes.buffer, 0, offset), new Uint8Array(offset));
        assert.equal(show(bytes), show(pattern(3000)));
      }
    });
  });

  test("shares it efficiently: a thousand messages of 100 bytes take at most 14 times 8 KiB", () => {
    const allocated = allocatedBy(() => {
      const { receiver, listener } = newReceiver("server");
      listener.onMessage = () => undefined;
      for (let i = 0; i < 1000; i++) {
        const chunk = concat(new Uint8Array(i % 4), frame({ opcode: 2, payload: pattern(100), key: KEY }));
        receiver.receive(chunk, i % 4, chunk.length);
      }
    });
    assert.ok(allocated > 0 && allocated <= 14 * 8192, `${allocated} bytes`);
  });

  test("may be reset within a message", () => {
    // as with a memory pipe: the answer to a message is received within the message's own receive
    // call
    const inner = newReceiver("client");
    class Nested extends Listener {
      override onMessage(message: Parameters<Listener["onMessage"]>[0]): void {
        const answer = frame({ opcode: 2, payload: Uint8Array.from(message.bytes).reverse() });
        inner.receiver.receive(answer, 0, answer.length);
        super.onMessage(message);
      }
    }
    const outer = new Nested();
    const receiver = new Receiver(memory(), { ...RECEIVER_DEFAULTS, role: "server" }, TO_LISTENER, outer);
    const payloads = [1, 30, 500, 2048, 5000].map((length) => pattern(length, length));
    const bytes = framesTo(
      "server",
      payloads.map((payload) => ({ opcode: 2, payload })),
    );
    receiver.receive(bytes, 0, bytes.length);
    assert.deepEqual(
      outer.log,
      payloads.map((payload) => `binary ${show(payload)}`),
    );
    assert.deepEqual(
      inner.listener.log,
      payloads.map((payload) => `binary ${show(payload.toReversed())}`),
    );
  });

  test("separates messages from the chunk and from each other, in buffers of their size", () => {
    for (const role of ROLES) {
      for (const size of [0, 1, 100, 1024, 1025, 2047, 2048, 2049, 10_000, 100_000]) {
        const bytes = framesTo(role, [{ opcode: 2, payload: pattern(size) }]);
        for (const chunks of [[bytes], [bytes.subarray(0, 30), bytes.subarray(30)]]) {
          const [message] = listen(role, chunks).messages;
          const { buffer, byteOffset, length } = message.bytes;
          assert.ok(buffer.byteLength <= size + 3, `${buffer.byteLength} bytes for ${size}`);
          assert.equal(byteOffset + length, buffer.byteLength);
          assert.deepEqual(new Uint8Array(buffer, 0, byteOffset), new Uint8Array(byteOffset));
        }
      }
    }
  });

  test("reports how much it keeps of an incomplete message", () => {
    const { receiver } = newReceiver("client");
    const feed = (bytes: Uint8Array): number => {
      assert.equal(receiver.receive(bytes, 0, bytes.length), undefined);
      return receiver.pendingSize;
    };
    assert.equal(receiver.pendingSize, 0);
    assert.equal(feed(frame({ opcode: 2, fin: false, payload: pattern(500) })), 500);
    assert.equal(feed(frame({ opcode: 9, payload: pattern(50) })), 500);
    assert.equal(feed(frame({ opcode: 0, payload: pattern(1000), declared: 1200n })), 1500);
    assert.equal(feed(pattern(200)), 0);
  });

  test("accepts nothing after an error, or once it is stopped, and keeps nothing", () => {
    for (const role of ROLES) {
      const { receiver, listener } = newReceiver(role);
      const begun = framesTo(role, [{ opcode: 2, fin: false, payload: pattern(100) }]);
      const broken = framesTo(role, [{ opcode: 3 }, { opcode: 9 }]);
      receiver.receive(begun, 0, begun.length);
      assert.equal(receiver.pendingSize, 100);
      assert.equal(receiver.receive(broken, 0, broken.length)?.code, "INVALID_OPCODE");
      assert.equal(receiver.pendingSize, 0);
      assert.equal(receiver.receive(broken, 0, broken.length), undefined);
      assert.deepEqual(listener.log, []);

      const other = newReceiver(role);
      other.receiver.receive(begun, 0, begun.length);
      other.receiver.stop();
      assert.equal(other.receiver.pendingSize, 0);
      other.receiver.receive(broken, 0, broken.length);
      assert.deepEqual(other.listener.log, []);
    }
  });

  test("stops after the frame in which it is stopped", () => {
    for (const role of ROLES) {
      const bytes = framesTo(role, [
        { opcode: 1, payload: utf8("one") },
        { opcode: 9 },
        { opcode: 1, payload: utf8("two") },
        { opcode: 3 },
      ]);
      for (let stopAt = 1; stopAt <= 3; stopAt++) {
        const { receiver, listener } = newReceiver(role);
        const count = (): void => {
          if (listener.log.length === stopAt) receiver.stop();
        };
        const { onMessage, onPing } = Listener.prototype;
        listener.onMessage = (message) => {
          onMessage.call(listener, message);
          count();
        };
        listener.onPing = (payload) => {
          onPing.call(listener, payload);
          count();
        };
        assert.equal(receiver.receive(bytes, 0, bytes.length), undefined);
        assert.deepEqual(listener.log, ["text 6f6e65", "ping", "text 74776f"].slice(0, stopAt));
      }
    }
  });

  test("reads only the given part of a chunk", () => {
    for (const role of ROLES) {
      const key = keyTo(role);
      const bytes = concat(
        frame({ opcode: 1, payload: utf8("before"), key }),
        frame({ opcode: 1, payload: utf8("this"), key }),
        frame({ opcode: 1, payload: utf8("after"), key }),
      );
      const { receiver, listener } = newReceiver(role);
      const start = frame({ opcode: 1, payload: utf8("before"), key }).length;
      const end = start + frame({ opcode: 1, payload: utf8("this"), key }).length;
      receiver.receive(bytes, start, start);
      receiver.receive(bytes, start, end);
      assert.deepEqual(listener.log, [`text ${toHex(utf8("this"))}`]);
    }
  });
});
