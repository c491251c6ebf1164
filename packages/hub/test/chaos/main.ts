// Plays what may happen to a hub of several nodes, with a model of what each client has seen.
// npm run chaos -- [--scenario NAME] [--seed N] [--clients N] [--channels N] [--publications N] [--rate N] [--rounds N]
import process from "node:process";
import { parseArgs } from "node:util";
import { play, SCENARIOS } from "./scenarios.ts";

const { values } = parseArgs({
  options: {
    scenario: { type: "string" },
    seed: { type: "string" },
    clients: { type: "string", default: "1000" },
    channels: { type: "string", default: "50" },
    publications: { type: "string", default: "10000" },
    rate: { type: "string", default: "1000" },
    rounds: { type: "string", default: "1" },
  },
});

function integer(name: "clients" | "channels" | "publications" | "rate" | "rounds" | "seed", text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  console.error(`chaos: --${name} has to be an integer of at least 1, got ${text}`);
  process.exit(2);
}

const { scenario: asked } = values;
const wanted = SCENARIOS.filter(({ name }) => asked === undefined || asked === name);
if (wanted.length === 0) {
  console.error(`chaos: there is no scenario ${asked ?? ""}. There are:`);
  for (const { name, what } of SCENARIOS) console.error(`  ${name.padEnd(18)} ${what}`);
  process.exit(2);
}
const firstSeed = values.seed === undefined ? 1 + Math.floor(Math.random() * 1_000_000) : integer("seed", values.seed);
let failed = 0;
for (let round = 0; round < integer("rounds", values.rounds); round++) {
  const seed = firstSeed + round;
  for (const scenario of wanted) {
    console.log(`\n${scenario.name} (--seed ${seed}): ${scenario.what}`);
    const { ok, lines } = await play(scenario, {
      seed,
      nodes: 3,
      clients: integer("clients", values.clients),
      channels: integer("channels", values.channels),
      publications: integer("publications", values.publications),
      rate: integer("rate", values.rate),
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
