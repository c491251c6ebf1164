// What a test needs to see which memory is in use.
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Returns the function that collects all garbage in this runtime. */
function collector() {
  const { Bun } = globalThis;
  if (Bun !== undefined) return () => Bun.gc(true);
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}

const gc = collector();

/** Collects all garbage, that of pending callbacks included. */
export async function collectGarbage() {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    gc();
  }
}

/**
 * Returns the bytes in use after a collection: the heap, and memory outside of it that the heap
 * keeps.
 */
export async function memoryInUse() {
  await collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
