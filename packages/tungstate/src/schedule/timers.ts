import { MAX_TIME } from "../options/time.ts";

/** The source of time. */
export interface Timers {
  /** Returns milliseconds that never go back, from any origin. */
  now(): number;
  /** Calls `callback` once after at least `delay` ms. Returns a function that cancels it. */
  after(delay: number, callback: () => void): () => void;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  after: (delay, callback) => {
    // a caller that waits longer checks the time again
    const timer = setTimeout(callback, Math.min(delay, MAX_TIME));
    return () => clearTimeout(timer);
  },
};
