import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PreparedMessage } from "../../src/messages/prepared.ts";
import { hex, pattern, show, toHex, utf8 } from "../support/bytes.ts";
import { readFrames } from "../support/frames.ts";
import { showFrame } from "../support/sent.ts";

describe("a prepared message", () => {
  for (const length of [0, 1, 125, 126, 127, 65535, 65536, 65537]) {
    test(`of ${length} bytes is one complete unmasked frame`, () => {
      const text = "a".repeat(length);
      const prepared = new PreparedMessage(text);
      assert.deepEqual(readFrames(prepared.frame).map(showFrame), [`text ${show(utf8(text))} fin`.replace("  ", " ")]);
      assert.deepEqual(prepared.payload, utf8(text));
      const bytes = new PreparedMessage(pattern(length));
      assert.deepEqual(readFrames(bytes.frame).map(showFrame), [
        `binary ${show(pattern(length))} fin`.replace("  ", " "),
      ]);
      assert.equal(bytes.frame.buffer.byteLength, bytes.frame.length);
    });
  }

  test("has the given type", () => {
    const { type, compressed, frame, payload } = new PreparedMessage(hex("010203"), { type: "text", compressed: true });
    assert.deepEqual([type, compressed, toHex(frame), toHex(payload)], ["text", true, "c103010203", "010203"]);
    assert.equal(new PreparedMessage("é").type, "text");
    assert.equal(new PreparedMessage("é").compressed, false);
    assert.equal(toHex(new PreparedMessage("é", { type: "binary" }).frame), "8202c3a9");
  });

  test("copies its source", () => {
    const bytes = pattern(100);
    const { payload } = new PreparedMessage(bytes);
    bytes.fill(0);
    assert.deepEqual(payload, pattern(100));
  });

  test("accepts only text or bytes", () => {
    for (const data of [undefined, null, 5, {}, [1], new ArrayBuffer(2)] as unknown as string[]) {
      assert.throws(() => new PreparedMessage(data), {
        code: "INVALID_ARGUMENT",
        message: /^a message must be a string or a Uint8Array, got /,
      });
    }
    assert.throws(() => new PreparedMessage("a", { type: "Text" as "text" }), {
      code: "INVALID_ARGUMENT",
      message: /^the type of a message must be "text" or "binary", got "Text"$/,
    });
  });
});

test("a text message is not prepared from bytes that are not UTF-8, unless they are compressed", () => {
  const bytes = Uint8Array.of(0xff);
  assert.throws(() => new PreparedMessage(bytes, { type: "text" }), {
    code: "INVALID_ARGUMENT",
    message: /^the payload of a text message must be UTF-8, got an object$/,
  });
  assert.equal(new PreparedMessage(bytes, { type: "text", compressed: true }).compressed, true);
});
