import type { Random } from "./random.ts";

/** One thing that is fuzzed. An input is bytes, and decides all that a run does. */
export interface Target {
  readonly name: string;
  /** What it is and what has to hold, in a line. */
  readonly about: string;
  /** Inputs that a run of usual length has. */
  readonly inputs: number;
  /** An input that has the structure of what is expected, with or without mistakes in it. */
  generate(random: Random): Uint8Array;
  /** Throws, or rejects, where something does not hold. */
  run(input: Uint8Array): void | Promise<void>;
}

/** What the fuzzer throws where something does not hold. */
export function check(holds: boolean, what: string | (() => string)): asserts holds {
  if (!holds) throw new Error(typeof what === "string" ? what : what());
}

/** Where an input is cut when it comes in pieces: follows from the input, so that a run can be repeated. */
export function cutsOf(length: number, random: Random): readonly number[] {
  if (length < 24 && random.chance(0.5)) return Array.from({ length }, (_, at) => at + 1);
  const cuts = Array.from({ length: random.integer(6) }, () => random.integer(length + 1));
  return [...cuts, length].toSorted((a, b) => a - b);
}

/** Calls `take` with each piece. */
export function inPieces(bytes: Uint8Array, cuts: readonly number[], take: (piece: Uint8Array) => void): void {
  let from = 0;
  for (const to of cuts) {
    // a copy that is overwritten afterwards: who keeps what was only lent is found out
    const piece = new Uint8Array(bytes.subarray(from, to));
    take(piece);
    piece.fill(0xaa);
    from = to;
  }
}
