// npm run abuse: `--help` lists the options.
import process from "node:process";
import { commandLine, number, someOf } from "../../scripts/command-line.mjs";
import { ATTACKS } from "./attacks/all.ts";
import { abuse, LIMITS } from "./run.ts";

const names = ATTACKS.map(({ name }) => name);
const { minutes, only } = commandLine({
  command: "npm run abuse --",
  summary: `Attacks tungstate serve with its default settings and a heap of 512 MB, beside honest clients that echo, publish, subscribe and recover. During each attack
no iteration of the event loop takes more than ${LIMITS.tick} ms, the 99th percentile of honest echoes, less the delay of the honest clients' own process, stays below
${LIMITS.p99} ms, resident memory below ${LIMITS.rss / 1e6} MB and the log below ${LIMITS.log / 1e3} KB a second, the process goes on, and honest clients lose nothing. Still under
attack it gets SIGTERM twice, and ends with status 0.

Attackers run at the lowest priority, the server and the honest clients before other programs where that is permitted (root). On more than 2 cores the
server has 2, and attackers and honest clients the others.

Attacks:
${ATTACKS.map(({ name, what }) => `  ${name.padEnd(32)} ${what}`).join("\n")}`,
  options: {
    minutes: number({ least: 0.01, help: "how long each attack lasts", byDefault: 1 }),
    only: someOf({ of: names, help: "attacks", byDefault: names }),
  },
});

const rows = [
  [
    "attack",
    "longest tick",
    "lag",
    "echo p99",
    "own delay",
    "memory",
    "server",
    "attackers",
    "log",
    "published",
    "lost",
    "verdict",
  ],
];
let isFine = true;
// the server of the moment ends with this process
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
for (const attack of ATTACKS.filter(({ name }) => only.includes(name))) {
  process.stderr.write(`${attack.name}: ${attack.what}\n`);
  const result = await abuse(attack, minutes * 60);
  const { problems } = result;
  if (problems.length > 0) {
    isFine = false;
    process.stderr.write(`  ${problems.join("; ")}\n`);
  }
  rows.push([
    result.name,
    `${result.tick.toFixed(0)} ms`,
    `${result.lag.toFixed(0)} ms`,
    `${result.p99.toFixed(1)} ms`,
    `${result.ownDelay.toFixed(1)} ms`,
    `${(result.rss / 1e6).toFixed(0)} MB`,
    `${result.cores.server.toFixed(2)} cores`,
    `${result.cores.attackers.toFixed(2)} cores`,
    `${(result.log / 1e3).toFixed(1)} KB/s`,
    String(result.published),
    String(result.lost),
    problems.length === 0 ? "holds" : problems.join("; "),
  ]);
}
const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
for (const row of rows)
  console.log(
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
process.exit(isFine ? 0 : 1);
