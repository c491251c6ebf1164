// npm run soak -- [--minutes N] [--connections N] [--svg FILE]

import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { plot } from "./plot.ts";
import { soak } from "./run.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    connections: { type: "string", default: "2000" },
    svg: { type: "string", default: "soak.svg" },
  },
});

function number(name: "minutes" | "connections", least: number): number {
  const value = Number(values[name]);
  if (value >= least && value < Infinity) return value;
  console.error(`--${name} is a number of at least ${least}, not ${values[name]}`);
  process.exit(1);
}

const SAMPLES = 240;
const seconds = number("minutes", 0.1) * 60;
const connections = Math.floor(number("connections", 10));
const report = await soak({
  seconds,
  connections,
  every: Math.max(1, seconds / SAMPLES),
  onSample: (text) => console.log(text),
});
const title = `${connections} connections for ${values.minutes} minutes: ${report.messages} messages, ${report.reconnects} times connected again`;
writeFileSync(values.svg, plot(title, seconds, report.panels));
console.log(`${title}; plotted in ${values.svg}`);
for (const problem of report.problems) console.log(problem);
console.log(report.problems.length === 0 ? "flat" : "not flat");
process.exitCode = report.problems.length === 0 ? 0 : 1;
