import { MAX_TIME } from "../options/time.ts";

/** Where a connection has its time and its turns from, so that a test can bring its own. */
export interface Clock {
  /** Milliseconds that only ever go forward, from any origin. */
  now(): number;
  /** Calls `callback` once after at least `delay` ms; the function returned prevents it. */
  after(delay: number, callback: () => void): () => void;
  /** Calls `callback` behind the I/O of this turn of the event loop. */
  endOfTick(callback: () => void): void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (delay, callback) => {
    // who waits longer looks at the time again
    const timer = setTimeout(callback, Math.min(delay, MAX_TIME));
    return () => clearTimeout(timer);
  },
  endOfTick: (callback) => {
    setImmediate(callback);
  },
};
