import type { OptionNames } from "../../options/names.ts";
/** Options of the waits between attempts. */
export interface BackoffOptions {
  /** Upper bound of the first random wait in ms; it doubles with each attempt. Default 2,000. */
  readonly initialDelay: number;
  /** Largest upper bound in ms. Default 30,000. */
  readonly maxDelay: number;
  /**
   * How long a connection must be open, in ms, for the waits to start with `initialDelay` again.
   * Default 10,000.
   */
  readonly resetAfter: number;
}

export const BACKOFF_OPTIONS: OptionNames<BackoffOptions> = { initialDelay: true, maxDelay: true, resetAfter: true };

export const DEFAULT_BACKOFF: BackoffOptions = { initialDelay: 2_000, maxDelay: 30_000, resetAfter: 10_000 };

/**
 * What the server asked for: wait at least `notBefore` ms, and spread the attempts over `spread` ms
 * more.
 */
export interface Hint {
  readonly notBefore: number;
  readonly spread: number;
}

export const NO_HINT: Hint = { notBefore: 0, spread: 0 };

/**
 * Exponential backoff with full jitter: each wait is a random time between zero and a window that
 * doubles. Clients that a server has lost at the same moment come back spread over the whole
 * window, not in waves as with fixed waits (see the simulation in bench/reconnect).
 */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  /** Waits since the last stable connection. */
  #waits = 0;
  #count = 1;

  /** `random` returns numbers from 0 to just below 1. */
  constructor(options: BackoffOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** Number of the next attempt, from 1; it starts again after a stable connection. */
  get attempt(): number {
    return this.#count;
  }

  /**
   * Returns the ms to wait after a failed attempt, or after a connection that was open for
   * `openFor` ms.
   */
  next(openFor: number | undefined, hint: Hint = NO_HINT): number {
    const { initialDelay, maxDelay, resetAfter } = this.#options;
    if (openFor !== undefined && openFor >= resetAfter) {
      this.#waits = 0;
      this.#count = 1;
    } else this.#count++;
    const window = Math.min(maxDelay, initialDelay * 2 ** this.#waits++);
    return Math.round(hint.notBefore + this.#random() * Math.max(window, hint.spread));
  }
}
