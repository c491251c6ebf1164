// Entry point of npm run bench:ws; `--help` lists the options.
import process from "node:process";
import { commandLine, flag, integer, number, someOf } from "../../scripts/command-line.mjs";
import { formatSockets, writeSockets } from "./report.ts";
import { ROW_NAMES, ROWS } from "./rows.ts";
import { runSockets } from "./run.ts";

const values = commandLine({
  command: "npm run bench:ws --",
  summary: "Measures @tungstate/ws and ws with the same programs. The results are in docs/performance.md.",
  options: {
    rows: someOf({ of: ROW_NAMES, help: "rows", byDefault: ROW_NAMES }),
    rounds: integer({ least: 1, most: 100, help: "rounds", byDefault: 5 }),
    seconds: number({ least: 0.01, most: 60, help: "seconds of each measurement", byDefault: 2 }),
    write: flag("write the results to docs/performance.md"),
  },
});

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

try {
  const run = await runSockets({
    rows: ROWS.filter(({ name }) => values.rows.includes(name)),
    rounds: values.rounds,
    timing: { seconds: values.seconds, warmup: Math.min(values.seconds / 2, 1), scale: 1 },
    log: (line) => process.stderr.write(`${line}\n`),
  });
  const said = process.argv.slice(2);
  const command = ["npm run bench:ws", ...(said.length > 0 ? ["--", ...said] : [])].join(" ");
  console.log(`\n${formatSockets(run, command)}`);
  if (values.write) console.log(`wrote ${writeSockets(run, command)}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
