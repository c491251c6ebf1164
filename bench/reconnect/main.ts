// Simulates how 10,000 clients reconnect to a restarted server: node --import tsx
// bench/reconnect/main.ts. --write puts the plot into docs/guides.
import { writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { commandLine, flag } from "../../scripts/command-line.mjs";
import { plot } from "./plot.ts";
import { SCENARIOS } from "./scenarios.ts";
import { type Outcome, peak, simulate, timeUntil, totalAttempts } from "./simulation.ts";

const values = commandLine({
  command: "node --import tsx bench/reconnect/main.ts",
  summary: "Simulates how 10,000 clients reconnect to a restarted server.",
  options: { write: flag("write the plot to docs/guides") },
});

const outcomes: Outcome[] = [];
console.log(
  "| clients | attempts in the worst 100 ms | in the worst second | in total | 50% reconnected | 99% reconnected |",
);
console.log("| --- | --: | --: | --: | --: | --: |");
for (const scenario of SCENARIOS) {
  const outcome = await simulate(scenario);
  outcomes.push(outcome);
  const counts = [peak(outcome, 100), peak(outcome, 1_000), totalAttempts(outcome)].map((count) =>
    count.toLocaleString("en"),
  );
  const times = [timeUntil(outcome, 0.5), timeUntil(outcome, 0.99)].map((ms) =>
    ms === Infinity ? "not within a minute" : `${(ms / 1000).toFixed(1)} s`,
  );
  console.log(`| ${[scenario.name, ...counts, ...times].join(" | ")} |`);
}
if (values.write) {
  const file = fileURLToPath(new URL("../../docs/guides/reconnecting.svg", import.meta.url));
  writeFileSync(file, plot(outcomes));
  console.log(`wrote ${file}`);
}
process.exitCode = 0;
