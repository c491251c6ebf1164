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
    ["", /expected some of latency, jitter, .*, got ""/],
    ["lag=1s", /expected some of .*, got "lag=1s"/],
    ["latency", /latency: expected a time such as 200ms or 1\.5s, got ""/],
    ["latency=200", /latency: expected a time .*, got "200"/],
    ["jitter=-1ms", /jitter: expected a time/],
    ["latency=1s,latency=2s", /latency is there twice/],
    ["bandwidth=0", /bandwidth: expected bytes per second/],
    ["bandwidth=1kbit", /bandwidth/],
    ["chunk=10-5", /chunk: expected bytes such as 100, or a range/],
    ["chunk=1-2-3", /chunk/],
    ["loss-stall=1", /loss-stall: expected a chance such as 1%/],
    ["loss-stall=101%", /loss-stall/],
    ["loss-stall=1%/x", /loss-stall/],
    ["reset=soon", /reset: expected a time such as 30s, or an amount of bytes/],
    ["seed=1.5", /seed: expected an integer/],
    ["direction=up", /direction: expected both, in or out, got "up"/],
    ["__proto__=1", /expected some of/],
  ];
  for (const [text, message] of wrong) {
    test(`rejects ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseConditions(text), { code: "INVALID_ARGUMENT", message });
    });
  }
});
