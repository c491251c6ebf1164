import type { Clock } from "./clock.ts";

/** How coarse the agenda is, ms. */
const SLOT = 250;
const NOWHERE = -1;

/** Something that has a next deadline. `slot` is the agenda's to change. */
export interface Due {
  slot: number;
  /** The deadline has come. Returns when the next one is (as `set`), undefined for none. */
  due(now: number): number | undefined;
}

/** The slot of something that is on no agenda. */
export const NO_SLOT = NOWHERE;

/** Who is due when, up to a quarter of a second late: one timer for all, and setting a deadline costs O(1). */
export class Agenda {
  private readonly clock: Clock;
  private readonly slots = new Map<number, Set<Due>>();
  /** All slots up to this one have been seen to. */
  private seen: number;
  private stopTimer: (() => void) | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
    this.seen = Math.floor(clock.now() / SLOT);
  }

  /** `at` in ms of the clock; undefined: no deadline any more. */
  set(item: Due, at: number | undefined): void {
    const slot = at === undefined ? NOWHERE : Math.max(Math.ceil(at / SLOT), this.seen + 1);
    if (slot === item.slot) return;
    this.remove(item);
    if (slot === NOWHERE) return;
    item.slot = slot;
    const items = this.slots.get(slot);
    if (items === undefined) this.slots.set(slot, new Set([item]));
    else items.add(item);
    if (this.stopTimer === undefined) this.arm();
  }

  stop(): void {
    this.stopTimer?.();
    this.stopTimer = undefined;
    this.slots.clear();
  }

  private remove(item: Due): void {
    if (item.slot === NOWHERE) return;
    const items = this.slots.get(item.slot);
    items?.delete(item);
    if (items?.size === 0) this.slots.delete(item.slot);
    item.slot = NOWHERE;
  }

  private arm(): void {
    this.stopTimer = this.clock.after(SLOT, () => {
      this.stopTimer = undefined;
      this.tick();
      if (this.slots.size > 0 && this.stopTimer === undefined) this.arm();
    });
  }

  private tick(): void {
    const now = this.clock.now();
    const current = Math.floor(now / SLOT);
    // after a long sleep there are more slots to pass than there are in use
    const passed =
      current - this.seen > this.slots.size
        ? [...this.slots.keys()].filter((slot) => slot <= current).sort((a, b) => a - b)
        : Array.from({ length: current - this.seen }, (_, i) => this.seen + 1 + i);
    this.seen = current;
    for (const slot of passed) {
      const items = this.slots.get(slot);
      this.slots.delete(slot);
      for (const item of items ?? []) {
        if (item.slot !== slot) continue; // put elsewhere by an item before
        item.slot = NOWHERE;
        this.set(item, item.due(now));
      }
    }
  }
}
