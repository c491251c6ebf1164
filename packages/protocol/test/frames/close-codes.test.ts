import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  CLOSE_CODE,
  isSendableCloseCode,
  MAX_CLOSE_REASON_BYTES,
  sendableClose,
} from "../../src/frames/close-codes.ts";
import { isAllowedCode } from "../support/close-codes.ts";
import { checkClose } from "../../src/frames/close-payload.ts";

describe("close codes", () => {
  test("may be sent or not, each of 0 to 65535", () => {
    for (let code = 0; code <= 65535; code++) assert.equal(isSendableCloseCode(code), isAllowedCode(code), `${code}`);
  });

  test("are integers", () => {
    for (const code of [NaN, Infinity, -Infinity, -1, -1000, 1000.5, 3000.000001, 65536, 2 ** 32 + 1000]) {
      assert.equal(isSendableCloseCode(code), false, `${code}`);
    }
  });

  test("have their names", () => {
    const received: readonly number[] = [CLOSE_CODE.NO_STATUS, CLOSE_CODE.ABNORMAL];
    for (const [name, code] of Object.entries(CLOSE_CODE)) {
      assert.equal(isSendableCloseCode(code), !received.includes(code), name);
    }
    assert.equal(MAX_CLOSE_REASON_BYTES, 123);
  });
});

describe("sendableClose", () => {
  test("returns a code that may be sent for each of -1 to 65536, and for invalid ones", () => {
    const codes = Array.from({ length: 65_538 }, (_, at) => at - 1);
    for (const code of [...codes, 1000.5, NaN, Infinity, -Infinity, 2 ** 32 + 1000]) {
      const [sent] = sendableClose({ code, reason: "" });
      assert.ok(isSendableCloseCode(sent), `${code} became ${sent}`);
      if (isSendableCloseCode(code)) assert.equal(sent, code);
    }
  });

  test("returns 1000 for 1005, 1001 for 1006, and 1011 for all others that may not be sent", () => {
    const sent = [1005, 1006, 1015, 1004, 0, 999, 1016, 2999, 5000, NaN].map((code) => sendableClose({ code })[0]);
    assert.deepEqual(sent, [1000, 1001, ...Array(8).fill(1011)]);
  });

  test("truncates a reason after the last character within 123 bytes", () => {
    const reasons: readonly [reason: string, sent: string][] = [
      ["", ""],
      ["x".repeat(123), "x".repeat(123)],
      ["x".repeat(124), "x".repeat(123)],
      ["\u00e9".repeat(80), "\u00e9".repeat(61)], // 2 bytes each
      ["\u20ac".repeat(41), "\u20ac".repeat(41)], // 3 bytes each: 123
      ["\u20ac".repeat(42), "\u20ac".repeat(41)],
      ["\u{1f600}".repeat(31), "\u{1f600}".repeat(30)], // 4 bytes each
      [`${"x".repeat(121)}\u20ac`, "x".repeat(121)],
      [`${"x".repeat(122)}\u{1f600}`, "x".repeat(122)],
      // half a character is sent as U+FFFD, 3 bytes
      [`${"x".repeat(120)}\ud83d tail`, `${"x".repeat(120)}\ud83d`],
      ["x".repeat(1_000_000), "x".repeat(123)],
    ];
    for (const [reason, sent] of reasons) {
      assert.deepEqual(sendableClose({ code: 4000, reason }), [4000, sent]);
      assert.ok(checkClose(4000, sent) <= 123);
    }
    assert.deepEqual(sendableClose({ code: 1000 }), [1000, ""]);
  });

  test("throws for a code that is not a number and a reason that is not a string", () => {
    for (const wrong of [undefined, null, 5, "1000", {}, { code: "1000" }, { code: null }, { code: 1000, reason: 5 }]) {
      assert.throws(() => sendableClose(wrong as { code: number }), { code: "INVALID_ARGUMENT" });
    }
    assert.throws(() => sendableClose({ code: 1000, reason: null as never }), { code: "INVALID_ARGUMENT" });
  });
});
