import type { OptionNames } from "../options/names.ts";
/** How long is waited between attempts. */
export interface BackoffOptions {
  /** The first wait is a random time from 0 to this, in ms; the next ones up to twice as long each. Default 2,000. */
  readonly initialDelay: number;
  /** The longest of these, in ms. Default 30,000. */
  readonly maxDelay: number;
  /** A connection that was open this long, in ms, was stable: the waits behind it begin with `initialDelay` again. Default 10,000. */
  readonly resetAfter: number;
}

export const BACKOFF_OPTIONS: OptionNames<BackoffOptions> = { initialDelay: true, maxDelay: true, resetAfter: true };

export const DEFAULT_BACKOFF: BackoffOptions = { initialDelay: 2_000, maxDelay: 30_000, resetAfter: 10_000 };

/** What the server has asked for: not before so many ms, and spread over so many behind that. */
export interface Hint {
  readonly notBefore: number;
  readonly spread: number;
}

export const NO_HINT: Hint = { notBefore: 0, spread: 0 };

/**
 * Exponential backoff with full jitter: each wait is a random time between nothing and a window that doubles. Clients that a server has
 * lost at the same moment come back spread over the whole window, and not in waves as they would with fixed waits (see
 * the simulation in bench/reconnect).
 */
export class Backoff {
  private readonly options: BackoffOptions;
  private readonly random: () => number;
  /** Waits since the last connection that was stable. */
  private waits = 0;
  private count = 1;

  /** `random` gives numbers from 0 to just below 1. */
  constructor(options: BackoffOptions, random: () => number) {
    this.options = options;
    this.random = random;
  }

  /** The number of the next attempt: from 1, and anew behind each connection that was stable. */
  get attempt(): number {
    return this.count;
  }

  /** An attempt has failed, or a connection that was open for `openFor` ms has ended. Gives the ms to wait. */
  next(openFor: number | undefined, hint: Hint = NO_HINT): number {
    const { initialDelay, maxDelay, resetAfter } = this.options;
    if (openFor !== undefined && openFor >= resetAfter) {
      this.waits = 0;
      this.count = 1;
    } else this.count++;
    const window = Math.min(maxDelay, initialDelay * 2 ** this.waits++);
    return Math.round(hint.notBefore + this.random() * Math.max(window, hint.spread));
  }
}
