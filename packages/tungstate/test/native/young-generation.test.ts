import assert from "node:assert/strict";
import { constants, performance, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { describe, test } from "node:test";
import { setImmediate as nextTick } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { isNode } from "../../src/native/platform.ts";
import { collectYoungGeneration } from "../../src/native/young-generation.ts";

const TICKS = 1000; // more than node:perf_hooks needs to report a collection

describe("collectYoungGeneration", { skip: !isNode && "garbage collection of V8, as Node.js has it" }, () => {
  test("collects the young generation, and only that", async () => {
    const entries: PerformanceEntry[] = [];
    const observer = new PerformanceObserver((list) => void entries.push(...list.getEntries()));
    collectYoungGeneration(); // what the first call loads may be collected, too
    observer.observe({ entryTypes: ["gc"] });
    const from = performance.now();
    collectYoungGeneration();
    const to = performance.now();
    const within = (): PerformanceEntry[] => entries.filter(({ startTime }) => startTime >= from && startTime <= to);
    for (let tick = 0; tick < TICKS && within().length === 0; tick++) await nextTick();
    observer.disconnect();
    assert.deepEqual(
      within().map((entry) => (Reflect.get(entry, "detail") as { readonly kind: number }).kind),
      [constants.NODE_PERFORMANCE_GC_MINOR],
    );
  });

  test("gives the program no function gc", () => {
    const [before, inContextBefore] = [Reflect.has(globalThis, "gc"), runInNewContext("typeof gc")];
    collectYoungGeneration();
    assert.equal(Reflect.has(globalThis, "gc"), before);
    assert.equal(runInNewContext("typeof gc"), inContextBefore);
  });
});
