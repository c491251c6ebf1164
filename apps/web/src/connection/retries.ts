import { OFFLINE_DELAY_MS, retryDelay, STABLE_MS } from "./backoff.ts";
import { type Ending, explainEnding } from "./reason.ts";

/** What follows from the end of a connection: a sentence for people, and in how many milliseconds to try again. */
export interface Consequence {
  readonly reason: string;
  readonly delay: number;
}

/** Counts failures: a connection that held for a while was a success. */
export class Retries {
  private failures = 0;
  private openedAt = 0;

  opened(): void {
    this.openedAt = Date.now();
  }

  ended(ending: Omit<Ending, "offline">): Consequence {
    if (ending.wasOpen && Date.now() - this.openedAt >= STABLE_MS) this.failures = 0;
    this.failures++;
    const offline = !navigator.onLine;
    return {
      reason: explainEnding({ ...ending, offline }),
      delay: offline ? OFFLINE_DELAY_MS : retryDelay(this.failures, ending.code, Math.random()),
    };
  }
}
