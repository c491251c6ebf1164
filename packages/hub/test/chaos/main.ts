// Runs failures of a hub of several nodes, with a model of what each client has seen. npm run
// chaos; `--help` lists the options.
import process from "node:process";
import { commandLine, integer, oneOf } from "../../../../scripts/command-line.mjs";
import { play, SCENARIOS } from "./scenarios.ts";

const values = commandLine({
  command: "npm run chaos --",
  summary: `Starts Redis, nodes and clients, and breaks something while publications are made. Each client checks what it is sent.

Scenarios:
${SCENARIOS.map(({ name, what }) => `  ${name.padEnd(18)} ${what}`).join("\n")}`,
  options: {
    scenario: oneOf({ of: SCENARIOS.map(({ name }) => name), help: "one scenario (default: all)" }),
    seed: integer({ least: 1, help: "seed of the first round", byDefault: 1 + Math.floor(Math.random() * 1_000_000) }),
    clients: integer({ least: 1, help: "clients", byDefault: 1000 }),
    channels: integer({ least: 1, help: "channels", byDefault: 50 }),
    publications: integer({ least: 1, help: "publications", byDefault: 10_000 }),
    rate: integer({ least: 1, help: "publications per second", byDefault: 1000 }),
    rounds: integer({ least: 1, help: "how often, each time with the next seed", byDefault: 1 }),
  },
});

const { scenario: asked, clients, channels, publications, rate } = values;
const wanted = SCENARIOS.filter(({ name }) => asked === undefined || asked === name);
let failed = 0;
for (let round = 0; round < values.rounds; round++) {
  const seed = values.seed + round;
  for (const scenario of wanted) {
    console.log(`\n${scenario.name} (--seed ${seed}): ${scenario.what}`);
    const { ok, lines } = await play(scenario, {
      seed,
      nodes: 3,
      clients,
      channels,
      publications,
      rate,
      timeout: 5_000,
      outage: 5_000,
      drainWindow: 3_000,
      log: console.log,
    });
    for (const line of lines) console.log(`           ${line}`);
    console.log(`${scenario.name}: ${ok ? "passed" : "FAILED"}`);
    if (!ok) failed++;
  }
}
process.exit(failed === 0 ? 0 : 1);
