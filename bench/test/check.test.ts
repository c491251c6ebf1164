import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { checkTable, type Comparison, compareRuns, isLoss, parseRecording } from "../report/check.ts";
import { Results } from "../report/results.ts";
import { type Row, selectRows } from "../rows.ts";

const row = onlyRow();

/** A run in which a message costs Tungstate `costs` us in the rounds, and ws 10. */
function run(...costs: readonly number[]): Results {
  const results = new Results([row], ["tungstate", "ws"]);
  for (const [round, cpuUs] of costs.entries()) {
    results.add(row, "tungstate", round, { cpuUs, rate: 1 });
    results.add(row, "ws", round, { cpuUs: 10, rate: 1 });
  }
  return results;
}

const compared = (now: Results, before: Results): Comparison => {
  const [comparison] = compareRuns(now, parseRecording(before.toJson()));
  assert.ok(comparison !== undefined);
  return comparison;
};

suite("a run that is compared with a recorded one", () => {
  test("passes if nothing or little was lost, or if it gained", () => {
    for (const costs of [
      [5, 5, 5],
      [5.05, 5.05, 5.05],
      [4, 4, 4],
    ]) {
      assert.ok(!isLoss(compared(run(...costs), run(5, 5, 5))), String(costs));
    }
  });

  test("fails if more was lost than the noise of its rounds", () => {
    const lost = compared(run(5.5, 5.5, 5.5), run(5, 5, 5));
    assert.ok(isLoss(lost));
    assert.ok(Math.abs(lost.loss - 0.1) < 1e-9);
    assert.match(checkTable([lost]), /ws +\| +0\.500 \| +0\.550 \| +\+10\.0 % \| +2\.0 % \| LOSS \|/);
  });

  test("passes the same loss if the rounds of either run differ as much", () => {
    assert.ok(!isLoss(compared(run(4, 5, 5.5, 6.2, 7), run(5, 5, 5))));
    assert.ok(!isLoss(compared(run(5.5, 5.5, 5.5), run(4, 4.2, 5, 5.8, 6))));
  });

  test("compares only what both have, and rejects a comparison of nothing or of too few rounds", () => {
    const recording = parseRecording(run(5, 5, 5).toJson());
    assert.throws(() => compareRuns(new Results([row], ["tungstate", "ws"]), recording), /no row was measured/);
    assert.throws(() => compareRuns(run(5, 5), recording), /expected at least 3 rounds in both runs, got 2 and 3/);
    assert.throws(() => parseRecording("{}"), /expected a file written with --json/);
  });
});

function onlyRow(): Row {
  const [only] = selectRows("echo-1");
  assert.ok(only !== undefined);
  return only;
}
