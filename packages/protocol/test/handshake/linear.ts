import assert from "node:assert/strict";
import { cpuUsage } from "node:process";

const WORST_GROWTH = 9; // 3 for each doubling; 4 is linear, 16 quadratic

/**
 * Asserts by CPU time that `run(4n)` takes less than nine times as long as `run(n)`. The minimum of
 * several attempts counts, and the check is repeated before it fails, because other processes only
 * add time.
 */
export function assertLinear(n: number, prepare: (size: number) => () => void): void {
  const least = (size: number): number => {
    const run = prepare(size);
    let best = Infinity;
    for (let attempt = 0; attempt < 3; attempt++) {
      const start = cpuUsage();
      for (let repeat = 0; repeat < 3; repeat++) run();
      const { user, system } = cpuUsage(start);
      best = Math.min(best, user + system);
    }
    return best;
  };
  least(n); // compiles it
  let growth = Infinity;
  for (let attempt = 0; attempt < 5 && growth >= WORST_GROWTH; attempt++) growth = least(4 * n) / least(n);
  assert.ok(growth < WORST_GROWTH, `${growth.toFixed(2)} times as long for four times as much`);
}
