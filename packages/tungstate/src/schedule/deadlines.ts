import type { Clock } from "./clock.ts";

/** Something with a deadline, which it may move without telling as long as it moves it later. Each deadline is told once. */
export interface Timed {
  /** In ms on the clock; Infinity for none. */
  readonly deadline: number;
  /** Where it stands in the table of a Deadlines; NOWHERE while it does not. */
  slot: number;
  onDeadline(now: number): void;
}

/** A whole number, as all slots are: Infinity would cost every connection memory of its own for a number. */
export const NOWHERE = 2 ** 31 - 1;

const SLOT = 25; // ms; deadlines are met up to this much late, and what the event loop adds
const LATE = 25; // ms

/**
 * Deadlines of many connections behind one timer. Each stands in the slot of its deadline; when that comes and the deadline has moved on
 * meanwhile, it is put into a later slot. So what happens often, bytes that push a heartbeat back, costs nothing here.
 */
export class Deadlines {
  private readonly clock: Clock;
  private readonly slots = new Map<number, Set<Timed>>();
  /** What slots count from, in ms on the clock: a clock may count from 1970, and slots have to stay small. */
  private readonly origin: number;
  private next = Infinity;
  private cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
    this.origin = Math.floor(clock.now());
  }

  /** To be called when a deadline is new or has become earlier. */
  watch(timed: Timed): void {
    const slot = Math.min(Math.ceil((timed.deadline - this.origin) / SLOT), NOWHERE); // that far away is never
    if (slot >= timed.slot) return; // it will be looked at in time
    this.forget(timed);
    timed.slot = slot;
    const others = this.slots.get(slot);
    if (others === undefined) this.slots.set(slot, new Set([timed]));
    else others.add(timed);
    if (slot < this.next) this.arm(slot);
  }

  forget(timed: Timed): void {
    if (timed.slot === NOWHERE) return;
    const others = this.slots.get(timed.slot);
    others?.delete(timed);
    if (others?.size === 0) this.slots.delete(timed.slot);
    timed.slot = NOWHERE;
    if (this.slots.size > 0) return;
    // a timer that nobody needs would keep the process from ending
    this.cancel?.();
    this.cancel = undefined;
    this.next = Infinity;
  }

  private timeOf(slot: number): number {
    return this.origin + slot * SLOT;
  }

  private arm(slot: number): void {
    this.cancel?.();
    this.next = slot;
    this.cancel = this.clock.after(Math.max(0, this.timeOf(slot) - this.clock.now()), () => {
      // The process did something else for long, or stood still. What came meanwhile has yet to be read, and peers are not to blame.
      if (this.clock.now() - this.timeOf(slot) > LATE) this.clock.endOfTick(() => this.due());
      else this.due();
    });
  }

  private due(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.next = Infinity;
    const now = this.clock.now();
    const passed: Timed[] = [];
    let earliest = Infinity;
    for (const [slot, all] of this.slots) {
      if (this.timeOf(slot) > now) {
        earliest = Math.min(earliest, slot);
        continue;
      }
      this.slots.delete(slot);
      for (const timed of all) {
        timed.slot = NOWHERE;
        passed.push(timed);
      }
    }
    for (const timed of passed) {
      if (timed.deadline <= now) timed.onDeadline(now);
      // one that stays where it was has rung for good
      if (timed.deadline > now) this.watch(timed);
    }
    // if nothing is left in that slot, nothing happens then but the search for the next
    if (earliest < this.next && this.slots.size > 0) this.arm(earliest);
  }
}

const perClock = new WeakMap<Clock, Deadlines>();

/** The one Deadlines of a clock. */
export function deadlinesOf(clock: Clock): Deadlines {
  let deadlines = perClock.get(clock);
  if (deadlines === undefined) perClock.set(clock, (deadlines = new Deadlines(clock)));
  return deadlines;
}
