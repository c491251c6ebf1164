// Entry point of npm run soak; `--help` lists the options.

import { writeFileSync } from "node:fs";
import process from "node:process";
import { commandLine, integer, number, text } from "../../scripts/command-line.mjs";
import { plot } from "./plot.ts";
import { soak } from "./run.ts";

const values = commandLine({
  command: "npm run soak --",
  summary: "Keeps thousands of connections busy with a mix of work. Memory, handles and times must stay flat.",
  options: {
    minutes: number({ least: 0.1, help: "how long", byDefault: 10 }),
    connections: integer({ least: 10, help: "how many connections", byDefault: 2000 }),
    svg: text({ argument: "file", help: "where to plot the samples", byDefault: "soak.svg" }),
  },
});

const SAMPLES = 240;
const seconds = values.minutes * 60;
const { connections } = values;
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
