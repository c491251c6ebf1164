import type { Clock } from "../schedule/clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/**
 * A clock that advances only when a test calls `advance`. Ticks end with those of the real event
 * loop, so that streams work as usual.
 */
export class VirtualClock implements Clock {
  #time: number;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor(start = 0) {
    this.#time = start;
  }

  /** Returns the virtual time in ms. */
  now(): number {
    return this.#time;
  }

  /**
   * Calls `callback` once when the virtual time has advanced by `delay` ms. Returns a function that
   * cancels it.
   */
  after(delay: number, callback: () => void): () => void {
    const timer = { at: this.#time + Math.max(0, delay), order: this.#order++, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  endOfTick(callback: () => void): void {
    setImmediate(callback);
  }

  /** Number of pending timers. */
  get pending(): number {
    return this.#timers.size;
  }

  /**
   * Advances by `ms`, runs the timers that fall due in order of their time, and lets the event loop
   * run after each.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#time + ms;
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        if (timer.at > end) continue;
        if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order))
          next = timer;
      }
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#time = Math.max(this.#time, next.at);
      next.callback();
      await turn();
    }
    this.#time = end;
    await turn();
  }
}

/**
 * Waits two ticks: what a callback writes is flushed at the end of the first and read in the
 * second.
 */
async function turn(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
}
