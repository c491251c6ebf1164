import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FIN, headerSize, MAX_HEADER_SIZE, OPCODE, RSV1, writeHeader } from "../../src/frames/frame.ts";
import { toHex } from "../support/bytes.ts";
import { frame, KEY, type Key } from "../support/frames.ts";

const KEY_WORD = KEY[0] | (KEY[1] << 8) | (KEY[2] << 16) | (KEY[3] << 24);

function header(first: number, length: number, key: number | undefined): string {
  const bytes = new Uint8Array(20).fill(0xaa);
  const end = writeHeader(bytes, 3, first, length, key);
  assert.equal(end - 3, headerSize(length, key !== undefined));
  assert.equal(toHex(bytes.subarray(0, 3)), "aaaaaa");
  assert.match(toHex(bytes.subarray(end)), /^(aa)*$/);
  return toHex(bytes.subarray(3, end));
}

describe("the frame header", () => {
  // [length, its form in the second byte and after it]
  const LENGTHS: readonly [number, string][] = [
    [0, "00"],
    [1, "01"],
    [125, "7d"],
    [126, "7e007e"],
    [127, "7e007f"],
    [255, "7e00ff"],
    [256, "7e0100"],
    [65535, "7effff"],
    [65536, "7f0000000000010000"],
    [65537, "7f0000000000010001"],
    [2 ** 31 - 1, "7f000000007fffffff"],
    [2 ** 31, "7f0000000080000000"],
    [2 ** 32 - 1, "7f00000000ffffffff"],
    [2 ** 32, "7f0000000100000000"],
    [2 ** 32 + 5, "7f0000000100000005"],
    [2 ** 53 - 1, "7f001fffffffffffff"],
    [2 ** 53, "7f0020000000000000"],
  ];
  for (const [length, form] of LENGTHS) {
    test(`of ${length} bytes has the shortest length there is`, () => {
      assert.equal(header(FIN | OPCODE.BINARY, length, undefined), `82${form}`);
      const second = (Number.parseInt(form.slice(0, 2), 16) | 0x80).toString(16);
      assert.equal(header(FIN | OPCODE.BINARY, length, KEY_WORD), `82${second}${form.slice(2)}37fa213d`);
    });
  }

  test("has any given first byte", () => {
    for (let first = 0; first < 256; first++) {
      assert.equal(header(first, 5, undefined), toHex(Uint8Array.of(first, 5)));
    }
    assert.equal(header(FIN | RSV1 | OPCODE.TEXT, 0, undefined), "c100");
  });

  test("has any key, octet by octet", () => {
    for (const key of [
      KEY,
      [0, 0, 0, 0],
      [255, 255, 255, 255],
      [0, 0, 0, 128],
      [128, 0, 0, 0],
    ] as const satisfies Key[]) {
      const word = key[0] | (key[1] << 8) | (key[2] << 16) | (key[3] << 24);
      assert.equal(header(FIN | OPCODE.TEXT, 0, word), toHex(frame({ opcode: 1, key })));
    }
  });

  test("is never larger than MAX_HEADER_SIZE", () => {
    assert.equal(headerSize(2 ** 53, true), MAX_HEADER_SIZE);
  });
});
