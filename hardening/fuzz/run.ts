import { type Kept, keptOf } from "./corpus.ts";
import { mutate } from "./mutate.ts";
import { hashOf, Random } from "./random.ts";
import type { Target } from "./target.ts";

export interface Finding {
  readonly target: string;
  readonly input: Uint8Array;
  /** Its number in the run; undefined for an input of the corpus. */
  readonly index: number | undefined;
  readonly message: string;
}

/** The inputs of a run. Each is determined by seed, target, number and the corpus. */
export class Inputs {
  private readonly target: Target;
  private readonly base: number;
  private readonly corpus: readonly Kept[];

  constructor(target: Target, seed: number, corpus: readonly Kept[] = keptOf(target.name)) {
    this.target = target;
    this.base = hashOf(`${target.name} ${seed}`);
    this.corpus = corpus;
  }

  /** A third are as generated, mostly valid. The others are mutated, or come from the corpus. */
  at(index: number): Uint8Array {
    const random = new Random((this.base + index) | 0);
    // not a Buffer, whose methods differ
    const generated = new Uint8Array(this.target.generate(random));
    if (random.chance(0.35)) return generated;
    const fromCorpus = this.corpus.length > 0 && random.chance(0.2);
    const input = fromCorpus ? random.pick(this.corpus).input : generated;
    return mutate(input, random, this.target.generate(random));
  }
}

/**
 * Returns the error's text if the input is a finding. Synchronous where possible: most targets need
 * no promise.
 */
export function tryInput(target: Target, input: Uint8Array): string | undefined | Promise<string | undefined> {
  try {
    return target.run(input)?.then(() => undefined, textOf);
  } catch (error) {
    return textOf(error);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

const SHRINK_TRIES = 2000;

/** Removes as much as possible while the input remains a finding. */
export async function shrink(target: Target, input: Uint8Array): Promise<Uint8Array> {
  let best = input;
  let tries = 0;
  for (let size = Math.ceil(best.length / 2); size > 0; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.length && tries < SHRINK_TRIES;) {
      const without = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      tries++;
      if ((await tryInput(target, without)) === undefined) at += size;
      else best = without;
    }
  }
  return new Uint8Array(best);
}

/**
 * Runs the inputs `from`, `from + step`, ... below `to`; the first finding ends the run.
 * `onProgress` is called with the number of inputs run.
 */
export async function runInputs(
  target: Target,
  seed: number,
  { from = 0, step = 1, to }: { readonly from?: number; readonly step?: number; readonly to: number },
  onProgress: (done: number) => void = () => undefined,
): Promise<Finding | undefined> {
  const inputs = new Inputs(target, seed);
  let done = 0;
  for (let index = from; index < to; index += step) {
    const input = inputs.at(index);
    const trying = tryInput(target, input);
    const message = trying instanceof Promise ? await trying : trying;
    if (message !== undefined) return { target: target.name, input, index, message };
    if (++done % PROGRESS_EVERY === 0) {
      onProgress(done);
      // a synchronous target would block the event loop
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  onProgress(done);
  return undefined;
}

const PROGRESS_EVERY = 1000;

/** Returns all kept inputs of a target. */
export async function runCorpus(target: Target): Promise<Finding | undefined> {
  for (const { input } of keptOf(target.name)) {
    const message = await tryInput(target, input);
    if (message !== undefined) return { target: target.name, input, index: undefined, message };
  }
  return undefined;
}
