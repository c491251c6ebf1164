import type { Clock } from "tungstate";

interface Timer {
  readonly at: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

/** Virtual time for a large number of timers, in a heap. */
export class SimulationClock implements Clock {
  private time = 0;
  private order = 0;
  private readonly heap: Timer[] = [];

  now(): number {
    return this.time;
  }

  after(delay: number, callback: () => void): () => void {
    const timer: Timer = { at: this.time + Math.max(0, delay), order: this.order++, callback };
    this.push(timer);
    return () => (timer.callback = undefined);
  }

  endOfTick(callback: () => void): void {
    setImmediate(callback);
  }

  /** Advances to a time. All timers due at the same time run in one event-loop tick. */
  async runUntil(end: number): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve)); // run what the timers caused
    for (let next = this.heap[0]; next !== undefined && next.at <= end; next = this.heap[0]) {
      this.time = next.at;
      for (let due = this.heap[0]; due !== undefined && due.at === this.time; due = this.heap[0]) {
        this.pop();
        due.callback?.();
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.time = end;
  }

  private push(timer: Timer): void {
    const { heap } = this;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent], timer)) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = timer;
  }

  /** Removes the first timer. */
  private pop(): void {
    const { heap } = this;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
      if (before(last, heap[child])) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
