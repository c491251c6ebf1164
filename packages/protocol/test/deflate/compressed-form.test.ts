import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compressedForm } from "../../src/deflate/compressed-form.ts";
import { inflatedMessage } from "../../src/deflate/inflated-message.ts";
import type { WindowBits } from "../../src/deflate/params.ts";
import { WebSocketError } from "../../src/errors.ts";
import { Message } from "../../src/messages/message.ts";
import { PreparedMessage } from "../../src/messages/prepared.ts";
import { hex, pattern, toHex } from "../support/bytes.ts";
import { allocatedBy, memory } from "../support/runtime.ts";

describe("a prepared message, compressed", () => {
  const HELLO = hex("f248cdc9c90700");

  test("is deflated once for each window", () => {
    const message = new PreparedMessage("Hello");
    const asked: WindowBits[] = [];
    const deflate = (payload: Uint8Array, windowBits: WindowBits) => {
      assert.equal(payload, message.payload);
      asked.push(windowBits);
      return HELLO;
    };
    const form = compressedForm(message, 15, deflate);
    assert.ok(form instanceof PreparedMessage);
    // RFC 7692 §7.2.3.1
    assert.equal(toHex(form.frame), "c107f248cdc9c90700");
    assert.equal(form.type, "text");
    assert.equal(compressedForm(message, 15, deflate), form);
    assert.notEqual(compressedForm(message, 8, deflate), form);
    assert.equal(compressedForm(message, 15, deflate), form);
    assert.deepEqual(asked, [15, 8]);
  });

  test("is the message itself if compression does not pay, which is decided once", () => {
    const message = new PreparedMessage(hex("0102"));
    let asked = 0;
    const deflate = () => {
      asked++;
      return undefined;
    };
    assert.equal(compressedForm(message, 9, deflate), message);
    assert.equal(compressedForm(message, 9, deflate), message);
    assert.equal(asked, 1);
  });

  test("is shared by all who request it while it is made", async () => {
    const message = new PreparedMessage(hex("0102"));
    let asked = 0;
    let finish: (bytes: Uint8Array | undefined) => void = () => {};
    const deflate = () => {
      asked++;
      return new Promise<Uint8Array | undefined>((resolve) => (finish = resolve));
    };
    const first = compressedForm(message, 9, deflate);
    assert.ok(first instanceof Promise);
    assert.equal(compressedForm(message, 9, deflate), first);
    finish(HELLO);
    const form = await first;
    assert.equal(toHex(form.frame), "c207f248cdc9c90700");
    assert.equal(compressedForm(message, 9, deflate), form);
    assert.equal(asked, 1);
  });
});

describe("an inflated message", () => {
  test("is not copied if it is large and the only user of its bytes", () => {
    const bytes = pattern(3000);
    const message = inflatedMessage(memory(), "binary", bytes, false);
    assert.ok(message instanceof Message);
    assert.equal(message.bytes.buffer, bytes.buffer);
  });

  test("of a part of other bytes shows nothing of the rest", () => {
    for (const size of [10, 3000]) {
      const message = inflatedMessage(memory(), "binary", pattern(9000).subarray(500, 500 + size), false);
      assert.ok(message instanceof Message);
      assert.equal(message.bytes.buffer.byteLength, size);
      assert.deepEqual(message.bytes, pattern(9000).slice(500, 500 + size));
    }
  });

  test("shares memory with others if it is small: 79 KiB of them take nine or ten times 8 KiB", () => {
    const messages: (Message | WebSocketError)[] = [];
    const allocated = allocatedBy(() => {
      for (let i = 0; i < 79; i++)
        messages.push(inflatedMessage(memory(), "binary", new Uint8Array(1024).fill(i), true));
    });
    assert.ok(allocated === 9 * 8192 || allocated === 10 * 8192, `${allocated} bytes`);
    for (const [i, message] of messages.entries()) {
      assert.ok(message instanceof Message);
      assert.deepEqual(message.bytes, new Uint8Array(1024).fill(i));
    }
  });

  const text = (size: number, last: number) => {
    const bytes = new Uint8Array(size).fill(0x61);
    bytes[size - 1] = last;
    return bytes;
  };

  for (const size of [1, 100, 2048, 2049, 100_000]) {
    test(`of ${size} bytes is validated if it is text, and keeps nothing borrowed`, () => {
      for (const borrowed of [true, false]) {
        const bytes = text(size, 0x62);
        const message = inflatedMessage(memory(), "text", bytes, borrowed);
        assert.ok(message instanceof Message);
        if (borrowed) bytes.fill(0x63);
        assert.equal(message.text, "a".repeat(size - 1) + "b");
        const refused = inflatedMessage(memory(), "text", text(size, 0xff), borrowed);
        assert.ok(refused instanceof WebSocketError);
        assert.equal(refused.code, "INVALID_UTF8");
        assert.match(refused.message, /: in a compressed message$/);
        assert.ok(inflatedMessage(memory(), "binary", text(size, 0xff), borrowed) instanceof Message);
      }
    });
  }
});
