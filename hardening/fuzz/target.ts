import type { Random } from "./random.ts";

/** A fuzz target. An input is a byte string that determines the whole run. */
export interface Target {
  readonly name: string;
  /** What it is and what must hold, in one line. */
  readonly about: string;
  /** Number of inputs in a run of usual length. */
  readonly inputs: number;
  /** Generates an input with the expected structure, with or without errors. */
  generate(random: Random): Uint8Array;
  /** Throws or rejects if a property does not hold. */
  run(input: Uint8Array): void | Promise<void>;
}

/** The error of a property that does not hold. */
export function check(holds: boolean, what: string | (() => string)): asserts holds {
  if (!holds) throw new Error(typeof what === "string" ? what : what());
}

/**
 * Returns where an input is split into chunks. Derived from the input, so that a run can be
 * repeated.
 */
export function cutsOf(length: number, random: Random): readonly number[] {
  if (length < 24 && random.chance(0.5)) return Array.from({ length }, (_, at) => at + 1);
  const cuts = Array.from({ length: random.integer(6) }, () => random.integer(length + 1));
  return [...cuts, length].toSorted((a, b) => a - b);
}

/** Calls `take` with each chunk. */
export function inPieces(bytes: Uint8Array, cuts: readonly number[], take: (piece: Uint8Array) => void): void {
  let from = 0;
  for (const to of cuts) {
    // a copy that is overwritten afterwards: detects code that keeps borrowed memory
    const piece = new Uint8Array(bytes.subarray(from, to));
    take(piece);
    piece.fill(0xaa);
    from = to;
  }
}
