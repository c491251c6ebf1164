import {
  bytes,
  close,
  CLOSE,
  CLOSED_BY_SUITE,
  type CloseExpectation,
  type ConformanceCase,
  continuation,
  type Event,
  type Frame,
  hex,
  ping,
  repeat,
  text,
  TEXT,
  textEvent,
} from "./case.ts";

const HELLO = "Hello World!";
const VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
const INVALID_CODES = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];

/** The suite sends a Close that must be rejected: with this code, or by dropping the connection. */
function refused(...codes: readonly number[]): CloseExpectation {
  return { by: "suite", codes, clean: false };
}

function closing(
  id: string,
  title: string,
  frames: readonly Frame[],
  expectation: CloseExpectation = CLOSED_BY_SUITE,
  ok: readonly Event[] = [],
): ConformanceCase {
  return { id, title, steps: [{ do: "send", frames, chop: "whole" }], ok, close: expectation };
}

function undefinedCode(id: string, code: number): ConformanceCase {
  return {
    ...closing(id, `a Close with code ${code}`, [close(code)], refused(1000, 1002, code)),
    informational: "RFC 6455 says nothing of codes of 5000 and above",
  };
}

/** Close handling. */
export const GROUP_7: readonly ConformanceCase[] = [
  {
    id: "7.1.1",
    title: "a message, and a Close when it has come back",
    steps: [{ do: "send", frames: [text(HELLO)], chop: "whole" }],
    ok: [textEvent(HELLO)],
    close: CLOSED_BY_SUITE,
  },
  closing("7.1.2", "two Close frames", [close(1000), { opcode: CLOSE }]),
  closing("7.1.3", "a ping behind a Close", [close(1000), ping()]),
  closing("7.1.4", "a message behind a Close", [close(1000), text(HELLO)]),
  closing("7.1.5", "a Close between two fragments", [
    text("fragment1", { fin: false }),
    close(1000),
    continuation("fragment2", true),
  ]),
  {
    ...closing("7.1.6", "256 KiB of text, a message, a Close, a ping", [
      { opcode: TEXT, payload: repeat(bytes("BAsd7&jh23"), 256 * 1024) },
      text(HELLO),
      close(1000),
      ping(),
    ]),
    informational: "how much of what came before a Close is still answered is left to the implementation",
  },
  closing("7.3.1", "a Close without payload", [{ opcode: CLOSE }], { ...CLOSED_BY_SUITE, emptyAllowed: true }),
  closing("7.3.2", "a Close with a payload of one byte", [{ opcode: CLOSE, payload: bytes("a") }], refused(1002)),
  closing("7.3.3", "a Close with a code", [close(1000)]),
  closing("7.3.4", "a Close with a code and a reason", [close(1000, bytes(HELLO))]),
  closing("7.3.5", "a Close with the longest reason, 123 bytes", [close(1000, Buffer.alloc(123, "*"))]),
  closing("7.3.6", "a Close with a reason of 124 bytes", [close(1000, Buffer.alloc(124, "*"))], refused(1002)),
  closing(
    "7.5.1",
    "a Close with a reason that is not UTF-8",
    [close(1000, hex("ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0 80 65 64 69 74 65 64"))],
    refused(1002, 1007),
  ),
  ...VALID_CODES.map((code, index) =>
    closing(`7.7.${index + 1}`, `a Close with the code ${code}, which may be sent`, [close(code)], {
      ...CLOSED_BY_SUITE,
      codes: [1000, code],
    }),
  ),
  ...INVALID_CODES.map((code, index) =>
    closing(`7.9.${index + 1}`, `a Close with the code ${code}, which must not be sent`, [close(code)], refused(1002)),
  ),
  undefinedCode("7.13.1", 5000),
  undefinedCode("7.13.2", 65535),
];
