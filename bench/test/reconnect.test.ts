import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SCENARIOS } from "../reconnect/scenarios.ts";
import { type Outcome, peak, type Scenario, simulate, timeUntil, totalAttempts } from "../reconnect/simulation.ts";

const [, , CRASH, RESTART] = SCENARIOS;

/** Returns the attempts in each second. */
function perSecond({ attempts }: Outcome): number[] {
  const seconds: number[] = [];
  attempts.forEach((count, bin) => (seconds[Math.floor(bin / 10)] = (seconds[Math.floor(bin / 10)] ?? 0) + count));
  return seconds;
}

describe("10,000 clients whose server restarts", () => {
  test("are spread from the start after a crash, and all reconnect", async () => {
    const outcome = await simulate(CRASH);
    assert.equal(outcome.scenario.clients, 10_000);
    assert.ok(peak(outcome, 100) < 1_000, `${peak(outcome, 100)} attempts within 100 ms`);
    assert.ok(totalAttempts(outcome) < 40_000, `${totalAttempts(outcome)} attempts`);
    const seconds = perSecond(outcome);
    // the first delays are up to 2, 4 and 8 s: the rate falls although no attempt succeeds
    assert.ok((seconds[4] ?? Infinity) < (seconds[1] ?? 0) / 2, seconds.join(" "));
    assert.ok(timeUntil(outcome, 0.5) < 15_000 && timeUntil(outcome, 1) < 60_000);
  });

  test("reconnect evenly over 5 to 30 seconds after a close with 1012, at the first attempt", async () => {
    const outcome = await simulate(RESTART);
    assert.equal(totalAttempts(outcome), 10_000);
    const seconds = perSecond(outcome);
    seconds.forEach((count, second) => {
      if (second < 5 || second >= 30) assert.ok(count <= 1, `${count} in second ${second}`);
      else assert.ok(count > 300 && count < 500, `${count} in second ${second}`);
    });
    assert.ok(timeUntil(outcome, 1) <= 31_000);
  });

  test("without jitter attempts arrive in waves", async () => {
    const outcome = await simulate({ ...CRASH, clients: 1_000, jitter: false, length: 20_000 });
    assert.equal(peak(outcome, 100), 1_000);
  });

  test("the same seed gives the same attempts, another seed different ones", async () => {
    const small: Scenario = { ...CRASH, clients: 300, length: 10_000 };
    const [first, again, other] = [await simulate(small), await simulate(small), await simulate({ ...small, seed: 2 })];
    assert.deepEqual(again.attempts, first.attempts);
    assert.notDeepEqual(other.attempts, first.attempts);
  });
});
