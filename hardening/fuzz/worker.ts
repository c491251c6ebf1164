// A worker process: runs its share of a target's inputs and reports to its parent.
import process from "node:process";
import { type Finding, runInputs } from "./run.ts";
import { targetOf } from "./targets/all.ts";

export interface Share {
  readonly target: string;
  readonly seed: number;
  readonly from: number;
  readonly step: number;
  readonly to: number;
}

export type WorkerReport = { readonly done: number } | { readonly finding: Finding };

function send(report: WorkerReport): void {
  process.send?.(report);
}

async function work({ target, seed, ...range }: Share): Promise<void> {
  const finding = await runInputs(targetOf(target), seed, range, (done) => send({ done }));
  if (finding !== undefined) send({ finding });
  process.disconnect();
}

// the parent has exited: nobody would receive the findings
process.once("disconnect", () => process.exit());
process.once("message", (share: Share) => void work(share));
