// npm run bench:hub -- [--only fanout,storm] [--peers tungstate,socketio,sockets,c] [--rounds 3] [--seconds 3] [--scale 0.1] [--realtime] [--write]
import process from "node:process";
import { parseArgs } from "node:util";
import { formatHubReport, writeHubReport } from "./report.ts";
import { PEERS, ROW_NAMES, rowsAt } from "./rows.ts";
import { runHubBench } from "./run.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: ROW_NAMES.join(",") },
    peers: { type: "string", default: PEERS.join(",") },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "3" },
    scale: { type: "string", default: "1" },
    realtime: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});

function someOf<Name extends string>(option: string, list: string, names: readonly Name[]): readonly Name[] {
  return list.split(",").map((word) => {
    const name = names.find((each) => each === word);
    if (name === undefined) throw new Error(`--${option}: expected some of ${names.join(", ")}; got ${word}`);
    return name;
  });
}

function positive(option: "rounds" | "seconds" | "scale", most: number): number {
  const value = Number(values[option]);
  if (!(value > 0 && value <= most) || (option === "rounds" && !Number.isInteger(value)))
    throw new Error(`--${option}: expected a number above 0, at most ${most}; got ${values[option]}`);
  return value;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

try {
  const rows = rowsAt(positive("scale", 10));
  const run = await runHubBench({
    rows: someOf("only", values.only, ROW_NAMES).map((name) => rows[name]),
    peers: someOf("peers", values.peers, PEERS),
    rounds: positive("rounds", 100),
    seconds: positive("seconds", 60),
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
