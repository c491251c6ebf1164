import type { Clock } from "../../src/schedule/clock.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** Waits until everything pending in this process has completed. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 4; round++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that stands still until it is advanced. */
export class VirtualClock implements Clock {
  private time = 1_000_000;
  private readonly offset = 1_700_000_000_000;
  private readonly timers = new Set<Timer>();

  now(): number {
    return this.time;
  }

  unix(): number {
    return this.offset + this.time;
  }

  after(delay: number, callback: () => void): () => void {
    const timer = { at: this.time + delay, callback };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }

  endOfTick(callback: () => void): void {
    setImmediate(callback);
  }

  /** Simulates work of that duration: no timer fires meanwhile. */
  spend(ms: number): void {
    this.time += ms;
  }

  /** Pending timers. */
  get pending(): number {
    return this.timers.size;
  }

  /** Advances by `ms` and fires timers in order, each at its time. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      await settle();
      const [next] = [...this.timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.timers.delete(next);
      this.time = Math.max(this.time, next.at);
      next.callback();
    }
    this.time = end;
    await settle();
  }
}
