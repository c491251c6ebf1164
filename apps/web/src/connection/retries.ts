import { OFFLINE_DELAY_MS, retryDelay, STABLE_MS } from "./backoff.ts";
import { type Ending, explainEnding } from "./reason.ts";

/**
 * The result of a lost connection: a sentence for the user, and the delay in ms before the next
 * attempt.
 */
export interface Consequence {
  readonly reason: string;
  readonly delay: number;
}

/** Counts consecutive failures. A connection that lasted long enough resets the count. */
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
