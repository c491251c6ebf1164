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

/** However many cores there are. */
function rowOf(workers: number): Row {
  const [first] = selectRows("workers");
  assert.ok(first !== undefined);
  return { ...first, name: `workers-${workers}`, workers };
}

test("measures one and two workers of those that node:cluster can run, and says so in a report", async () => {
  const rows = [rowOf(1), rowOf(2)];
  const run = await runBench({ rows, peers: ["tungstate", "ws", "c"], rounds: 1, timing: TINY });
  assert.deepEqual(run.results.failures(), []);
  for (const row of rows) {
    assert.deepEqual(run.results.of(row, "c"), []);
    for (const peer of ["tungstate", "ws"] as const) {
      const [sample] = run.results.of(row, peer);
      // deflate alone takes more; a primary that does not serve, next to nothing
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
    test(`of ${name} share the connections`, async () => {
      const peer = (await preparePeers([name], process.execPath)).get(name);
      assert.ok(peer !== undefined && typeof peer !== "string");
      const server = await startServer(commandOf(peer, 2) ?? []);
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

  test("of a server that can't start end", async () => {
    const cluster = join(BUILT, "servers", "cluster.mjs");
    const started = startServer([process.execPath, cluster, "2", "/nowhere.mjs"]);
    await assert.rejects(started, /nowhere|node:internal/); // the first line of what Node says
  });
});

test("the load generator refuses what is no process", async () => {
  const command = { program: await buildLoad(), prefix: [] };
  const target = { pid: process.pid, workers: [NaN], port: 1 };
  await assert.rejects(() => runLoad(command, target, { mode: "echo" }), /pid: expected processes such as 12 or 12,13/);
});

test("the ideal is what is left beside the load", () => {
  const ideal = (workers: number, cores: number, serverUs: number, loadUs: number, serverBusy = 1): number =>
    idealRatio({ workers, cores, serverUs, serverBusy, loadUs });
  assert.equal(ideal(2, 2, 20, 0), 2);
  // a message takes both 25 us: 80,000 of them fill two cores, where one worker makes 50,000
  assert.equal(ideal(2, 2, 20, 5), 1.6);
  assert.equal(ideal(2, 8, 20, 5), 2);
  // one worker made 62,500 of the 80,000 before, with its threads; or had not all of its core
  assert.equal(ideal(2, 2, 20, 5, 1.25), 1.28);
  assert.equal(ideal(2, 2, 20, 5, 0.9), 1.6);
  // the load, on a core of its own, makes 200,000
  assert.equal(ideal(8, 16, 20, 5), 4);
});

test("the table has the ratio to one worker in the same round, and to the ideal", () => {
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
  results.add(rows[1], "tungstate", 2, sample(90_000, 0.45)); // no other beside it
  const cells = workersTable(results, 2)
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()));
  assert.equal(cells.length, 4); // of ws there is nothing
  assert.deepEqual(cells[2]?.slice(1, 4), ["Tungstate, 1 worker", "35 k", "20 us"]);
  assert.deepEqual(cells[3]?.slice(4, 10), ["5 us", "1", "0.25", "1.40 (1.20 - 1.60)", "1.60", "88 %"]);
});

test("as many workers as there are cores, doubled on the way", () => {
  assert.deepEqual([1, 2, 3, 4, 12].map(workerCounts), [[1], [1, 2], [1, 2, 3], [1, 2, 4], [1, 2, 4, 8, 12]]);
});

function socketsOf(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((file) => readlinkSync(join(folder, file)).startsWith("socket:")).length;
}
