import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { chainOf, PreparedMessage } from "../../src/messages/prepared.ts";
import { concat, pattern } from "../support/bytes.ts";
import { collectGarbage } from "../support/garbage.ts";
import { memory, newOutput } from "../support/runtime.ts";
import { Chain } from "../../src/runtime/chain.ts";

const { chains: cache, primitives } = memory();
const { allocate } = primitives;

describe("a chain", () => {
  const messages = Array.from({ length: 6 }, (_, i) => new PreparedMessage(pattern(50 * (i + 1), i)));
  const [a, b, c, d] = messages;

  test("of one frame is that frame", () => {
    assert.equal(chainOf(a).pieces(cache, allocate), a.frame);
    assert.equal(chainOf(a).size, a.frame.length);
  });

  test("is shared by all that add the same frames, and joined once", () => {
    const first = chainOf(a).with(b.frame, cache).with(c.frame, cache);
    const second = chainOf(a).with(b.frame, cache).with(c.frame, cache);
    assert.equal(first, second);
    const bytes = first.pieces(cache, allocate);
    assert.deepEqual(bytes, concat(a.frame, b.frame, c.frame));
    assert.equal(second.pieces(cache, allocate), bytes);
    assert.equal(chainOf(a).with(b.frame, cache).with(c.frame, cache).pieces(cache, allocate), bytes);
    assert.equal(first.size, bytes.length);
  });

  test("is shared by all connections of a broadcast, and new for the next broadcast", () => {
    for (const { frame } of [b, c, b]) {
      const all = [1, 2, 3].map(() => chainOf(a).with(frame, cache));
      assert.equal(new Set(all).size, 1);
      assert.deepEqual(all[0].pieces(cache, allocate), concat(a.frame, frame));
    }
    assert.notEqual(chainOf(a).with(b.frame, cache), chainOf(a).with(c.frame, cache));
    assert.notEqual(chainOf(a).with(b.frame, cache), chainOf(b).with(b.frame, cache));
  });

  test("differs for other frames", () => {
    const abc = chainOf(a).with(b.frame, cache).with(c.frame, cache);
    const abd = chainOf(a).with(b.frame, cache).with(d.frame, cache);
    const acd = chainOf(a).with(c.frame, cache).with(d.frame, cache);
    assert.deepEqual(abc.pieces(cache, allocate), concat(a.frame, b.frame, c.frame));
    assert.deepEqual(abd.pieces(cache, allocate), concat(a.frame, b.frame, d.frame));
    assert.deepEqual(acd.pieces(cache, allocate), concat(a.frame, c.frame, d.frame));
    // the same frame twice is not the same chain
    assert.deepEqual(
      chainOf(a).with(a.frame, cache).with(a.frame, cache).pieces(cache, allocate),
      concat(a.frame, a.frame, a.frame),
    );
  });

  test("is shared by alternating groups", () => {
    // as when two rooms with the same first message are written one after the other, connection by
    // connection
    const chains = Array.from({ length: 10 }, (_, i) =>
      chainOf(i % 2 === 0 ? a : b)
        .with(c.frame, cache)
        .with(d.frame, cache),
    );
    assert.equal(new Set(chains).size, 2);
    assert.equal(new Set(chains.map((chain) => chain.pieces(cache, allocate))).size, 2);
  });

  test("is passed on in pieces if joining would be expensive", () => {
    for (const over of [0, 1]) {
      const half = pattern(64 * 1024);
      const pieces = new Chain(undefined, half).with(pattern(64 * 1024 + over, 2), cache).pieces(cache, allocate);
      assert.equal(Array.isArray(pieces), over === 1, `128 KiB and ${over}`);
    }
    const large = new PreparedMessage(pattern(60_000));
    const two = chainOf(large).with(large.frame, cache);
    assert.ok(!Array.isArray(two.pieces(cache, allocate)));
    const three = two.with(large.frame, cache).with(a.frame, cache);
    assert.deepEqual(three.pieces(cache, allocate), [large.frame, large.frame, large.frame, a.frame]);
  });

  test("keeps nothing that only followed it", async () => {
    const kept = new PreparedMessage("a constant");
    const gone = ((): WeakRef<Uint8Array> => {
      const output = newOutput();
      output.appendPrepared(kept);
      const last = new PreparedMessage(pattern(1 << 20));
      output.appendPrepared(last);
      output.appendPrepared(last);
      output.clear();
      return new WeakRef(last.frame);
    })();
    await collectGarbage();
    assert.equal(gone.deref(), undefined);
    assert.ok(chainOf(kept) instanceof Chain);
    assert.deepEqual(chainOf(kept).with(a.frame, cache).pieces(cache, allocate), concat(kept.frame, a.frame));
  });
});
