import type { Clock } from "./clock.ts";

/**
 * An entry of the timer wheel. It may move its deadline to a later time without notice. It is
 * notified once per deadline.
 */
export interface Timed {
  /** In ms on the clock; Infinity for none. */
  readonly deadline: number;
  /** The slot of the wheel, written by Deadlines; NOWHERE while it is in none. */
  slot: number;
  onDeadline(now: number): void;
}

/**
 * Slot of an entry that is in no slot. It is an integer, as all slots are: Infinity would cost
 * every connection a heap number.
 */
export const NOWHERE = 2 ** 31 - 1;

const SLOT = 25; // ms; deadlines are met up to this much late, and what the event loop adds
const LATE = 25; // ms

/**
 * A timer wheel: the deadlines of many connections behind one timer. Each entry is in the slot of
 * its deadline. When the slot is due and the deadline has moved, the entry moves to a later slot. A
 * frequent change, such as bytes that postpone a heartbeat, therefore costs nothing here.
 */
export class Deadlines {
  private readonly clock: Clock;
  private readonly width: number;
  private readonly slots = new Map<number, Set<Timed>>();
  /**
   * Origin of the slots in ms on the clock. A clock may count from 1970, and slots must stay small.
   */
  private readonly origin: number;
  private next = Infinity;
  private cancel: (() => void) | undefined;

  /** `width`: of a slot, in ms. Deadlines are met up to this much late. */
  constructor(clock: Clock, width = SLOT) {
    this.clock = clock;
    this.width = width;
    this.origin = Math.floor(clock.now());
  }

  /** Adds an entry. Call it when a deadline is new or has moved to an earlier time. */
  watch(timed: Timed): void {
    // NOWHERE: so late that it means never
    const slot = Math.min(Math.ceil((timed.deadline - this.origin) / this.width), NOWHERE);
    if (slot >= timed.slot) return; // it is checked in time
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
    // an unneeded timer would keep the process alive
    this.cancel?.();
    this.cancel = undefined;
    this.next = Infinity;
  }

  /** Removes all entries. */
  stop(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.next = Infinity;
    this.slots.clear();
  }

  private timeOf(slot: number): number {
    return this.origin + slot * this.width;
  }

  private arm(slot: number): void {
    this.cancel?.();
    this.next = slot;
    this.cancel = this.clock.after(Math.max(0, this.timeOf(slot) - this.clock.now()), () => {
      // the process was busy or suspended; peers are not to blame for what has arrived meanwhile
      // and is not read yet
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
      // an entry whose deadline did not move is done
      if (timed.deadline > now) this.watch(timed);
    }
    // if nothing is left in that slot, the timer only searches for the next one
    if (earliest < this.next && this.slots.size > 0) this.arm(earliest);
  }
}
