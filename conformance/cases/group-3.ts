import {
  BINARY,
  bytes,
  type Chop,
  CLOSE,
  type ConformanceCase,
  failedByRemote,
  type Frame,
  hex,
  ping,
  text,
  textEvent,
} from "./case.ts";

const HELLO = "Hello, world!";

function alone(id: string, title: string, frame: Frame): ConformanceCase {
  return {
    id,
    title,
    steps: [{ do: "send", frames: [frame], chop: "whole" }],
    ok: [],
    close: failedByRemote(1002),
  };
}

/** A valid message, an invalid one, a ping: the first is echoed, the last is not answered. */
function second(id: string, rsv: number, chop: Chop, how: string): ConformanceCase {
  return {
    id,
    title: `a message, one with RSV = ${rsv}, a ping${how}`,
    steps: [{ do: "send", frames: [text(HELLO), text(HELLO, { rsv }), ping()], chop }],
    ok: [textEvent(HELLO)],
    nonStrict: [],
    close: failedByRemote(1002),
  };
}

/** Reserved bits, with no extension agreed. */
export const GROUP_3: readonly ConformanceCase[] = [
  alone("3.1", "a text message with RSV = 1", text(HELLO, { rsv: 1 })),
  second("3.2", 2, "whole", ""),
  second("3.3", 3, "frames", ", frame by frame"),
  second("3.4", 4, 1, ", byte by byte"),
  alone("3.5", "a binary message with RSV = 5", { opcode: BINARY, payload: hex("00fffefdfcfb00ff"), rsv: 5 }),
  alone("3.6", "a binary message with RSV = 6", { opcode: BINARY, payload: bytes(HELLO), rsv: 6 }),
  alone("3.7", "a Close with RSV = 7", { opcode: CLOSE, rsv: 7 }),
];
