// Entry point of npm run bench:hub; `--help` lists the options.
import process from "node:process";
import { commandLine, flag, integer, number, someOf } from "../../scripts/command-line.mjs";
import { formatHubReport, writeHubReport } from "./report.ts";
import { PEERS, ROW_NAMES, rowsAt } from "./rows.ts";
import { runHubBench } from "./run.ts";

const values = commandLine({
  command: "npm run bench:hub --",
  summary: "Measures the hub next to Socket.IO and to plain sockets.",
  options: {
    only: someOf({ of: ROW_NAMES, help: "rows", byDefault: ROW_NAMES }),
    peers: someOf({ of: PEERS, help: "peers to measure", byDefault: PEERS }),
    rounds: integer({ least: 1, most: 100, help: "rounds", byDefault: 3 }),
    seconds: number({ least: 0.01, most: 60, help: "seconds of each measurement", byDefault: 3 }),
    scale: number({ least: 0.001, most: 10, help: "multiplier for clients and channels", byDefault: 1 }),
    realtime: flag("run with real-time priority, if permitted"),
    write: flag("write the results to docs/performance.md"),
  },
});

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

try {
  const rows = rowsAt(values.scale);
  const run = await runHubBench({
    rows: values.only.map((name) => rows[name]),
    peers: values.peers,
    rounds: values.rounds,
    seconds: values.seconds,
    realtime: values.realtime,
    log: (line) => process.stderr.write(`${line}\n`),
  });
  const said = process.argv.slice(2);
  const command = ["npm run bench:hub", ...(said.length > 0 ? ["--", ...said] : [])].join(" ");
  console.log(`\n${formatHubReport(run, command)}`);
  if (values.write) console.log(`wrote ${writeHubReport(run, command)}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
