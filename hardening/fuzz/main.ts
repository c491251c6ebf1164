// Entry point of npm run fuzz; `--help` lists the options.
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import process from "node:process";
import { commandLine, flag, integer, someOf, text } from "../../scripts/command-line.mjs";
import { keep, keptOf, readHex } from "./corpus.ts";
import { Coverage, reachesMore } from "./guide.ts";
import { type Finding, Inputs, runCorpus, shrink, tryInput } from "./run.ts";
import type { Target } from "./target.ts";
import { targetOf, TARGETS } from "./targets/all.ts";
import type { Share, WorkerReport } from "./worker.ts";

interface Options {
  readonly targets: readonly Target[];
  /** Inputs for each target; undefined: its default. */
  readonly inputs: number | undefined;
  readonly seed: number;
  readonly workers: number;
  /** The number of one input. */
  readonly only: number | undefined;
  /** A single input. */
  readonly file: string | undefined;
  /** Keep inputs that reach parts of the packages that no kept input reaches. */
  readonly grow: boolean;
}

function readOptions(): Options {
  const { fail, ...values } = commandLine({
    command: "npm run fuzz --",
    summary:
      "Fuzzes everything that a peer can send. A finding is minimised, kept in the corpus and printed with the command that replays it.",
    options: {
      target: someOf({ of: TARGETS.map(({ name }) => name), help: "targets to fuzz (default: all)" }),
      inputs: integer({ help: "inputs for each target (default: its own number)" }),
      seed: integer({ help: "seed of the inputs", byDefault: Date.now() % 1_000_000 }),
      workers: integer({ least: 1, help: "processes", byDefault: availableParallelism() }),
      only: integer({ help: "run the input with this number; requires one --target" }),
      file: text({ argument: "file", help: "run the input in this file of hexadecimal digits; requires one --target" }),
      grow: flag("add inputs to the corpus that reach code which no kept input reaches"),
    },
  });
  const { target, inputs, seed, workers, only, file, grow: isGrowing } = values;
  const targets = target === undefined ? TARGETS : target.map(targetOf);
  if ((only !== undefined || file !== undefined) && targets.length !== 1) {
    fail(`--only and --file require one --target, got ${targets.length}`);
  }
  return { targets, inputs, seed, workers, only, file, grow: isGrowing };
}

/** Distributes the inputs over processes. The first finding ends them all. */
async function runTarget(
  target: Target,
  { seed, inputs = target.inputs, workers }: Options,
): Promise<Finding | undefined> {
  const done = new Array<number>(workers).fill(0);
  const start = performance.now();
  const report = (end: string): void => {
    const count = done.reduce((sum, each) => sum + each, 0);
    const perSecond = Math.round((count / (performance.now() - start)) * 1000);
    if (process.stdout.isTTY || end === "\n")
      process.stdout.write(`\r${target.name}: ${count} inputs, ${perSecond} per second${end}`);
  };
  const running: ChildProcess[] = [];
  const shares = done.map((_, worker) => {
    const child = fork(new URL("worker.ts", import.meta.url), { serialization: "advanced" });
    running.push(child);
    child.send({ target: target.name, seed, from: worker, step: workers, to: inputs } satisfies Share);
    return new Promise<Finding | undefined>((resolve, reject) => {
      child.on("message", (message: WorkerReport) => {
        if ("finding" in message) {
          resolve(message.finding);
          return;
        }
        done[worker] = message.done;
        report("");
      });
      child.on("error", reject);
      // an uncaught error was printed; runs with fewer inputs show which input caused it
      child.on("exit", (code) =>
        code === 0 || child.killed
          ? resolve(undefined)
          : reject(
              new Error(`${target.name}, seed ${seed}: a worker exited with ${code} after ${done[worker]} inputs`),
            ),
      );
    });
  });
  try {
    const ended = Promise.all(shares).then((all) => all.find((each) => each !== undefined));
    const first = shares.map((share) => share.then((finding) => finding ?? ended));
    return await Promise.race(first);
  } finally {
    for (const child of running) child.kill();
    report("\n");
  }
}

async function send(target: Target, { input, index, message }: Finding, seed: number): Promise<void> {
  const small = await shrink(target, input);
  const file = keep(target.name, small);
  const replay =
    index === undefined ? "" : `npm run fuzz -- --target ${target.name} --seed ${seed} --only ${index}\nor, shorter, `;
  console.error(`✖ ${target.name}: ${message}\n\n${(await tryInput(target, small)) ?? "(only in the whole input)"}\n`);
  console.error(`replay: ${replay}npm run fuzz -- --target ${target.name} --file ${file}`);
}

/** Adds inputs to the corpus that V8's coverage finds useful, minimised. */
async function grow(target: Target, { seed, inputs: count = GROW_INPUTS }: Options): Promise<void> {
  const coverage = new Coverage();
  await coverage.start();
  for (const { input } of keptOf(target.name)) await target.run(input);
  await coverage.fresh();
  const inputs = new Inputs(target, seed);
  const kept: string[] = [];
  for (let index = 0; index < count; index++) {
    const input = inputs.at(index);
    if (input.length <= LARGEST_KEPT && (await reachesMore(coverage, target, input)))
      kept.push(keep(target.name, input));
  }
  coverage.stop();
  console.log([`${target.name}: ${count} inputs, ${kept.length} kept`, ...kept].join("\n"));
}

const GROW_INPUTS = 20_000;
const LARGEST_KEPT = 4096; // bytes

async function main(options: Options): Promise<boolean> {
  const [first] = options.targets;
  if (first !== undefined && (options.file !== undefined || options.only !== undefined)) {
    const input =
      options.file === undefined ? new Inputs(first, options.seed).at(options.only ?? 0) : readHex(options.file);
    const message = await tryInput(first, input);
    console.log(`${first.name}: ${Buffer.from(input).toString("hex")}\n${message ?? "all properties hold"}`);
    return message === undefined;
  }
  if (options.grow) {
    for (const target of options.targets) await grow(target, options);
    return true;
  }
  console.log(`seed ${options.seed}, ${options.workers} workers`);
  for (const target of options.targets) {
    const finding = (await runCorpus(target)) ?? (await runTarget(target, options));
    if (finding === undefined) continue;
    await send(target, finding, options.seed);
    return false;
  }
  return true;
}

process.exit((await main(readOptions())) ? 0 : 1);
