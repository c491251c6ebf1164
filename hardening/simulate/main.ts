// Entry point of npm run simulate; `--help` lists the options.

import { availableParallelism } from "node:os";
import process from "node:process";
import { commandLine, integer } from "../../scripts/command-line.mjs";
import { runSeeds } from "./pool.ts";
import { simulate } from "./run.ts";
import type { Report } from "./worker.ts";

const TWICE_EVERY = 20; // seeds
const REPORT_INTERVAL = 1_000; // seeds

const values = commandLine({
  command: "npm run simulate --",
  summary: "Runs worlds with bad networks, nodes that die and faulty brokers, each from a seed, in virtual time.",
  options: {
    seeds: integer({ least: 1, help: "how many seeds", byDefault: 1000 }),
    from: integer({ help: "the first seed", byDefault: 1 }),
    seed: integer({ help: "run this seed only, and print everything that happens" }),
    workers: integer({ least: 1, help: "processes", byDefault: availableParallelism() }),
  },
});

/** Prints everything that happens with one seed. */
async function replay(seed: number): Promise<boolean> {
  const { failure, hash } = await simulate(seed, (line) => console.log(line));
  console.log(failure === undefined ? `seed ${seed}: no failure, trace ${hash}` : `seed ${seed}: ${failure}`);
  return failure === undefined;
}

async function many(): Promise<boolean> {
  const batch = {
    from: values.from,
    count: values.seeds,
    twiceEvery: TWICE_EVERY,
    workers: values.workers,
  };
  const counts = new Map<string, number>();
  let done = 0;
  let twice = 0;
  let worst: Report | undefined;
  const started = performance.now();
  await runSeeds(batch, (report) => {
    done++;
    if (report.same !== undefined) twice++;
    for (const [what, times] of report.counts) counts.set(what, (counts.get(what) ?? 0) + times);
    if (done % REPORT_INTERVAL === 0) console.log(`${done} seeds`);
    const wrong = report.failure !== undefined || report.same === false;
    if (wrong && (worst === undefined || report.seed < worst.seed)) worst = report;
    return !wrong;
  });
  const seconds = (performance.now() - started) / 1000;
  console.log(`${done} seeds in ${seconds.toFixed(1)} s, ${twice} of them twice, in which there were`);
  for (const [what, times] of [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1))) console.log(`  ${times} ${what}`);
  if (worst === undefined) {
    console.log("no failure");
    return true;
  }
  for (const line of worst.tail.slice(-40)) console.log(line);
  console.log(`seed ${worst.seed}: ${worst.failure ?? "the second run differed from the first"}`);
  console.log(`npm run simulate -- --seed ${worst.seed}`);
  return false;
}

const fine = values.seed === undefined ? await many() : await replay(values.seed);
process.exitCode = fine ? 0 : 1;
