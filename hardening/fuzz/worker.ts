// A process of its own: runs one worker's share of a target's inputs, and tells whoever started it.
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

export type Told = { readonly done: number } | { readonly finding: Finding };

function tell(told: Told): void {
  process.send?.(told);
}

async function work({ target, seed, ...range }: Share): Promise<void> {
  const finding = await runInputs(targetOf(target), seed, range, (done) => tell({ done }));
  if (finding !== undefined) tell({ finding });
  process.disconnect();
}

// whoever started it is gone: nobody would hear of what it finds
process.once("disconnect", () => process.exit());
process.once("message", (share: Share) => void work(share));
