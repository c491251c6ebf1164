import type { Clock } from "./clock.ts";
import { Queue } from "./queue.ts";

/** How long work may block the event loop in one tick, in ms. */
const SLICE = 4;
/** Number of steps between two looks at the clock. */
const STEPS = 16;
/** Number of pieces of work that may wait for a store in one slice. */
const AT_ONCE = 16;

/** A piece of work. It neither throws nor rejects; undefined: it is done. */
export type Work = () => Promise<void> | undefined;

interface Waiting {
  readonly work: Work;
  /** Whether nothing else starts before it is done or the tick is over. */
  readonly alone: boolean;
}

/**
 * Shares the event loop: long work is done in slices of a few milliseconds, one per tick, in the
 * order of its arrival. A piece of work should take less than a slice; one with more to do asks for
 * another slice.
 */
export class TimeSlices {
  private readonly clock: Clock;
  private readonly waiting = new Queue<Waiting>();
  /** Whether this tick has had its slice. */
  private isOpen = false;
  /** Number of the slice: work that was started in an earlier one does not count in this one. */
  private slice = 0;
  private startedAt = 0;
  private unfinished = 0;
  private isAlone = false;
  private isStarting = false;
  /** When the first step outside of slices was done in this tick. */
  private tickBegan: number | undefined;
  private steps = 0;
  private late = false;
  /** Pieces of work that were started outside of slices and are not done. */
  private unsliced = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Number of pieces of work that wait. */
  get size(): number {
    return this.waiting.size;
  }

  /**
   * Whether work outside of slices has taken as long as a slice in this tick, so that the rest
   * should be added as work. `weight`: steps, of which 16 are done between two looks at the clock.
   */
  isLate(weight = 1): boolean {
    if (this.tickBegan === undefined) {
      this.tickBegan = this.clock.now();
      this.steps = 0;
      this.late = false;
      this.clock.endOfTick(() => (this.tickBegan = undefined));
    }
    this.steps += weight;
    if (this.steps >= STEPS && !this.late) {
      this.steps = 0;
      this.late = this.clock.now() - this.tickBegan >= SLICE;
    }
    return this.late;
  }

  /**
   * Whether a piece of work may start at once, outside of slices: nothing waits, and the tick has
   * time. If so, call `ended` when it is done.
   */
  begins(weight: number): boolean {
    if (this.size > 0 || this.unsliced >= AT_ONCE || this.isLate(weight)) return false;
    this.unsliced++;
    return true;
  }

  /** A piece of work that was allowed by `begins` is done. */
  ended(): void {
    this.unsliced--;
  }

  /** Whether this tick's slice is over. */
  get isOver(): boolean {
    return this.clock.now() - this.startedAt >= SLICE;
  }

  /**
   * Does the work in its turn: at once if nothing else waits and this tick's slice is not used up.
   */
  add(work: Work, alone = false): void {
    this.waiting.add({ work, alone });
    if (!this.isOpen) this.open();
    this.start();
  }

  /** Returns a loop over many items that yields: see `Loop`. */
  loop(): Loop {
    return new Loop(this);
  }

  /** Calls `work` with some of the items at a time, in order. Yields to other work in between. */
  async each<T>(
    items: readonly T[],
    atOnce: number,
    work: (some: readonly T[]) => void | Promise<void>,
  ): Promise<void> {
    const loop = this.loop();
    try {
      for (let at = 0; at < items.length; at += atOnce) {
        if (loop.isOver(atOnce)) await loop.next();
        await work(items.slice(at, at + atOnce));
      }
    } finally {
      loop.end();
    }
  }

  private open(): void {
    this.isOpen = true;
    this.slice++;
    this.startedAt = this.clock.now();
    this.unfinished = 0;
    this.isAlone = false;
    this.clock.endOfTick(() => {
      this.isOpen = false;
      if (this.size === 0) return;
      this.open();
      this.start();
    });
  }

  private start(): void {
    if (this.isStarting) return;
    this.isStarting = true;
    while (!this.isAlone && this.unfinished < AT_ONCE) {
      if (this.isOver) break;
      const next = this.waiting.take();
      if (next === undefined) break;
      const { work, alone } = next;
      const done = work();
      if (done === undefined) continue;
      const { slice } = this;
      this.unfinished++;
      this.isAlone = alone;
      void done.then(() => {
        if (slice !== this.slice) return;
        this.unfinished--;
        if (alone) this.isAlone = false;
        this.start();
      });
    }
    this.isStarting = false;
  }
}

/**
 * A loop over many items that gives way when its slice is over:
 *
 *     const loop = slices.loop();
 *     for (const item of items) {
 *       if (loop.isOver()) await loop.next();
 *       ...
 *     }
 *     loop.end();
 */
export class Loop {
  private readonly slices: TimeSlices;
  private steps = 0;
  /** Whether it has a slice: its work before counts as work outside of slices. */
  private isInSlice = false;
  private endSlice: (() => void) | undefined;

  constructor(slices: TimeSlices) {
    this.slices = slices;
  }

  /** Whether the slice is over. `weight`: the steps that this item counts for. */
  isOver(weight = 1): boolean {
    if (!this.isInSlice) return this.slices.isLate(weight);
    this.steps += weight;
    if (this.steps < STEPS) return false;
    this.steps = 0;
    return this.slices.isOver;
  }

  /** Resolves when the loop has another slice. */
  async next(): Promise<void> {
    this.end();
    await new Promise<void>((resolve) => {
      this.slices.add(() => {
        this.isInSlice = true;
        this.steps = 0;
        resolve();
        return new Promise<void>((end) => (this.endSlice = end));
      }, true);
    });
  }

  /** The loop is done. */
  end(): void {
    this.isInSlice = false;
    this.endSlice?.();
    this.endSlice = undefined;
  }
}
