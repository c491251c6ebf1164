// Finds inputs that reach new parts of the packages, by V8's block coverage. It takes about a
// millisecond for each input, so it is used to build a corpus and not in long runs.
import { Session } from "node:inspector/promises";
import type { Target } from "./target.ts";

const OURS = /\/packages\/\w+\/dist\//;

export class Coverage {
  private readonly session = new Session();
  private readonly seen = new Set<string>();

  async start(): Promise<void> {
    this.session.connect();
    await this.session.post("Profiler.enable");
    await this.session.post("Profiler.startPreciseCoverage", { callCount: false, detailed: true });
  }

  /** Returns the number of blocks reached for the first time since the last call. */
  async fresh(): Promise<number> {
    const { result } = await this.session.post("Profiler.takePreciseCoverage");
    const before = this.seen.size;
    for (const { url, functions } of result) {
      if (!OURS.test(url)) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count > 0) this.seen.add(`${url} ${startOffset} ${endOffset}`);
        }
      }
    }
    return this.seen.size - before;
  }

  stop(): void {
    this.session.disconnect();
  }
}

/** Returns whether a run of the input reaches something new. */
export async function reachesMore(coverage: Coverage, target: Target, input: Uint8Array): Promise<boolean> {
  await target.run(input);
  return (await coverage.fresh()) > 0;
}
