import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { formatHubReport } from "../hub/report.ts";
import { PEERS, ROW_NAMES, rowsAt } from "../hub/rows.ts";
import { isReturn, keyOf, runHubBench, type StreamSample } from "../hub/run.ts";
import { buildHubLoad, BUILT } from "../load/build.ts";
import { compileScripts } from "../runner/compile.ts";
import { startServer } from "../runner/server.ts";

const SCALE = 0.01;

suite("the hub benchmark runs at a small scale", () => {
  for (const name of ROW_NAMES) {
    test(name, async () => {
      const row = rowsAt(SCALE)[name];
      const run = await runHubBench({ rows: [row], peers: PEERS, rounds: 1, seconds: 0.5, realtime: false });
      for (const peer of row.peers) {
        const [sample] = run.samples.get(keyOf(row, peer)) ?? [];
        assert.ok(sample !== undefined && typeof sample !== "string", `${peer}: ${JSON.stringify(sample)}`);
        const { latencyUs, publications } = sample;
        assert.ok(publications > 0 && latencyUs !== undefined, peer);
        assert.ok(latencyUs.p50 > 0 && latencyUs.p99 >= latencyUs.p50, peer);
        if (isReturn(sample)) assert.ok(sample.back === sample.sessions && sample.outCpuUs > 0, peer);
      }
      const report = formatHubReport(run, "npm run bench:hub");
      assert.ok(report.includes(row.title) && !report.includes("Not measured"), report);
    });
  }
});

suite("subscribers detect a server that", () => {
  const cases: [wrong: string, expected: Partial<StreamSample>][] = [
    ["", { lost: 0, doubled: 0 }],
    ["skip", { lost: 8, doubled: 0 }], // one to each of 8
    ["double", { lost: 0, doubled: 8 }],
  ];
  for (const [wrong, expected] of cases) {
    test(wrong || "accept a correct server", async () => {
      const program = join(BUILT, "servers", "wrong-broadcast.mjs");
      await compileScripts(
        [fileURLToPath(new URL("support/wrong-broadcast.ts", import.meta.url))],
        join(BUILT, "servers"),
      );
      const server = await startServer(["env", `WRONG=${wrong}`, process.execPath, program]);
      try {
        const options = ["dialect=plain", "per=8", "every=5", "seconds=1", "warmup=0", `port=${server.port}`];
        const { stdout } = await promisify(execFile)(await buildHubLoad(), options);
        const { lost, doubled } = JSON.parse(stdout) as StreamSample;
        assert.deepEqual({ lost, doubled }, expected);
      } finally {
        await server.stop();
      }
    });
  }
});

test("rows grow with the scale, up to the limit of open files", () => {
  assert.equal(rowsAt(0.01).fanout.load.per, 100);
  assert.equal(rowsAt(0.1).channels.load.channels, 100);
  assert.ok(rowsAt(1000).fanout.load.per < 70_000);
});
