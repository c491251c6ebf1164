// npm run abuse: `--help` lists the options.
import process from "node:process";
import { commandLine, number, someOf } from "../../scripts/command-line.mjs";
import { ATTACKS } from "./attacks.ts";
import { abuse, LIMITS } from "./run.ts";

const names = ATTACKS.map(({ name }) => name);
const { minutes, only } = commandLine({
  command: "npm run abuse --",
  summary: `Attacks tungstate serve with its default settings and a heap of 512 MB, beside honest clients that echo, publish, subscribe and recover. During each attack
no iteration of the event loop takes more than ${LIMITS.turn} ms, the 99th percentile of honest echoes stays below ${LIMITS.p99} ms and resident memory below ${LIMITS.rss / 1e6} MB,
the process goes on, and honest clients lose nothing.

Attacks:
${ATTACKS.map(({ name, what }) => `  ${name.padEnd(22)} ${what}`).join("\n")}`,
  options: {
    minutes: number({ least: 0.01, help: "how long each attack lasts", byDefault: 1 }),
    only: someOf({ of: names, help: "attacks", byDefault: names }),
  },
});

const rows = [["attack", "longest turn", "echo p99", "memory", "published", "lost", "verdict"]];
let isFine = true;
for (const attack of ATTACKS.filter(({ name }) => only.includes(name))) {
  process.stderr.write(`${attack.name}: ${attack.what}\n`);
  const { name, turn, p99, rss, published, lost, problems } = await abuse(attack, minutes * 60);
  if (problems.length > 0) isFine = false;
  const memory = `${(rss / 1e6).toFixed(0)} MB`;
  const verdict = problems.length === 0 ? "holds" : problems.join("; ");
  rows.push([name, `${turn.toFixed(0)} ms`, `${p99.toFixed(1)} ms`, memory, String(published), String(lost), verdict]);
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
