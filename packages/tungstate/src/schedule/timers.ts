import { MAX_TIME } from "../options/time.ts";

/** The source of time. */
export interface Timers {
  /** Returns milliseconds that never go back, from any origin. */
  now(): number;
  /**
   * Calls `callback` once after at least `delay` ms. Returns a function that cancels it.
   * `background`: the timer does not keep the process alive.
   */
  after(delay: number, callback: () => void, background?: boolean): () => void;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  after: (delay, callback, background = false) => {
    // a caller that waits longer checks the time again
    const timer: ReturnType<typeof setTimeout> | number = setTimeout(callback, Math.min(delay, MAX_TIME));
    // in browsers, a timer is a number
    if (background && typeof timer === "object") timer.unref();
    return () => clearTimeout(timer);
  },
};
