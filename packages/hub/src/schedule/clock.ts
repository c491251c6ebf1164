import { MAX_TIME } from "tungstate/internal";

/** Where the hub has its time and its turns from, so that a test can bring its own. */
export interface Clock {
  /** Milliseconds that only ever go forward, from any origin. */
  now(): number;
  /** Unix time in milliseconds: for what is agreed with others, such as the expiry of a token. */
  unix(): number;
  /** Calls `callback` once after at least `delay` ms; the function returned prevents it. */
  after(delay: number, callback: () => void): () => void;
  /** Calls `callback` behind the I/O of this turn of the event loop. */
  endOfTick(callback: () => void): void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  unix: () => Date.now(),
  after: (delay, callback) => {
    // who waits longer looks at the time again
    const timer = setTimeout(callback, Math.min(delay, MAX_TIME));
    timer.unref(); // the hub alone keeps no process alive
    return () => clearTimeout(timer);
  },
  endOfTick: (callback) => {
    setImmediate(callback);
  },
};
