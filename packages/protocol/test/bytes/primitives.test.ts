import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { afterEach, describe, test } from "node:test";
import { isAscii, ViewCache } from "../../src/bytes/mask.ts";
import { checkUtf8Piece, portablePrimitives } from "../../src/bytes/primitives.ts";
import { checkUtf8, UTF8_INVALID, UTF8_START } from "../../src/bytes/utf8.ts";
import { concat, hex, utf8 } from "../support/bytes.ts";
import { boundsOf, MALFORMED, WELL_FORMED } from "../support/utf8-table.ts";
import fc from "fast-check";
import { memory, runtime, useRuntime } from "../support/runtime.ts";

const portable = portablePrimitives(new ViewCache());

afterEach(() => useRuntime());

/**
 * The runtime's function may validate most of a piece; the result must equal the check byte by
 * byte.
 */
function check(bytes: Uint8Array, start: number, end: number, state: number): void {
  const expected = checkUtf8(bytes, start, end, state);
  assert.equal(
    checkUtf8Piece(bytes, start, end, state, runtime().primitives),
    expected,
    Buffer.from(bytes).toString("hex"),
  );
}

const EDGES: readonly Uint8Array[] = [
  new Uint8Array(0),
  ...WELL_FORMED.flatMap(boundsOf),
  ...WELL_FORMED.flatMap(boundsOf).flatMap((bytes) => Array.from(bytes, (_, end) => bytes.slice(0, end))),
  ...MALFORMED.map(([, digits]) => hex(digits)),
];
const STATES = ["", "c3", "e2", "e282", "f0", "f09f", "f09f98", "ed", "f4"].map((digits) => {
  const bytes = hex(digits);
  return checkUtf8(bytes, 0, bytes.length, UTF8_START);
});

describe("a piece of UTF-8", () => {
  for (const [name, native] of [
    ["portable", {}],
    ["native", { isUtf8 }],
  ] as const) {
    test(`is validated as byte by byte, for any end, with the ${name} function`, () => {
      useRuntime(native);
      for (const edge of EDGES) {
        for (const filling of [0, 125, 126, 127, 128, 129, 300]) {
          const bytes = concat(new Uint8Array(filling).fill(0x61), edge);
          check(bytes, 0, bytes.length, UTF8_START);
          const behind = concat(edge, new Uint8Array(filling).fill(0x61));
          for (const state of STATES) check(behind, 0, behind.length, state);
          const continued = concat(new Uint8Array(filling).fill(0x80), edge);
          for (const state of STATES) check(continued, 0, continued.length, state);
        }
      }
    });

    test(`of any kind is validated as byte by byte, with the ${name} function`, () => {
      useRuntime(native);
      const bytes = fc.array(fc.constantFrom(...WELL_FORMED.flatMap(boundsOf)), { minLength: 40, maxLength: 100 });
      const odd = fc.oneof({ weight: 3, arbitrary: fc.constant(hex("")) }, fc.uint8Array({ maxLength: 3 }));
      fc.assert(
        fc.property(
          odd,
          bytes,
          odd,
          fc.nat(),
          fc.nat(),
          fc.constantFrom(...STATES),
          (before, text, behind, a, b, state) => {
            const all = concat(before, ...text, behind);
            const [start, end] = [a % (all.length + 1), b % (all.length + 1)].sort((x, y) => x - y);
            check(all, start, end, state);
            check(all, 0, end, UTF8_START);
          },
        ),
        { numRuns: 500 },
      );
    });
  }

  test("uses the runtime's function only if it is long", () => {
    const asked: number[] = [];
    useRuntime({
      isUtf8: (bytes) => {
        asked.push(bytes.length);
        return true;
      },
    });
    assert.equal(checkUtf8Piece(utf8("é".repeat(63)), 0, 126, UTF8_START, runtime().primitives), UTF8_START);
    assert.deepEqual(asked, []);
    assert.equal(checkUtf8Piece(utf8("é".repeat(64)), 0, 128, UTF8_START, runtime().primitives), UTF8_START);
    assert.deepEqual(asked, [126]); // without the last character, which might be incomplete
    assert.equal(checkUtf8Piece(utf8("é".repeat(64)), 0, 128, UTF8_INVALID, runtime().primitives), UTF8_INVALID);
    assert.deepEqual(asked, [126]);
  });
});

describe("a masked piece", () => {
  test("uses the runtime's function only if it is long, with all arguments", () => {
    const asked: unknown[][] = [];
    useRuntime({
      copyMasked: (...given) => {
        asked.push(given);
        return portable.copyMasked(...given);
      },
    });
    for (const length of [0, 127, 128, 129]) {
      const source = utf8("a".repeat(length + 3));
      const target = new Uint8Array(136);
      const words = new Int32Array(target.buffer);
      asked.length = 0;
      assert.equal(isAscii(memory().copyMasked(source, 3, length, 0x01010101, target, words, 5)), true);
      assert.equal(Buffer.from(target).toString("latin1"), `${"\0".repeat(5)}${"`".repeat(length)}`.padEnd(136, "\0"));
      assert.deepEqual(asked, length < 128 ? [] : [[source, 3, length, 0x01010101, target, words, 5]]);
    }
  });
});

describe("primitives", () => {
  test("are replaced one by one", () => {
    const allocate = (size: number): Uint8Array => new Uint8Array(size).fill(1);
    useRuntime({ allocate });
    const { primitives } = runtime();
    assert.equal(primitives.allocate, allocate);
    assert.equal(primitives.isUtf8(hex("c3")), false);
    assert.ok(Object.isFrozen(primitives));
  });

  test("are portable by default", () => {
    const primitives = portable;
    assert.deepEqual(primitives.allocate(3), new Uint8Array(3));
    assert.equal(primitives.isUtf8(hex("c3a9")), true);
    assert.equal(primitives.isUtf8(hex("c3")), false);
    assert.equal(primitives.decodeUtf8(hex("41c3a942"), 1, 3), "é");
    assert.equal(primitives.utf8Length("é€"), 5);
    const target = new Uint8Array(5);
    assert.equal(primitives.writeUtf8("é€", target, 0), 5);
    assert.deepEqual(target, hex("c3a9e282ac"));
  });
});
