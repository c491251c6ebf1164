import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatSockets, ratioOf } from "../ws/report.ts";
import { ROWS } from "../ws/rows.ts";
import { ENGINES, keyOf, runSockets, type SocketsRun } from "../ws/run.ts";

suite("each row of the benchmark of @tungstate/ws runs on both engines", () => {
  for (const row of ROWS) {
    test(row.name, async () => {
      const timing = { seconds: 0.2, warmup: 0.1, scale: 0.02 };
      const run = await runSockets({ rows: [row], rounds: 1, timing });
      for (const engine of ENGINES) {
        const [sample] = run.samples.get(keyOf(row, engine)) ?? [];
        assert.ok(sample !== undefined && typeof sample !== "string", `${engine}: ${JSON.stringify(sample)}`);
        if (row.metric !== "kb") assert.ok((sample[row.metric] ?? 0) > 0, engine);
      }
      const report = formatSockets(run, "npm run bench:ws");
      assert.ok(report.includes(row.title) && !report.includes("Not measured"), report);
    });
  }
});

test("ratios are those of the same round, and a failed round has none", () => {
  const [row] = ROWS;
  assert.ok(row !== undefined);
  const run: SocketsRun = {
    rows: [row],
    notes: [],
    titles: new Map(),
    samples: new Map([
      [keyOf(row, "ws"), [{ rate: 10 }, { rate: 100 }, { rate: 1 }]],
      [keyOf(row, "@tungstate/ws"), [{ rate: 30 }, { rate: 200 }, "stalled"]],
    ]),
  };
  assert.equal(ratioOf(run, row, "rate", ["@tungstate/ws", "ws"]), 2.5);
  assert.match(formatSockets(run, "x"), /Not measured:\n\n- echo-1 @tungstate\/ws: stalled/);
});
