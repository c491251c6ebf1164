import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isArgumentError } from "../../src/arguments.ts";
import { WebSocketError } from "../../src/errors.ts";
import { hex, pattern, utf8 } from "../support/bytes.ts";
import { Endpoint } from "../support/endpoint.ts";
import { type FrameSpec, ROLES } from "../support/frames.ts";

// The text of errors in logs: the detail after the table's text.

describe("errors describe the violation", () => {
  const said: readonly (readonly [frames: readonly FrameSpec[], code: string, detail: string])[] = [
    [[{ opcode: 3 }], "INVALID_OPCODE", "opcode 3"],
    [[{ opcode: 15 }], "INVALID_OPCODE", "opcode 15"],
    [[{ opcode: 2, payload: hex("01"), form: 16 }], "NON_MINIMAL_LENGTH", "1 in 16 bits"],
    [[{ opcode: 2, payload: hex("01"), form: 64 }], "NON_MINIMAL_LENGTH", "1 in 64 bits"],
    [[{ opcode: 2, payload: pattern(1001) }], "FRAME_TOO_BIG", "1001 bytes, limit 1000"],
    [
      [
        { opcode: 2, fin: false, payload: pattern(900) },
        { opcode: 0, payload: pattern(601) },
      ],
      "MESSAGE_TOO_BIG",
      "at least 1501 bytes, limit 1500",
    ],
    [[{ opcode: 1, payload: utf8("é").subarray(0, 1) }], "INVALID_UTF8", "the text ends inside a character"],
    [
      [
        { opcode: 1, fin: false, payload: utf8("aé").subarray(0, 2) },
        { opcode: 0, payload: hex("") },
      ],
      "INVALID_UTF8",
      "the text ends inside a character",
    ],
    [[{ opcode: 8, payload: hex("03e8ff") }], "INVALID_UTF8", "in the reason of a Close"],
    [[{ opcode: 8, payload: hex("03e7") }], "INVALID_CLOSE_CODE", "999"],
  ];
  for (const role of ROLES) {
    for (const [frames, code, detail] of said) {
      test(`${code}, to a ${role}: ${detail}`, () => {
        const end = new Endpoint(role, { maxFrameSize: 1000, maxMessageSize: 1500 });
        end.receive(...frames);
        assert.equal(end.code, code);
        assert.ok(end.protocol.error?.message.endsWith(`: ${detail}`), end.protocol.error?.message);
      });
    }
  }
});

test("text that no further byte can complete is reported as such", () => {
  for (const role of ROLES) {
    for (const payload of [hex("ff"), hex("6180"), hex("c341")]) {
      for (const fin of [true, false]) {
        const end = new Endpoint(role);
        end.receive({ opcode: 1, fin, payload });
        assert.equal(end.protocol.error?.message, "text that is not UTF-8");
      }
    }
  }
});

describe("errors of invalid calls name the expected and the given value", () => {
  const five = 5 as unknown as Uint8Array;
  const calls: readonly (readonly [what: string, call: (end: Endpoint) => void, code: string, detail: string])[] = [
    ["receive", ({ protocol }) => protocol.receive(five, 0), "INVALID_ARGUMENT", "a chunk must be a Uint8Array, got 5"],
    [
      "receive",
      ({ protocol }) => protocol.receive(pattern(4), 0, 1, 5),
      "INVALID_ARGUMENT",
      'the range of a chunk must be within 0 to 4, got "1 to 5"',
    ],
    [
      "send",
      ({ protocol }) => protocol.send(five),
      "INVALID_ARGUMENT",
      "a message must be a string, a Uint8Array, a Message or a PreparedMessage, got 5",
    ],
    [
      "sendPayload",
      ({ protocol }) => protocol.sendPayload("Text" as "text", pattern(1)),
      "INVALID_ARGUMENT",
      'the type of a message must be "text" or "binary", got "Text"',
    ],
    [
      "sendPayload",
      ({ protocol }) => protocol.sendPayload("text", five),
      "INVALID_ARGUMENT",
      "a payload must be a Uint8Array, got 5",
    ],
    [
      "beginMessage",
      ({ protocol }) => protocol.beginMessage("text", true),
      "INVALID_ARGUMENT",
      "the message must not be compressed on a connection without compression: prepare it without `compressed`",
    ],
    ["ping", ({ protocol }) => protocol.ping(five), "INVALID_ARGUMENT", "a ping's payload must be a Uint8Array, got 5"],
    [
      "ping",
      ({ protocol }) => protocol.ping(pattern(126)),
      "INVALID_ARGUMENT",
      "a ping's payload must be at most 125 bytes, got 126",
    ],
    ["pong", ({ protocol }) => protocol.pong(five), "INVALID_ARGUMENT", "a pong's payload must be a Uint8Array, got 5"],
    [
      "close",
      ({ protocol }) => protocol.close(999, "", 0),
      "INVALID_ARGUMENT",
      "a close code must be 1000 to 1014 (not 1004 to 1006) or 3000 to 4999, got 999",
    ],
    [
      "close",
      ({ protocol }) => protocol.close(1000, 5 as unknown as string, 0),
      "INVALID_ARGUMENT",
      "a close reason must be a string, got 5",
    ],
    [
      "close",
      ({ protocol }) => protocol.close(undefined, "bye", 0),
      "INVALID_ARGUMENT",
      'a close reason must be absent or empty without a close code, got "bye"',
    ],
    [
      "close",
      ({ protocol }) => protocol.close(1000, "é".repeat(62), 0),
      "INVALID_ARGUMENT",
      "a close reason must be at most 123 bytes of UTF-8, got 124",
    ],
    [
      "send",
      ({ protocol }) => {
        protocol.inTransit = 90;
        protocol.send(pattern(20));
      },
      "WRITE_BUFFER_FULL",
      "90 bytes are buffered, SIZE more would exceed 100",
    ],
    [
      "send",
      ({ protocol }) => {
        protocol.close(1000, "", 0);
        protocol.send("late");
      },
      "NOT_OPEN",
      'its state is "closing"',
    ],
  ];
  for (const role of ROLES) {
    for (const [what, call, code, detail] of calls) {
      const end = detail.replace("SIZE", role === "client" ? "26" : "22");
      test(`${what}, by a ${role}: ${end}`, () => {
        assert.throws(
          () => call(new Endpoint(role, { maxWriteBufferSize: 100 })),
          (error: Error & { code?: string }) => {
            assert.equal(error.code, code);
            if (code === "INVALID_ARGUMENT") {
              assert.ok(isArgumentError(error) && !(error instanceof WebSocketError));
              assert.equal(error.message, end);
            } else assert.ok(error.message.endsWith(`: ${end}`), error.message);
            return true;
          },
        );
      });
    }
  }

  test("of a silent peer it says for how long", () => {
    const end = new Endpoint("server", { heartbeat: { interval: 30, timeout: 10 } });
    end.protocol.start(0);
    end.protocol.handleTimeout(30);
    end.protocol.handleTimeout(40);
    assert.match(end.protocol.error?.message ?? "", /: nothing came for 40 ms$/);
  });
});
