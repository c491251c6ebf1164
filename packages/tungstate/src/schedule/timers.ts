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
    const timer = setTimeout(callback, Math.min(delay, MAX_TIME));
    if (background) unref(timer);
    return () => clearTimeout(timer);
  },
};

/** In browsers, a timer is a number. */
function unref(timer: number | { unref(): unknown }): void {
  if (typeof timer === "object") timer.unref();
}
