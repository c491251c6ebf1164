import type { Clock } from "../../src/schedule/clock.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** Lets everything that is under way in this process come to rest. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 4; round++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that stands still until it is told to go on. */
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

  /** What is being done takes so long: no timer goes off meanwhile. */
  spend(ms: number): void {
    this.time += ms;
  }

  /** Timers that have not gone off. */
  get pending(): number {
    return this.timers.size;
  }

  /** Goes on by `ms`, calling timers in their order, each at its time. */
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
