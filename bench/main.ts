// Entry point of npm run bench; `--help` lists the options.
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { commandLine, flag, integer, number, someOf, text } from "../scripts/command-line.mjs";
import { checkTable, compareRuns, isLoss, parseRecording, type Recording } from "./report/check.ts";
import { formatReport, writeDocument } from "./report/document.ts";
import { selectRows } from "./rows.ts";
import { DEFAULT_PEERS, PEER_NAMES } from "./runner/peers.ts";
import { type BenchOptions, runBench } from "./runner/run.ts";

interface Options extends BenchOptions {
  readonly write: boolean;
  readonly json: string | undefined;
  readonly recording: Recording | undefined;
}

function readOptions(): Options {
  const values = commandLine({
    command: "npm run bench --",
    summary: "Measures Tungstate and its peers side by side. The results are in docs/performance.md.",
    options: {
      rows: text({
        argument: "names",
        help: "rows or groups of rows (default: everyday, with --quick: quick)",
        read(names) {
          selectRows(names);
          return names;
        },
      }),
      peers: someOf({ of: PEER_NAMES, help: "peers to measure", byDefault: DEFAULT_PEERS }),
      rounds: integer({ least: 1, help: "rounds (default: 5, with --quick: 1)" }),
      seconds: number({ least: 0.01, most: 600, help: "seconds of each measurement (default: 2, with --quick: 0.4)" }),
      quick: flag("four rows, one round"),
      node: text({ argument: "path", help: "Node.js binary that runs the servers", byDefault: process.execPath }),
      json: text({ argument: "file", help: "file for the results as JSON" }),
      check: text({
        argument: "file",
        help: "compares ratios with a run recorded with --json; fails on a loss larger than the noise",
      }),
      write: flag("write results and plots to docs/performance.md"),
    },
  });
  const { quick, peers, node, json, write, check } = values;
  const rounds = values.rounds ?? (quick ? 1 : 5);
  const seconds = values.seconds ?? (quick ? 0.4 : 2);
  return {
    rows: selectRows(values.rows ?? (quick ? "quick" : "everyday")),
    peers,
    rounds,
    timing: { seconds, warmup: Math.min(seconds / 2, 1), scale: 1 },
    node,
    json,
    write,
    recording: check === undefined ? undefined : parseRecording(readFileSync(check, "utf8")),
    log: (line) => process.stderr.write(`${line}\n`),
  };
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

try {
  const { write, json, recording, ...options } = readOptions();
  const run = await runBench(options);
  const said = process.argv
    .slice(2)
    .filter((word, index, words) => !/^--json/.test(word) && words[index - 1] !== "--json");
  const command = ["npm run bench", ...(said.length > 0 ? ["--", ...said] : [])].join(" ");
  const report = formatReport(run, command);
  console.log(`\n${report}`);
  if (json !== undefined) writeFileSync(json, run.results.toJson());
  if (recording !== undefined) {
    const comparisons = compareRuns(run.results, recording);
    console.log(`\n${checkTable(comparisons)}`);
    if (comparisons.some(isLoss)) process.exitCode = 1;
  }
  if (write) for (const file of writeDocument(run, command)) console.log(`wrote ${file}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
