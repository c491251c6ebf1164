import fc from "fast-check";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Window } from "../../src/deflate/window.ts";

test("a window holds the last bytes of all data, and no more memory than that", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ minLength: 200, maxLength: 600, size: "max" }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 8, max: 10 }), fc.array(piece, { maxLength: 30 }), (bits, pieces) => {
      const window = new Window(bits);
      let all = Buffer.alloc(0);
      for (const bytes of pieces) {
        window.append(bytes);
        all = Buffer.concat([all, bytes]);
        const expected = all.subarray(-(2 ** bits));
        assert.equal(window.length, expected.length);
        assert.deepEqual(Buffer.from(window.bytes), expected);
        assert.ok(window.bytes.buffer.byteLength <= 2 ** bits);
      }
      window.clear();
      assert.equal(window.length, 0);
      assert.equal(window.bytes.buffer.byteLength, 0);
    }),
  );
});

test("a window copies its input", () => {
  const window = new Window(8);
  const bytes = new Uint8Array(300).fill(1);
  window.append(bytes);
  bytes.fill(2);
  assert.deepEqual(new Set(window.bytes), new Set([1]));
});
