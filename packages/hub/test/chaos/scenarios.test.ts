import assert from "node:assert/strict";
import { test } from "node:test";
import { play, SCENARIOS } from "./scenarios.ts";

// `npm run chaos` runs all scenarios in full length. Other failures are in ../redis/faults.test.ts,
// with hubs in one process.
const SHORT = ["kill", "redis-restart", "failover", "rolling"];

for (const scenario of SCENARIOS) {
  if (!SHORT.includes(scenario.name)) continue;
  test(`${scenario.name}: ${scenario.what}`, async () => {
    const log: string[] = [];
    const { ok, lines } = await play(
      // times are checked on idle machines only
      { ...scenario, p99: undefined },
      {
        seed: 1,
        nodes: 3,
        clients: 60,
        channels: 6,
        publications: 900,
        rate: 600,
        timeout: 3_000,
        outage: 800,
        drainWindow: 300,
        log: (line) => log.push(line),
      },
    );
    assert.ok(ok, [...log, ...lines].join("\n"));
  });
}
