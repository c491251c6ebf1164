import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Output } from "../../src/endpoint/output.ts";
import { Chain, PreparedMessage } from "../../src/messages/prepared.ts";
import { concat, hex, pattern, show, toHex, utf8 } from "../support/bytes.ts";
import { readFrames } from "../support/frames.ts";
import { collectGarbage } from "../support/garbage.ts";
import { showFrame } from "../support/sent.ts";

describe("a prepared message", () => {
  for (const length of [0, 1, 125, 126, 127, 65535, 65536, 65537]) {
    test(`of ${length} bytes is one whole unmasked frame`, () => {
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

  test("is what it is told to be", () => {
    const { type, compressed, frame, payload } = new PreparedMessage(hex("010203"), { type: "text", compressed: true });
    assert.deepEqual([type, compressed, toHex(frame), toHex(payload)], ["text", true, "c103010203", "010203"]);
    assert.equal(new PreparedMessage("é").type, "text");
    assert.equal(new PreparedMessage("é").compressed, false);
    assert.equal(toHex(new PreparedMessage("é", { type: "binary" }).frame), "8202c3a9");
  });

  test("is a copy of what it was made from", () => {
    const bytes = pattern(100);
    const { payload } = new PreparedMessage(bytes);
    bytes.fill(0);
    assert.deepEqual(payload, pattern(100));
  });

  test("is made of nothing else than text or bytes", () => {
    for (const data of [undefined, null, 5, {}, [1], new ArrayBuffer(2)] as unknown as string[]) {
      assert.throws(() => new PreparedMessage(data), {
        code: "INVALID_ARGUMENT",
        message: /: a message: expected a string or a Uint8Array, got /,
      });
    }
    assert.throws(() => new PreparedMessage("a", { type: "Text" as "text" }), {
      code: "INVALID_ARGUMENT",
      message: /: the type of a message: expected "text" or "binary", got "Text"$/,
    });
  });
});

describe("a chain", () => {
  const messages = Array.from({ length: 6 }, (_, i) => new PreparedMessage(pattern(50 * (i + 1), i)));
  const [a, b, c, d] = messages;

  test("of one frame is that frame", () => {
    assert.equal(a.chain.pieces(), a.frame);
    assert.equal(a.chain.size, a.frame.length);
  });

  test("is the same for all who add the same frames, and joined once", () => {
    const first = a.chain.with(b.frame).with(c.frame);
    const second = a.chain.with(b.frame).with(c.frame);
    assert.equal(first, second);
    const bytes = first.pieces();
    assert.deepEqual(bytes, concat(a.frame, b.frame, c.frame));
    assert.equal(second.pieces(), bytes);
    assert.equal(a.chain.with(b.frame).with(c.frame).pieces(), bytes);
    assert.equal(first.size, bytes.length);
  });

  test("is the same for all connections of a broadcast, and another one for the next broadcast", () => {
    for (const { frame } of [b, c, b]) {
      const all = [1, 2, 3].map(() => a.chain.with(frame));
      assert.equal(new Set(all).size, 1);
      assert.deepEqual(all[0].pieces(), concat(a.frame, frame));
    }
    assert.notEqual(a.chain.with(b.frame), a.chain.with(c.frame));
    assert.notEqual(a.chain.with(b.frame), b.chain.with(b.frame));
  });

  test("is another one for other frames", () => {
    const abc = a.chain.with(b.frame).with(c.frame);
    const abd = a.chain.with(b.frame).with(d.frame);
    const acd = a.chain.with(c.frame).with(d.frame);
    assert.deepEqual(abc.pieces(), concat(a.frame, b.frame, c.frame));
    assert.deepEqual(abd.pieces(), concat(a.frame, b.frame, d.frame));
    assert.deepEqual(acd.pieces(), concat(a.frame, c.frame, d.frame));
    // the same frame twice is not the same chain
    assert.deepEqual(a.chain.with(a.frame).with(a.frame).pieces(), concat(a.frame, a.frame, a.frame));
  });

  test("is shared by groups that take turns", () => {
    // as when two rooms with the same beginning are written to one after the other, connection by connection
    const chains = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? a : b).chain.with(c.frame).with(d.frame));
    assert.equal(new Set(chains).size, 2);
    assert.equal(new Set(chains.map((chain) => chain.pieces())).size, 2);
  });

  test("is handed over in pieces where joining would be much", () => {
    for (const over of [0, 1]) {
      const half = pattern(64 * 1024);
      const pieces = new Chain(undefined, half).with(pattern(64 * 1024 + over, 2)).pieces();
      assert.equal(Array.isArray(pieces), over === 1, `128 KiB and ${over}`);
    }
    const large = new PreparedMessage(pattern(60_000));
    const two = large.chain.with(large.frame);
    assert.ok(!Array.isArray(two.pieces()));
    const three = two.with(large.frame).with(a.frame);
    assert.deepEqual(three.pieces(), [large.frame, large.frame, large.frame, a.frame]);
  });

  test("keeps nothing that only was behind it", async () => {
    const kept = new PreparedMessage("a constant");
    const gone = ((): WeakRef<Uint8Array> => {
      const output = new Output();
      output.appendPrepared(kept);
      const last = new PreparedMessage(pattern(1 << 20));
      output.appendPrepared(last);
      output.appendPrepared(last);
      output.clear();
      return new WeakRef(last.frame);
    })();
    await collectGarbage();
    assert.equal(gone.deref(), undefined);
    assert.ok(kept.chain instanceof Chain);
    assert.deepEqual(kept.chain.with(a.frame).pieces(), concat(kept.frame, a.frame));
  });
});

test("a text message is not prepared of bytes that are no UTF-8, unless they are compressed", () => {
  const bytes = Uint8Array.of(0xff);
  assert.throws(() => new PreparedMessage(bytes, { type: "text" }), {
    code: "INVALID_ARGUMENT",
    message: /: the payload of a text message: expected UTF-8, got an object$/,
  });
  assert.equal(new PreparedMessage(bytes, { type: "text", compressed: true }).compressed, true);
});
