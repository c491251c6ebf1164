import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CLOSE_CODE, isSendableCloseCode, MAX_CLOSE_REASON_BYTES } from "../src/close-codes.ts";
import { isAllowedCode } from "./support/close-codes.ts";

describe("close codes", () => {
  test("may travel or not, each of 0 to 65535", () => {
    for (let code = 0; code <= 65535; code++) assert.equal(isSendableCloseCode(code), isAllowedCode(code), `${code}`);
  });

  test("are whole numbers", () => {
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
