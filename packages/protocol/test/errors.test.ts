import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isSendableCloseCode } from "../src/frames/close-codes.ts";
import { type ErrorEntry, PROTOCOL_ERRORS, protocolError, WebSocketError } from "../src/errors.ts";
import { checkErrorsPage, documentedErrors } from "./support/errors-page.ts";

const TABLE: Readonly<Record<string, ErrorEntry>> = PROTOCOL_ERRORS;

describe("docs/errors.md", () => {
  test("describes each of the protocol's errors as the table does, and no other", () => {
    checkErrorsPage("@tungstate/protocol", PROTOCOL_ERRORS);
  });

  test("a difference is detected", () => {
    const { RESERVED_BITS, ...others } = PROTOCOL_ERRORS;
    const check = (table: Readonly<Record<string, ErrorEntry>>): void => checkErrorsPage("@tungstate/protocol", table);
    assert.throws(() => check(others), /the codes of @tungstate\/protocol/);
    assert.throws(() => check({ ...PROTOCOL_ERRORS, NEW_ERROR: RESERVED_BITS }), /the codes of @tungstate\/protocol/);
    for (const change of [
      { fault: "local" },
      { closeCode: 1003 },
      { text: "something else" },
      { step: "bind" },
    ] as const) {
      assert.throws(() => check({ ...others, RESERVED_BITS: { ...RESERVED_BITS, ...change } }), /RESERVED_BITS: /);
    }
    assert.throws(() => documentedErrors("@tungstate/nothing"), /no section/);
  });
});

describe("the error table", () => {
  test("has close codes that may be sent, statuses that reject, and never both", () => {
    for (const [code, { closeCode, status, text }] of Object.entries(TABLE)) {
      assert.match(code, /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/);
      assert.ok(closeCode === undefined || isSendableCloseCode(closeCode), code);
      assert.ok(status === undefined || (status >= 400 && status < 600), code);
      assert.ok(closeCode === undefined || status === undefined, code);
      assert.match(text, /^\S.*[^\s.]$/, code);
    }
  });
});

describe("an error", () => {
  for (const [code, entry] of Object.entries(TABLE)) {
    test(`${code} is its row`, () => {
      const error = protocolError(code as keyof typeof PROTOCOL_ERRORS);
      assert.ok(error instanceof WebSocketError);
      assert.ok(error instanceof Error);
      const { fault, closeCode, status, message, name } = error;
      assert.deepEqual(
        { code: error.code, fault, closeCode, status, message, name },
        {
          closeCode: undefined,
          status: undefined,
          code,
          fault: entry.fault,
          ...(entry.closeCode === undefined ? {} : { closeCode: entry.closeCode }),
          ...(entry.status === undefined ? {} : { status: entry.status }),
          message: entry.text,
          name: "WebSocketError",
        },
      );
    });
  }

  test("has its detail and its cause", () => {
    const cause = new Error("why");
    const error = protocolError("INVALID_OPCODE", "opcode 3", { cause });
    assert.equal(error.message, "the opcode is reserved: opcode 3");
    assert.equal(error.cause, cause);
    assert.equal("cause" in protocolError("INVALID_OPCODE"), false);
    assert.equal(String(error), "WebSocketError: the opcode is reserved: opcode 3");
  });

  test("may be a row of another table", () => {
    const error = new WebSocketError("OTHER", { fault: "local", text: "another one" });
    assert.deepEqual([error.code, error.closeCode, error.status], ["OTHER", undefined, undefined]);
  });
});
