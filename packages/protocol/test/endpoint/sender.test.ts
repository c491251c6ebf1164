import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { OPCODE } from "../../src/frames/frame.ts";
import { Message } from "../../src/messages/message.ts";
import type { Output } from "../../src/endpoint/output.ts";
import { PreparedMessage } from "../../src/messages/prepared.ts";
import type { Sender } from "../../src/endpoint/sender.ts";
import { hex, pattern, show, toHex, utf8 } from "../support/bytes.ts";
import { cut } from "../support/chunks.ts";
import { type Frame, KEY, type Role, ROLES } from "../support/frames.ts";
import { drain, drainFrames, joined, keysOf, showFrame } from "../support/sent.ts";
import { allocatedBy, newMessage, newOutput, newSender } from "../support/runtime.ts";
import fc from "fast-check";
import { MaskingKeys } from "../../src/frames/masking-keys.ts";
import type { Data } from "../../src/messages/data.ts";

const SENDER = newSender(undefined, 1000);

function senderFor(role: Role, maxFrameSize = 1 << 24): { sender: Sender; output: Output } {
  const output = newOutput();
  return { output, sender: newSender(keysOf(role), maxFrameSize) };
}

/** Returns what a role sends for one message. */
function sent(role: Role, data: Data, maxFrameSize?: number): Frame[] {
  const { sender, output } = senderFor(role, maxFrameSize);
  const before = data instanceof Uint8Array ? Uint8Array.from(data) : undefined;
  sender.message(output, data);
  assert.equal(output.size, sender.encodedSize(SENDER.payloadSize(data)));
  const frames = drainFrames(output, role);
  if (before !== undefined) assert.deepEqual(data, before, "the caller's bytes are as they were");
  return frames;
}

const ascii = (length: number): string => "abcdefghij".repeat(length / 10 + 1).slice(0, length);

/** A payload in every accepted form, text included. */
function forms(length: number): [string, Data, "text" | "binary", Uint8Array][] {
  const text = ascii(length);
  const bytes = pattern(length);
  const around = new Uint8Array(length + 5);
  around.set(bytes, 2);
  const pieces = cut(bytes, [0, 3, length >> 1]);
  return [
    ["text", text, "text", utf8(text)],
    ["bytes", bytes, "binary", bytes],
    ["bytes inside a buffer", around.subarray(2, 2 + length), "binary", bytes],
    ["a message", newMessage("text", around, 2, length), "text", bytes],
    ["a message in pieces", newMessage("binary", new Uint8Array(0), 0, length, pieces), "binary", bytes],
    ["a prepared text", new PreparedMessage(text), "text", utf8(text)],
    ["prepared bytes", new PreparedMessage(bytes), "binary", bytes],
    ["prepared bytes of text", new PreparedMessage(utf8(text), { type: "text" }), "text", utf8(text)],
  ];
}

describe("the examples of RFC 6455 §5.7, sent", () => {
  test("a text message in one unmasked frame", () => {
    const { sender, output } = senderFor("server");
    sender.message(output, "Hello");
    assert.equal(toHex(drain(output)), "810548656c6c6f");
  });
  test("a text message in one masked frame", () => {
    const output = newOutput();
    newSender(new MaskingKeys((target) => target.set(KEY)), 100).message(output, "Hello");
    assert.equal(toHex(drain(output)), "818537fa213d7f9f4d5158");
  });
  test("a text message in two fragments", () => {
    const { sender, output } = senderFor("server");
    sender.begin(output, "text");
    sender.fragment(output, utf8("Hel"), false);
    sender.fragment(output, utf8("lo"), true);
    assert.equal(toHex(drain(output)), "010348656c80026c6f");
  });
  test("a ping, and a masked pong", () => {
    const { sender, output } = senderFor("server");
    sender.control(output, OPCODE.PING, utf8("Hello"));
    assert.equal(toHex(drain(output)), "890548656c6c6f");
    newSender(new MaskingKeys((target) => target.set(KEY)), 100).control(output, OPCODE.PONG, utf8("Hello"));
    assert.equal(toHex(drain(output)), "8a8537fa213d7f9f4d5158");
  });
  test("256 bytes and 64 KiB in one frame", () => {
    const { sender, output } = senderFor("server");
    sender.message(output, pattern(256));
    assert.equal(toHex(drain(output).subarray(0, 4)), "827e0100");
    sender.message(output, pattern(65536));
    assert.equal(toHex(drain(output).subarray(0, 10)), "827f0000000000010000");
  });
});

describe("a message", () => {
  for (const length of [0, 1, 13, 14, 40, 41, 125, 126, 127, 4095, 4096, 4097, 65535, 65536, 65537]) {
    test(`of ${length} bytes, given in any form, is one frame`, () => {
      for (const role of ROLES) {
        for (const [name, data, type, payload] of forms(length)) {
          const expected = [`${type} ${show(payload)}`.trimEnd(), "fin"].join(" ");
          assert.deepEqual(sent(role, data).map(showFrame), [expected], `${role}, ${name}`);
        }
      }
    });
  }

  test("of text is UTF-8, at the lengths at which the header grows", () => {
    for (const role of ROLES) {
      for (const unit of ["a", "é", "€", "😀", "\ud800"]) {
        for (const count of [1, 13, 20, 39, 40, 41, 42, 62, 63, 64, 125, 126, 127, 1365, 1366, 2048, 2049]) {
          const text = unit.repeat(count);
          const [only, ...others] = sent(role, text);
          assert.deepEqual(others, []);
          assert.deepEqual(only.payload, utf8(text), `${count} of ${unit}`);
        }
      }
    }
  });
});

describe("many messages", () => {
  for (const role of ROLES) {
    test(`of a ${role} that wait together are all sent, in order, in any form`, () => {
      const { sender, output } = senderFor(role);
      const expected: string[] = [];
      // far more than a block, with block ends at many offsets
      for (let i = 0; i < 1500; i++) {
        const all = forms((i * 7) % 130);
        const [, data, type, payload] = all[i % all.length];
        sender.message(output, data);
        expected.push([`${type} ${show(payload)}`.trimEnd(), "fin"].join(" "));
      }
      assert.deepEqual(drainFrames(output, role).map(showFrame), expected);
      for (const part of [ascii(40), ascii(41), pattern(4096), newMessage("text", utf8(ascii(4096)), 0, 4096)]) {
        for (let i = 0; i < 500; i++) sender.message(output, part);
        const frames = drainFrames(output, role);
        assert.equal(frames.length, 500);
        const payload = typeof part === "string" ? utf8(part) : part instanceof Message ? part.bytes : part;
        for (const each of frames) assert.equal(show(each.payload), show(payload));
      }
    });

    test(`of a ${role} that are small cost no memory except their blocks`, () => {
      const { sender, output } = senderFor(role);
      sender.control(output, OPCODE.PING, hex("00"));
      drain(output); // now there is a pooled block
      const small = [ascii(5), ascii(41), ascii(4096), pattern(4096), newMessage("text", utf8("a"), 0, 1)];
      const large = new PreparedMessage(pattern(100));
      const allocated = allocatedBy(() => {
        for (const data of small) {
          sender.message(output, data);
          drain(output);
        }
        sender.message(output, large);
        drain(output);
        sender.control(output, OPCODE.PONG, pattern(125));
        drain(output);
      });
      assert.equal(allocated, 0);
    });
  }
});

describe("frames larger than maxFrameSize", () => {
  for (const limit of [1, 2, 3, 10, 119, 120, 125, 126, 1000, 5000]) {
    test(`are not sent: a limit of ${limit}`, () => {
      for (const role of ROLES) {
        for (const length of new Set([0, 1, limit - 1, limit, limit + 1, 2 * limit - 1, 2 * limit, 2 * limit + 1])) {
          for (const [name, data, type, payload] of forms(length)) {
            const frames = sent(role, data, limit);
            const what = `${role}, ${length} bytes, ${name}`;
            assert.deepEqual(joined(frames), payload, what);
            assert.equal(frames.length, Math.max(1, Math.ceil(length / limit)), what);
            frames.forEach((each, i) => {
              assert.ok(each.payload.length <= limit, what);
              assert.equal(each.opcode, i > 0 ? 0 : type === "text" ? 1 : 2, what);
              assert.equal(each.fin, i === frames.length - 1, what);
              assert.equal(each.rsv, 0, what);
            });
          }
        }
      }
    });
  }

  test("are not sent for short text either, whose bytes are not counted before", () => {
    for (const role of ROLES) {
      for (const unit of ["a", "é", "€"]) {
        for (let count = 0; count <= 45; count++) {
          for (const limit of [1, 7, 39, 40, 41, 80, 119, 120, 121]) {
            const frames = sent(role, unit.repeat(count), limit);
            assert.ok(frames.every((each) => each.payload.length <= limit));
            assert.deepEqual(joined(frames), utf8(unit.repeat(count)));
          }
        }
      }
    }
  });
});

describe("compressed payloads", () => {
  test("have RSV1 on their first frame only", () => {
    for (const role of ROLES) {
      for (const [type, opcode] of [
        ["text", 1],
        ["binary", 2],
      ] as const) {
        const { sender, output } = senderFor(role, 4);
        sender.payloadOf(output, type, hex("010203040506"), true);
        sender.payloadOf(output, type, hex("07"), false);
        const summary = drainFrames(output, role).map((each) => [each.opcode, each.rsv, each.fin, toHex(each.payload)]);
        assert.deepEqual(summary, [
          [opcode, 4, false, "01020304"],
          [0, 0, true, "0506"],
          [opcode, 0, true, "07"],
        ]);
      }
    }
  });

  test("have it on the first frame of a fragmented message", () => {
    for (const role of ROLES) {
      const { sender, output } = senderFor(role, 2);
      sender.begin(output, "text", true);
      sender.fragment(output, hex("010203"), false);
      sender.fragment(output, hex("04"), true);
      sender.begin(output, "text");
      sender.fragment(output, hex("05"), true);
      assert.deepEqual(drainFrames(output, role).map(showFrame), [
        "text 0102 rsv 4",
        "continuation 03",
        "continuation 04 fin",
        "text 05 fin",
      ]);
    }
  });

  test("keep it if they were prepared, by either role and in several frames", () => {
    const message = new PreparedMessage(hex("010203040506"), { type: "text", compressed: true });
    for (const role of ROLES) {
      assert.deepEqual(sent(role, message).map(showFrame), ["text 010203040506 rsv 4 fin"]);
      assert.deepEqual(sent(role, message, 4).map(showFrame), ["text 01020304 rsv 4", "continuation 0506 fin"]);
    }
  });
});

describe("a fragmented message", () => {
  for (const role of ROLES) {
    test(`from a ${role}: frame by frame, with control frames between`, () => {
      const { sender, output } = senderFor(role);
      assert.equal(output.inMessage, false);
      sender.begin(output, "text");
      assert.equal(output.inMessage, true);
      assert.equal(output.size, 0, "nothing goes out before there is something");
      sender.control(output, OPCODE.PING, hex("aa"));
      sender.fragment(output, utf8("a"), false);
      sender.fragment(output, new Uint8Array(0), false);
      sender.control(output, OPCODE.PONG, hex("bb"));
      sender.fragment(output, pattern(5000), false);
      assert.equal(output.inMessage, true);
      sender.fragment(output, utf8("z"), true);
      assert.equal(output.inMessage, false);
      sender.message(output, "next");
      assert.deepEqual(drainFrames(output, role).map(showFrame), [
        "ping aa fin",
        "text 61",
        "continuation",
        "pong bb fin",
        `continuation ${show(pattern(5000))}`,
        "continuation 7a fin",
        "text 6e657874 fin",
      ]);
    });

    test(`from a ${role}: of one fragment, of none, and of empty ones`, () => {
      const { sender, output } = senderFor(role);
      sender.begin(output, "binary");
      sender.fragment(output, hex("01"), true);
      sender.begin(output, "binary");
      sender.fragment(output, hex(""), true);
      sender.begin(output, "text");
      sender.fragment(output, hex(""), false);
      sender.fragment(output, hex(""), true);
      assert.deepEqual(drainFrames(output, role).map(showFrame), [
        "binary 01 fin",
        "binary fin",
        "text",
        "continuation fin",
      ]);
    });

    test(`from a ${role}: a fragment larger than maxFrameSize becomes several`, () => {
      const { sender, output } = senderFor(role, 2);
      sender.begin(output, "binary");
      sender.fragment(output, hex("0102030405"), false);
      sender.fragment(output, hex("060708"), true);
      assert.deepEqual(drainFrames(output, role).map(showFrame), [
        "binary 0102",
        "continuation 0304",
        "continuation 05",
        "continuation 0607",
        "continuation 08 fin",
      ]);
    });

    test(`from a ${role}: no other message interrupts it, and no fragment is sent without one`, () => {
      const { sender, output } = senderFor(role);
      assert.throws(() => sender.fragment(output, hex("01"), true), { code: "NO_MESSAGE_IN_PROGRESS", fault: "local" });
      sender.begin(output, "text");
      const between: (() => void)[] = [
        () => sender.message(output, "no"),
        () => sender.message(output, hex("01")),
        () => sender.payloadOf(output, "text", hex("01"), false),
        () => sender.begin(output, "binary"),
      ];
      for (const state of [false, true]) {
        if (state) sender.fragment(output, hex("01"), false);
        for (const call of between) assert.throws(call, { code: "MESSAGE_IN_PROGRESS", fault: "local" });
      }
      sender.fragment(output, hex("02"), true);
      assert.throws(() => sender.fragment(output, hex("03"), true), { code: "NO_MESSAGE_IN_PROGRESS" });
      assert.deepEqual(drainFrames(output, role).map(showFrame), ["text 01", "continuation 02 fin"]);
    });
  }
});

describe("a client's masking", () => {
  test("takes its keys from the source, one a frame, in order", () => {
    const { sender, output } = senderFor("client", 4100);
    sender.message(output, "short");
    sender.message(output, pattern(9000));
    sender.message(output, newMessage("text", utf8("received"), 0, 8));
    sender.message(output, new PreparedMessage("prepared"));
    sender.control(output, OPCODE.PING, hex("01"));
    sender.message(output, ascii(4099));
    sender.begin(output, "text");
    sender.fragment(output, hex("61"), true);
    const keys = drainFrames(output, "client").map(({ key }) => key);
    assert.deepEqual(
      keys,
      keys.map((_, i) => [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]),
    );
    assert.equal(keys.length, 9);
  });

  test("does not change the caller's bytes, at any size and alignment", () => {
    const { sender, output } = senderFor("client");
    for (const length of [1, 30, 4096, 4097, 70_000]) {
      const buffer = pattern(length + 8);
      const before = Uint8Array.from(buffer);
      for (let offset = 0; offset < 4; offset++) {
        const payload = buffer.subarray(offset, offset + length);
        sender.message(output, payload);
        sender.message(output, new PreparedMessage(payload));
        sender.message(output, newMessage("binary", buffer, offset, length));
        sender.begin(output, "binary");
        sender.fragment(output, payload, true);
        for (const frame of drainFrames(output, "client")) assert.equal(show(frame.payload), show(payload));
        assert.deepEqual(buffer, before);
      }
    }
  });

  test("sends nothing when there is no randomness", () => {
    let broken = true;
    const output = newOutput();
    const keys = new MaskingKeys((target) => {
      if (broken) throw new Error("no randomness");
      target.fill(1);
    });
    const sender = newSender(keys, 1000);
    for (const data of ["text", pattern(10), pattern(5000), newMessage("text", utf8("a"), 0, 1)]) {
      assert.throws(() => sender.message(output, data), /no randomness/);
    }
    sender.begin(output, "binary");
    assert.throws(() => sender.fragment(output, hex("01"), true), /no randomness/);
    assert.equal(output.size, 0);
    broken = false;
    sender.fragment(output, hex("02"), true);
    assert.deepEqual(drainFrames(output, "client").map(showFrame), ["binary 02 fin"]);
  });
});

describe("a server's large payloads", () => {
  test("are passed on without a copy", () => {
    const { sender, output } = senderFor("server");
    const payload = pattern(4097);
    const pieces = [pattern(5000), pattern(6000)];
    sender.message(output, payload);
    sender.message(output, newMessage("binary", new Uint8Array(0), 0, 11_000, pieces));
    const taken = output.take();
    for (const piece of [payload, ...pieces]) assert.ok(taken.pieces.includes(piece as never));
  });
});

describe("a frame at the end of a block", () => {
  const BLOCK = 16 * 1024;
  const FULL = pattern(4096);
  const LARGE = pattern(4097);
  const sends: [string, (sender: Sender, output: Output) => void, expected: string][] = [
    [
      "a text",
      (sender, output) => sender.message(output, "twenty bytes of text"),
      `text ${toHex(utf8("twenty bytes of text"))} fin`,
    ],
    ["a long text", (sender, output) => sender.message(output, ascii(50)), `text ${toHex(utf8(ascii(50)))} fin`],
    ["bytes", (sender, output) => sender.message(output, pattern(20)), `binary ${toHex(pattern(20))} fin`],
    [
      "a message",
      (sender, output) => sender.message(output, newMessage("text", pattern(20), 0, 20)),
      `text ${toHex(pattern(20))} fin`,
    ],
    [
      "a prepared one",
      (sender, output) => sender.message(output, new PreparedMessage(pattern(20))),
      `binary ${toHex(pattern(20))} fin`,
    ],
    ["a ping", (sender, output) => sender.control(output, OPCODE.PING, pattern(20)), `ping ${toHex(pattern(20))} fin`],
    ["large bytes", (sender, output) => sender.message(output, LARGE), `binary ${show(LARGE)} fin`],
    [
      "a large message",
      (sender, output) => sender.message(output, newMessage("text", LARGE, 0, 4097)),
      `text ${show(LARGE)} fin`,
    ],
  ];
  for (const role of ROLES) {
    for (const [what, send, expected] of sends) {
      test(`is complete, wherever the block ends: ${what}, from a ${role}`, () => {
        const header = role === "client" ? 8 : 4;
        for (let gap = 0; gap < 70; gap++) {
          const { sender, output } = senderFor(role);
          for (let i = 0; i < 3; i++) sender.message(output, FULL);
          sender.message(output, FULL.subarray(0, 4096 - 4 * header - gap));
          assert.equal(output.size, BLOCK - gap);
          send(sender, output);
          sender.control(output, OPCODE.PONG, hex("01"));
          const frames = drainFrames(output, role).slice(4).map(showFrame);
          assert.deepEqual(frames, [expected, "pong 01 fin"], `${gap} bytes before the end`);
        }
      });
    }
  }
});

describe("a server's prepared message", () => {
  test("is passed on as the shared frame, if one frame may be that large", () => {
    for (const [limit, shared] of [
      [9999, false],
      [10_000, true],
      [10_001, true],
    ] as const) {
      const { sender, output } = senderFor("server", limit);
      const message = new PreparedMessage(pattern(10_000));
      sender.message(output, message);
      assert.equal(output.take().pieces === message.frame, shared, `a limit of ${limit}`);
    }
  });
});

describe("an invalid value", () => {
  const NO_DATA = [
    undefined,
    null,
    5,
    true,
    {},
    [],
    new ArrayBuffer(4),
    new DataView(new ArrayBuffer(4)),
    new Int32Array(1),
    Symbol("s"),
  ];
  for (const role of ROLES) {
    test(`is rejected with the expected and the given one, and a ${role} continues unchanged`, () => {
      const { sender, output } = senderFor(role);
      for (const data of NO_DATA as unknown as Uint8Array[]) {
        assert.throws(() => sender.message(output, data), {
          code: "INVALID_ARGUMENT",
          message: /must be a string, .* got /,
        });
        assert.throws(() => SENDER.payloadSize(data), { code: "INVALID_ARGUMENT" });
        assert.throws(() => sender.payloadOf(output, "text", data, false), {
          code: "INVALID_ARGUMENT",
          message: /Uint8Array, got /,
        });
      }
      assert.throws(() => sender.payloadOf(output, "Text" as "text", hex("01"), false), { code: "INVALID_ARGUMENT" });
      assert.throws(() => sender.begin(output, "blob" as "text"), { code: "INVALID_ARGUMENT", message: /got "blob"/ });
      assert.equal(output.inMessage, false);
      sender.begin(output, "text");
      for (const data of ["text", ...NO_DATA] as unknown as Uint8Array[]) {
        assert.throws(() => sender.fragment(output, data, true), { code: "INVALID_ARGUMENT" });
      }
      assert.equal(output.inMessage, true);
      assert.equal(output.size, 0);
      sender.fragment(output, utf8("a"), true);
      assert.deepEqual(drainFrames(output, role).map(showFrame), ["text 61 fin"]);
    });
  }
});

test("the computed size equals the written size", () => {
  const length = fc.oneof(fc.nat(300), fc.constantFrom(4096, 4097, 65535, 65536, 70_000));
  const limit = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constantFrom(65535, 65536, Infinity));
  fc.assert(
    fc.property(fc.constantFrom(...ROLES), length, limit, (role, size, maxFrameSize) => {
      if (size / maxFrameSize > 5000) return;
      sent(role, pattern(size), maxFrameSize);
      sent(role, ascii(size), maxFrameSize);
    }),
    { numRuns: 100 },
  );
});
