import process from "node:process";
import { median } from "../report/statistics.ts";

/** Does something `times` times; returns a number that depends on each. */
export type Repeat = (times: number) => number;

/** A way to do something. `prepare` sets up for one size; undefined if it is none for that size. */
export interface Candidate {
  readonly name: string;
  readonly prepare: (size: number) => Repeat | undefined;
  /** How many operations one time is; default 1. */
  readonly batch?: (size: number) => number;
}

export interface Comparison {
  readonly name: string;
  readonly title: string;
  /** Bytes. */
  readonly sizes: readonly number[];
  readonly candidates: readonly Candidate[];
}

/** Median nanoseconds for one time, by candidate and size; NaN where a candidate can't do a size. */
export type Timings = ReadonlyMap<string, readonly number[]>;

export interface Effort {
  readonly rounds: number;
  /** How long one round of one candidate takes, about. */
  readonly ms: number;
}

// Results end up here, so that no compiler can leave the work out.
let sink = 0;

/** Times all candidates, interleaved: each round runs each of them once. */
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

/** How often something has to be done to take about `ms`. Runs it enough to have it compiled. */
function calibrate(run: Repeat, ms: number): number {
  let times = 1;
  for (;;) {
    const took = time(run, times);
    if (took >= (ms * 1e6) / 2) return Math.max(1, Math.round((times * ms * 1e6) / took));
    times *= took < (ms * 1e6) / 20 ? 8 : 2;
  }
}

// CPU time in ns, of all threads: garbage collection is part of the cost, what other programs do is not.
function time(run: Repeat, times: number): number {
  const start = process.cpuUsage();
  sink ^= run(times);
  const { user, system } = process.cpuUsage(start);
  return (user + system) * 1000;
}

/** What was kept from the compiler. */
export function sunk(): number {
  return sink;
}

/** Bytes that are the same in each run. */
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

/** Text of exactly `size` bytes of UTF-8, the same in each run: ASCII, or with characters of 2 to 4 bytes among it. */
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
