import { bytes, type Chop, type ConformanceCase, failedByRemote, type Frame, ping, text, textEvent } from "./case.ts";

const HELLO = "Hello, world!";

function alone(id: string, frame: Frame): ConformanceCase {
  return {
    id,
    title: `opcode ${frame.opcode}${frame.payload === undefined ? "" : " with payload"}`,
    steps: [{ do: "send", frames: [frame], chop: "whole" }],
    ok: [],
    close: failedByRemote(1002),
  };
}

function second(id: string, frame: Frame, chop: Chop): ConformanceCase {
  const payload = frame.payload === undefined ? "" : " with payload";
  return {
    id,
    title: `a message, opcode ${frame.opcode}${payload}, a ping${chop === 1 ? ", byte by byte" : ""}`,
    steps: [{ do: "send", frames: [text(HELLO), frame, ping()], chop }],
    ok: [textEvent(HELLO)],
    nonStrict: [],
    close: failedByRemote(1002),
  };
}

/**
 * Returns the cases of the five reserved opcodes from `first`: 3 to 7 for data frames, 11 to 15 for
 * control frames.
 */
function reserved(prefix: string, first: number): readonly ConformanceCase[] {
  return [
    alone(`${prefix}.1`, { opcode: first }),
    alone(`${prefix}.2`, { opcode: first + 1, payload: bytes("reserved opcode payload") }),
    second(`${prefix}.3`, { opcode: first + 2 }, "whole"),
    second(`${prefix}.4`, { opcode: first + 3, payload: bytes(HELLO) }, "whole"),
    second(`${prefix}.5`, { opcode: first + 4, payload: bytes(HELLO) }, 1),
  ];
}

/** Reserved opcodes. */
export const GROUP_4: readonly ConformanceCase[] = [...reserved("4.1", 3), ...reserved("4.2", 11)];
