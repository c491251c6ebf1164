// Runs the given seeds one after the other and reports each result.

import process from "node:process";
import { parentPort } from "node:worker_threads";
import { forbidChance } from "./chance.ts";
import { type Outcome, simulate } from "./run.ts";

export interface Report extends Outcome {
  /** Whether the seed was run twice with the same result. */
  readonly same: boolean | undefined;
}

const port = parentPort;
if (port === null) throw new Error("this is for worker threads");

/** Errors that reached the event loop. */
const stray: string[] = [];
const note = (error: unknown): void => {
  stray.push(error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error));
};
process.on("uncaughtException", note).on("unhandledRejection", note);
forbidChance();

port.on("message", ({ seed, twice }: { readonly seed: number; readonly twice: boolean }) => {
  void (async () => {
    stray.length = 0;
    const outcome = await simulate(seed);
    const same = twice ? (await simulate(seed)).hash === outcome.hash : undefined;
    const failure = outcome.failure ?? (stray.length === 0 ? undefined : `reached the event loop: ${stray.join("; ")}`);
    port.postMessage({ ...outcome, failure, same } satisfies Report);
  })();
});
