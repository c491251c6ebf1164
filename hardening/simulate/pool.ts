import { Worker } from "node:worker_threads";
import type { Report } from "./worker.ts";

export interface Batch {
  readonly from: number;
  readonly count: number;
  /** Interval in seeds at which one is run twice. */
  readonly twiceEvery: number;
  readonly workers: number;
}

/**
 * Runs seeds in worker threads. Reports are passed on as they complete; returning false from
 * `onReport` stops it.
 */
export async function runSeeds(batch: Batch, onReport: (report: Report) => boolean): Promise<void> {
  const { from, count, twiceEvery } = batch;
  let next = from;
  let open = true;
  await Promise.all(
    Array.from({ length: Math.min(batch.workers, count) }, async () => {
      const worker = new Worker(new URL("start-worker.mjs", import.meta.url));
      try {
        while (open && next < from + count) {
          const seed = next++;
          const report = await ask(worker, { seed, twice: (seed - from) % twiceEvery === 0 });
          if (!onReport(report)) open = false;
        }
      } finally {
        await worker.terminate();
      }
    }),
  );
}

function ask(worker: Worker, question: { readonly seed: number; readonly twice: boolean }): Promise<Report> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      worker.off("message", onReport).off("error", onError).off("exit", onExit);
    };
    const onReport = (report: Report): void => {
      settle();
      resolve(report);
    };
    const onError = (error: Error): void => {
      settle();
      reject(error);
    };
    const onExit = (code: number): void => onError(new Error(`the worker of seed ${question.seed} ended with ${code}`));
    worker.on("message", onReport).on("error", onError).on("exit", onExit);
    worker.postMessage(question);
  });
}
