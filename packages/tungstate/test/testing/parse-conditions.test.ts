import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ConditionsOptions, parseConditions } from "../../src/testing/index.ts";

describe("conditions for command lines", () => {
  const right: [string, ConditionsOptions][] = [
    ["latency=200ms,jitter=50ms,loss-stall=1%", { latency: 200, jitter: 50, stall: { chance: 0.01 } }],
    ["latency=1.5s", { latency: 1_500 }],
    ["bandwidth=64KiB", { bandwidth: 65_536 }],
    ["bandwidth=1MB/s", { bandwidth: 1_000_000 }],
    ["chunk=100", { chunking: 100 }],
    ["chunk=1-1400", { chunking: { min: 1, max: 1_400 } }],
    ["loss-stall=0.5%/300ms", { stall: { chance: 0.005, duration: 300 } }],
    ["half-open=30s, reset=1MiB", { halfOpen: { after: 30_000 }, reset: { afterBytes: 1_048_576 } }],
    ["seed=-7,direction=in", { seed: -7, direction: "in" }],
  ];
  for (const [text, options] of right) {
    test(text, () => assert.deepEqual(parseConditions(text), options));
  }

  const wrong: [string, RegExp][] = [
    ["", /each condition must be one of latency, jitter, .*, got ""/],
    ["lag=1s", /each condition must be one of .*, got "lag=1s"/],
    ["latency", /latency must be a time such as 200ms or 1\.5s, got ""/],
    ["latency=200", /latency must be a time .*, got "200"/],
    ["jitter=-1ms", /jitter must be a time/],
    ["latency=1s,latency=2s", /latency must be given once/],
    ["bandwidth=0", /bandwidth must be bytes per second/],
    ["bandwidth=1kbit", /bandwidth/],
    ["chunk=10-5", /chunk must be bytes such as 100, or a range/],
    ["chunk=1-2-3", /chunk/],
    ["loss-stall=1", /loss-stall must be a chance such as 1%/],
    ["loss-stall=101%", /loss-stall/],
    ["loss-stall=1%/x", /loss-stall/],
    ["reset=soon", /reset must be a time such as 30s, or an amount of bytes/],
    ["seed=1.5", /seed must be an integer/],
    ["direction=up", /direction must be both, in or out, got "up"/],
    ["__proto__=1", /each condition must be one of/],
  ];
  for (const [text, message] of wrong) {
    test(`rejects ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseConditions(text), { code: "INVALID_ARGUMENT", message });
    });
  }
});
