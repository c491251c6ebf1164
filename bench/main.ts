// npm run bench -- [--rows everyday] [--peers tungstate,ws,uws,bun,c] [--rounds 5] [--seconds 2] [--quick] [--node PATH] [--json FILE] [--write]
import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { formatReport, writeDocument } from "./report/document.ts";
import { selectRows } from "./rows.ts";
import { isPeerName, PEER_NAMES, type PeerName } from "./runner/peers.ts";
import { type BenchOptions, runBench } from "./runner/run.ts";

interface Options extends BenchOptions {
  readonly write: boolean;
  readonly json: string | undefined;
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: "string" },
      peers: { type: "string", default: PEER_NAMES.join(",") },
      rounds: { type: "string" },
      seconds: { type: "string" },
      quick: { type: "boolean", default: false },
      node: { type: "string", default: process.execPath },
      json: { type: "string" },
      write: { type: "boolean", default: false },
    },
  });
  const { quick, node, json, write } = values;
  const rounds = Number(values.rounds ?? (quick ? 1 : 5));
  const seconds = Number(values.seconds ?? (quick ? 0.4 : 2));
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds: expected a number above 0, got ${values.rounds}`);
  if (!(seconds > 0 && seconds <= 600)) throw new Error(`--seconds: expected a time above 0, got ${values.seconds}`);
  return {
    rows: selectRows(values.rows ?? (quick ? "quick" : "everyday")),
    peers: readPeers(values.peers),
    rounds,
    timing: { seconds, warmup: Math.min(seconds / 2, 1), scale: 1 },
    node,
    json,
    write,
    log: (line) => process.stderr.write(`${line}\n`),
  };
}

function readPeers(list: string): readonly PeerName[] {
  return list.split(",").map((name) => {
    if (!isPeerName(name)) throw new Error(`--peers: expected some of ${PEER_NAMES.join(", ")}; got ${name}`);
    return name;
  });
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

try {
  const { write, json, ...options } = readOptions(process.argv.slice(2));
  const run = await runBench(options);
  const said = process.argv
    .slice(2)
    .filter((word, index, words) => !/^--json/.test(word) && words[index - 1] !== "--json");
  const command = ["npm run bench", ...(said.length > 0 ? ["--", ...said] : [])].join(" ");
  const report = formatReport(run, command);
  console.log(`\n${report}`);
  if (json !== undefined) writeFileSync(json, run.results.toJson());
  if (write) for (const file of writeDocument(run, command)) console.log(`wrote ${file}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
