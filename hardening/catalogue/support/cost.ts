import assert from "node:assert/strict";
import process from "node:process";
import { collectGarbage } from "../../../scripts/testing/memory.mjs";

// Measurements that other processes on the machine barely influence: CPU time of this process, and
// bytes.

/**
 * `CATALOGUE=full` uses the sizes of the reports. Otherwise smaller ones, which show the same in
 * less time.
 */
const isFull = process.env["CATALOGUE"] === "full";

export function sized(everyDay: number, full: number): number {
  return isFull ? full : everyDay;
}

/** Returns the CPU time of this process in ms, all threads. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export async function cpuOf(run: () => void | Promise<void>): Promise<number> {
  const before = cpuTime();
  await run();
  return cpuTime() - before;
}

const ROUNDS = 4;

/**
 * The results of some rounds: other work of the machine only ever adds to a cost, so that the least
 * counts.
 */
export async function leastOf<T>(run: () => Promise<T>): Promise<readonly T[]> {
  const results: T[] = [];
  for (let round = 0; round < ROUNDS; round++) results.push(await run());
  return results;
}

const GROWTH = 3; // linear work doubles, quadratic work takes four times as long
const ATTEMPTS = 3;

/**
 * Asserts that `run(2n)` takes less than three times the CPU time of `run(n)`. Other work only adds
 * time: the minimum of several rounds counts, and the measurement is repeated before it fails.
 */
export async function assertLinear(
  what: string,
  n: number,
  prepare: (size: number) => () => void | Promise<void>,
): Promise<void> {
  const tried: string[] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const [small, large] = [prepare(n), prepare(2 * n)];
    let [least, most] = [Infinity, Infinity];
    for (let round = 0; round < 4; round++) {
      least = Math.min(least, await cpuOf(small));
      most = Math.min(most, await cpuOf(large));
    }
    // below a millisecond the resolution of the clock dominates
    if (most < 1 || most / least < GROWTH) return;
    tried.push(`${least.toFixed(2)} ms for ${n}, ${most.toFixed(2)} ms for twice that`);
  }
  assert.fail(`${what}: ${tried.join("; ")}`);
}

/**
 * Returns how much the resident set grows beyond its previous maximum while `run` runs, in bytes.
 */
export async function peakGrowth(run: () => Promise<void>): Promise<number> {
  await collectGarbage();
  const before = process.resourceUsage().maxRSS;
  await run();
  return (process.resourceUsage().maxRSS - before) * 1024;
}

export const KiB = 1024;
export const MiB = 1024 * 1024;
