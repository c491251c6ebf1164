// npm run simulate -- [--seeds COUNT] [--from SEED] [--seed SEED] [--workers COUNT]

import { availableParallelism } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { runSeeds } from "./pool.ts";
import { simulate } from "./run.ts";
import type { Report } from "./worker.ts";

const TWICE_EVERY = 20; // seeds
const TOLD_EVERY = 1_000; // seeds

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    workers: { type: "string", default: String(availableParallelism()) },
  },
});

function whole(name: "seeds" | "from" | "seed" | "workers", least: number): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= least) return value;
  console.error(`--${name} is a whole number of at least ${least}, not ${values[name]}`);
  process.exit(1);
}

/** One seed, with all that happens. */
async function replay(seed: number): Promise<boolean> {
  const { failure, hash } = await simulate(seed, (line) => console.log(line));
  console.log(failure === undefined ? `seed ${seed}: nothing wrong, trace ${hash}` : `seed ${seed}: ${failure}`);
  return failure === undefined;
}

async function many(): Promise<boolean> {
  const batch = {
    from: whole("from", 0),
    count: whole("seeds", 1),
    twiceEvery: TWICE_EVERY,
    workers: whole("workers", 1),
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
    if (done % TOLD_EVERY === 0) console.log(`${done} seeds`);
    const wrong = report.failure !== undefined || report.same === false;
    if (wrong && (worst === undefined || report.seed < worst.seed)) worst = report;
    return !wrong;
  });
  const seconds = (performance.now() - started) / 1000;
  console.log(`${done} seeds in ${seconds.toFixed(1)} s, ${twice} of them twice, in which there were`);
  for (const [what, times] of [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1))) console.log(`  ${times} ${what}`);
  if (worst === undefined) {
    console.log("nothing was wrong");
    return true;
  }
  for (const line of worst.tail.slice(-40)) console.log(line);
  console.log(`seed ${worst.seed}: ${worst.failure ?? "the second run was another one than the first"}`);
  console.log(`npm run simulate -- --seed ${worst.seed}`);
  return false;
}

const fine = values.seed === undefined ? await many() : await replay(whole("seed", 0));
process.exitCode = fine ? 0 : 1;
