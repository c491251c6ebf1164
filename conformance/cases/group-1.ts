import {
  BINARY,
  binaryEvent,
  bytes,
  type Chop,
  CLOSED_BY_SUITE,
  type ConformanceCase,
  hex,
  repeat,
  TEXT,
  textEvent,
} from "./case.ts";

/** Each form of the length field at its limits, and the longest one in pieces of odd sizes. */
const SIZES: readonly (readonly [length: number, chop: Chop])[] = [
  [0, "whole"],
  [125, "whole"],
  [126, "whole"],
  [127, "whole"],
  [128, "whole"],
  [65535, "whole"],
  [65536, "whole"],
  [65536, 997],
];

function framing(id: string, opcode: number, length: number, chop: Chop): ConformanceCase {
  const isText = opcode === TEXT;
  const payload = repeat(isText ? bytes("*") : hex("fe"), length);
  const how = typeof chop === "number" ? `, ${chop} bytes at a time` : "";
  return {
    id,
    title: `a ${isText ? "text" : "binary"} message of ${length} bytes${how}`,
    steps: [{ do: "send", frames: [{ opcode, payload }], chop }],
    ok: [isText ? textEvent(payload) : binaryEvent(payload)],
    close: CLOSED_BY_SUITE,
  };
}

/** Framing. */
export const GROUP_1: readonly ConformanceCase[] = [
  ...SIZES.map(([length, chop], index) => framing(`1.1.${index + 1}`, TEXT, length, chop)),
  ...SIZES.map(([length, chop], index) => framing(`1.2.${index + 1}`, BINARY, length, chop)),
];
