import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { suite, test } from "node:test";
import { BUILT, buildLoad } from "../load/build.ts";
import { runLoad, startIdle } from "../load/run.ts";
import { formatReport } from "../report/document.ts";
import { Results } from "../report/results.ts";
import { idealRatio, workersTable } from "../report/workers.ts";
import { type Row, selectRows, workerCounts } from "../rows.ts";
import { commandOf, preparePeers } from "../runner/peers.ts";
import { runBench } from "../runner/run.ts";
import { startServer } from "../runner/server.ts";

const TINY = { seconds: 0.6, warmup: 0.05, scale: 1 };

/** For any number of cores. */
function rowOf(workers: number): Row {
  const [first] = selectRows("workers");
  assert.ok(first !== undefined);
  return { ...first, name: `workers-${workers}`, workers };
}

test("the benchmark measures one and two workers of the peers that support node:cluster, and reports them", async () => {
  const rows = [rowOf(1), rowOf(2)];
  const run = await runBench({ rows, peers: ["tungstate", "ws", "c"], rounds: 1, timing: TINY });
  assert.deepEqual(run.results.failures(), []);
  for (const row of rows) {
    assert.deepEqual(run.results.of(row, "c"), []);
    for (const peer of ["tungstate", "ws"] as const) {
      const [sample] = run.results.of(row, peer);
      // compression alone takes more; a primary that does not serve takes almost nothing
      assert.ok((sample?.cpuUs ?? 0) > 2, `${peer}: ${JSON.stringify(sample)}`);
    }
  }
  const report = formatReport(run, "npm run bench");
  assert.match(report, /\| Tungstate, 1 worker +\|.* us \|/);
  assert.match(report, /\| ws, 2 workers +\|.* us \|.* % \|/);
  assert.match(report, /not pinned/);
  assert.doesNotMatch(report, /pinned to core|Lowest and highest/);
});

suite("two workers", () => {
  for (const name of ["tungstate", "ws"] as const) {
    test(`workers of ${name} share the connections`, async () => {
      const peer = (await preparePeers([name], process.execPath)).get(name);
      assert.ok(peer !== undefined && typeof peer !== "string");
      const server = await startServer(commandOf(peer, { workers: 2 }) ?? []);
      try {
        assert.equal(server.workers.length, 2);
        const before = server.workers.map(socketsOf);
        const load = startIdle({ program: await buildLoad(), prefix: [] }, server, { connections: 50 });
        try {
          await load.open(50);
          const counts = server.workers.map((pid, index) => socketsOf(pid) - (before[index] ?? 0));
          assert.equal((counts[0] ?? 0) + (counts[1] ?? 0), 50);
          assert.ok(
            counts.every((count) => count > 0),
            counts.join(),
          );
        } finally {
          await load.close();
        }
      } finally {
        await server.stop();
      }
    });
  }

  test("a worker that cannot start ends the server", async () => {
    const cluster = join(BUILT, "servers", "cluster.mjs");
    const started = startServer([process.execPath, cluster, "2", "/nowhere.mjs"]);
    await assert.rejects(started, /nowhere|node:internal/); // the first line of Node's message
  });
});

test("the load generator rejects an invalid process ID", async () => {
  const command = { program: await buildLoad(), prefix: [] };
  const target = { pid: process.pid, workers: [NaN], port: 1 };
  await assert.rejects(() => runLoad(command, target, { mode: "echo" }), /pid: expected processes such as 12 or 12,13/);
});

test("the ideal excludes the CPU time of the load generator", () => {
  const ideal = (workers: number, cores: number, serverUs: number, loadUs: number, serverBusy = 1): number =>
    idealRatio({ workers, cores, serverUs, serverBusy, loadUs });
  assert.equal(ideal(2, 2, 20, 0), 2);
  // both take 25 us for each message: 80,000 messages fill two cores, and one worker makes 50,000
  assert.equal(ideal(2, 2, 20, 5), 1.6);
  assert.equal(ideal(2, 8, 20, 5), 2);
  // one worker made 62,500 of 80,000, with its threads; or did not have all of its core
  assert.equal(ideal(2, 2, 20, 5, 1.25), 1.28);
  assert.equal(ideal(2, 2, 20, 5, 0.9), 1.6);
  // the load generator, on its own core, makes 200,000
  assert.equal(ideal(8, 16, 20, 5), 4);
});

test("the table shows the ratio to one worker in the same round, and to the ideal", () => {
  const rows = [rowOf(1), rowOf(2)] as const;
  const results = new Results(rows, ["tungstate", "ws"]);
  const sample = (rate: number, loadBusy: number): object => ({
    rate,
    cpuUs: 20,
    serverBusy: 1,
    loadBusy,
    othersBusy: 0.25,
  });
  results.add(rows[0], "tungstate", 0, sample(50_000, 0.25));
  results.add(rows[1], "tungstate", 0, sample(80_000, 0.4));
  results.add(rows[0], "tungstate", 1, sample(20_000, 0.1));
  results.add(rows[1], "tungstate", 1, sample(24_000, 0.12));
  results.add(rows[1], "tungstate", 2, sample(90_000, 0.45)); // no other row beside it
  const cells = workersTable(results, 2)
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()));
  assert.equal(cells.length, 4); // ws has no samples
  assert.deepEqual(cells[2]?.slice(1, 4), ["Tungstate, 1 worker", "35 k", "20 us"]);
  assert.deepEqual(cells[3]?.slice(4, 10), ["5 us", "1", "0.25", "1.40 (1.20 - 1.60)", "1.60", "88 %"]);
});

test("workers double up to the number of cores", () => {
  assert.deepEqual([1, 2, 3, 4, 12].map(workerCounts), [[1], [1, 2], [1, 2, 3], [1, 2, 4], [1, 2, 4, 8, 12]]);
});

function socketsOf(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((file) => readlinkSync(join(folder, file)).startsWith("socket:")).length;
}
