import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildCeiling, buildLoad, BUILT } from "../load/build.ts";
import { type LoadCommand, type LoadOptions, type LoadResult, runLoad } from "../load/run.ts";
import { formatReport } from "../report/document.ts";
import { selectRows } from "../rows.ts";
import { compileScripts } from "../runner/compile.ts";
import { runBench } from "../runner/run.ts";
import { type ServerProcess, startServer } from "../runner/server.ts";

// long enough to compare a reply on a machine that runs other tests
const TINY = { seconds: 0.6, warmup: 0.05, scale: 0.01 };

let load: LoadCommand;
before(async () => {
  load = { program: await buildLoad(), prefix: [] };
  await compileScripts([fileURLToPath(new URL("support/wrong-server.ts", import.meta.url))], join(BUILT, "servers"));
});

test("the benchmark measures ws in every kind of row and reports it", async () => {
  const rows = selectRows("echo-1,broadcast-1k,burst,handshakes,idle-5k,deflate-echo,echo-tls");
  const run = await runBench({ rows, peers: ["ws", "c"], rounds: 1, timing: TINY });
  const { results } = run;
  assert.deepEqual(results.failures(), []);
  assert.match(results.titles.get("ws") ?? "", /^ws 8\./);
  for (const row of results.rows) {
    const [sample] = results.of(row, "ws");
    assert.ok(sample !== undefined, row.name);
    assert.ok(Number.isFinite(sample[row.metric]), `${row.name}: ${JSON.stringify(sample)}`);
    assert.ok((sample.cpuUs ?? 0) > 0, `${row.name}: ${JSON.stringify(sample)}`);
  }
  const report = formatReport(run, "npm run bench");
  assert.match(report, /\| echo, 100 connections, 64 B, 1 in flight +\|.* us \|/);
});

test("the benchmark measures Tungstate on every route, with and without special options", async () => {
  const routes =
    "attach-echo-1,fastify-echo-1,serve-echo-1,serve-broadcast-64,serve-deflate-echo,https-echo-tls,tls-handshakes";
  const rows = selectRows(`${routes},transfer-64k`);
  const { results } = await runBench({ rows, peers: ["tungstate"], rounds: 1, timing: TINY });
  assert.deepEqual(results.failures(), []);
  for (const row of results.rows) {
    const [sample] = results.of(row, "tungstate");
    assert.ok((sample?.cpuUs ?? 0) > 0, `${row.name}: ${JSON.stringify(sample)}`);
  }
});

suite("the load generator", () => {
  let ceiling: ServerProcess;
  before(async () => (ceiling = await startServer([await buildCeiling()])));
  after(() => ceiling.stop());

  const sizes = [0, 1, 2, 125, 126, 127, 65_535, 65_536, 1_000_003];
  for (const bytes of sizes) {
    test(`sends and compares messages of ${bytes} bytes`, async () => {
      const options: LoadOptions = {
        mode: "echo",
        connections: 3,
        depth: 5,
        bytes,
        messages: 200,
        seconds: 10,
        warmup: 0,
      };
      const { messages, checked } = await runLoad(load, ceiling, options);
      assert.ok(messages >= 200 && checked > 0);
    });
  }

  test("counts what each subscriber received from several senders, in order", async () => {
    const options: LoadOptions = { mode: "broadcast", path: "/broadcast", connections: 20, senders: 3, depth: 4 };
    const { messages, checked } = await runLoad(load, ceiling, { ...options, messages: 5000, seconds: 10, warmup: 0 });
    assert.ok(messages >= 5000 && checked > 100);
  });

  test("reports quantiles that are consistent with the throughput", async () => {
    const options: LoadOptions = { mode: "echo", connections: 1, depth: 1, seconds: 0.2, warmup: 0 };
    const { latencyUs, perSecond } = await runLoad(load, ceiling, options);
    const { p50, p90, p99, p999, max } = latencyUs;
    assert.deepEqual(
      [p50, p90, p99, p999, max],
      [p50, p90, p99, p999, max].toSorted((a, b) => a - b),
    );
    // With one message at a time the mean is the inverse of the rate, and the median is at most
    // twice the mean.
    const mean = 1e6 / perSecond;
    assert.ok(p50 <= 2 * mean * 1.02 && max >= mean * 0.9, JSON.stringify({ latencyUs, mean }));
  });
});

suite("the load generator detects a wrong server", () => {
  const cases: [wrong: string, message: RegExp, options?: Partial<LoadOptions>][] = [
    ["byte", /is not what was sent/],
    ["byte", /is not what was sent/, { bytes: 100_000 }],
    ["byte", /is not what was sent/, { type: "text", bytes: 1 }],
    ["short", /has 63 bytes, expected 64/],
    ["order", /is not what was sent/, { depth: 2 }],
    ["close", /the server closed with 1011/],
  ];
  for (const [wrong, message, options = {}] of cases) {
    test(`${wrong} ${JSON.stringify(options)}`, async () => {
      await assert.rejects(() => echoFrom(wrong, { seconds: 1, ...options }), { message });
    });
  }

  test("accepts the same server without a fault", async () => {
    const { checked } = await echoFrom("", { seconds: 0.1 });
    assert.ok(checked > 0);
  });

  async function echoFrom(wrong: string, options: Partial<LoadOptions>): Promise<LoadResult> {
    const program = join(BUILT, "servers", "wrong-server.mjs");
    const server = await startServer(["env", `WRONG=${wrong}`, process.execPath, program]);
    try {
      return await runLoad(load, server, {
        mode: "echo",
        path: "/echo",
        connections: 2,
        bytes: 64,
        warmup: 0,
        ...options,
      });
    } finally {
      await server.stop();
    }
  }
});

test("a server that fails to start reports the reason", async () => {
  const command = [process.execPath, "-e", "console.error('no such thing'); process.exit(3)"];
  await assert.rejects(() => startServer(command), { message: "no such thing" });
});

test("an unknown row is rejected with the known names", () => {
  assert.throws(() => selectRows("echo-1,nonsense"), /^Error: expected some of .*echo-1.*; got nonsense$/);
});
