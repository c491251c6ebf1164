import process from "node:process";
import { median } from "../report/statistics.ts";

/** Runs the operation `times` times. Returns a number that depends on each result. */
export type Repeat = (times: number) => number;

/**
 * One implementation. `prepare` sets it up for one size and returns undefined if it does not
 * support the size.
 */
export interface Candidate {
  readonly name: string;
  readonly prepare: (size: number) => Repeat | undefined;
  /** Number of operations in one call; default 1. */
  readonly batch?: (size: number) => number;
}

export interface Comparison {
  readonly name: string;
  readonly title: string;
  /** Bytes. */
  readonly sizes: readonly number[];
  readonly candidates: readonly Candidate[];
}

/**
 * Median nanoseconds of one operation, by candidate and size; NaN if a candidate does not support a
 * size.
 */
export type Timings = ReadonlyMap<string, readonly number[]>;

export interface Effort {
  readonly rounds: number;
  /** Approximate duration of one round of one candidate. */
  readonly ms: number;
}

// Results are added here, so that the compiler cannot remove the work.
let sink = 0;

/** Measures all candidates interleaved: each round runs each of them once. */
export function compare({ sizes, candidates }: Comparison, { rounds, ms }: Effort): Timings {
  const timings = new Map<string, number[]>(candidates.map(({ name }) => [name, []]));
  for (const size of sizes) {
    const running = candidates.map(({ name, prepare, batch }) => {
      const run = prepare(size);
      const times = run === undefined ? 0 : calibrate(run, ms);
      return { name, run, times, operations: times * (batch?.(size) ?? 1), samples: [] as number[] };
    });
    for (let round = 0; round < rounds; round++) {
      for (const { run, times, operations, samples } of running) {
        if (run !== undefined) samples.push(time(run, times) / operations);
      }
    }
    for (const { name, samples } of running) timings.get(name)?.push(median(samples));
  }
  return timings;
}

/** Returns how many calls take about `ms`. Runs the operation until it is compiled. */
function calibrate(run: Repeat, ms: number): number {
  let times = 1;
  for (;;) {
    const took = time(run, times);
    if (took >= (ms * 1e6) / 2) return Math.max(1, Math.round((times * ms * 1e6) / took));
    times *= took < (ms * 1e6) / 20 ? 8 : 2;
  }
}

// CPU time in ns over all threads: includes garbage collection, excludes other programs.
function time(run: Repeat, times: number): number {
  const start = process.cpuUsage();
  sink ^= run(times);
  const { user, system } = process.cpuUsage(start);
  return (user + system) * 1000;
}

/** The accumulated results. */
export function sunk(): number {
  return sink;
}

/** Returns bytes that are the same in each run. */
export function someBytes(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = seed * 0x9e3779b1;
  for (let at = 0; at < size; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  return bytes;
}

/**
 * Returns text of exactly `size` bytes of UTF-8, the same in each run: ASCII only, or mixed with
 * characters of 2 to 4 bytes.
 */
export function someText(size: number, kind: "ascii" | "mixed"): string {
  const pieces = kind === "ascii" ? ["abcdefgh", "ijk ", "LMN", "z"] : ["café ", "€", "😀", "日本", "plain text ", "ß"];
  let text = "";
  let bytes = 0;
  for (let index = 0; ; index++) {
    const piece = pieces[(index * 7) % pieces.length] ?? "";
    const length = Buffer.byteLength(piece);
    if (bytes + length > size) break;
    text += piece;
    bytes += length;
  }
  return text + "x".repeat(size - bytes);
}
