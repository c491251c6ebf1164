import type { Clock } from "./clock.ts";

interface Flushable {
  flushNow(): void;
}

interface Distributor {
  distribute(): void;
}

interface Settleable {
  settle(): void;
}

const MANY = 32; // connections, of which the kernel's part, too, is still in the processor's caches when the last of them has been read

/**
 * Who has something to write, to be flushed together at the end of the turn: one write for all that a turn brought. Of connections that have only
 * answered their own peers there will be no more, so that these need not wait for each other: where a turn reads thousands, they are flushed by and by, as
 * long as their memory is at hand.
 */
export class Flusher {
  /** Who is being read now. */
  reading: Flushable | undefined;
  private readonly clock: Clock;
  private due: Flushable[] = [];
  private spare: Flushable[] = [];
  private feeds: Distributor[] = [];
  private unsettled: Settleable[] = [];
  private awaited = false;
  /** When this tick was first asked for the time; undefined where its end is not awaited. */
  private tickTime: number | undefined;
  /** More may come for those who wait: somebody was given something that is no answer to what came from his own peer. */
  private mixed = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(flushable: Flushable): void {
    this.due.push(flushable);
    if (flushable !== this.reading) this.mixed = true;
    if (!this.awaited) this.awaitEnd();
  }

  /** Nobody is flushed before the turn has ended: a Close is due, which is to come behind what may still be written. */
  holdAll(): void {
    this.mixed = true;
  }

  /** Whoever was being read has been. */
  wasRead(): void {
    this.reading = undefined;
    if (this.due.length >= MANY && !this.mixed && this.feeds.length === 0) this.flush();
  }

  /** The time, read once in a tick of the event loop at whose end something is flushed: reading the clock costs as much as reading a small frame. */
  now(): number {
    if (!this.awaited) return this.clock.now();
    return (this.tickTime ??= this.clock.now());
  }

  /** What it distributes is flushed in the same turn. */
  addBroadcasts(feed: Distributor): void {
    this.feeds.push(feed);
    if (!this.awaited) this.awaitEnd();
  }

  /** Calls `settle` at the end of this tick, behind all readers that were woken in it. */
  settleAtEnd(settleable: Settleable): void {
    this.unsettled.push(settleable);
    if (!this.awaited) this.awaitEnd();
  }

  private awaitEnd(): void {
    this.awaited = true;
    this.clock.endOfTick(this.run);
  }

  private readonly run = (): void => {
    if (this.feeds.length > 0) this.distribute();
    this.awaited = false;
    this.tickTime = undefined;
    if (this.feeds.length > 0) this.awaitEnd();
    this.mixed = false;
    this.flush();
    if (this.unsettled.length > 0) this.settle();
  };

  private settle(): void {
    const { unsettled } = this;
    this.unsettled = [];
    for (const each of unsettled) each.settle();
  }

  private flush(): void {
    const { due } = this;
    this.due = this.spare;
    for (const flushable of due) flushable.flushNow();
    due.length = 0;
    this.spare = due;
  }

  /** What is added meanwhile waits for the next turn, or one connection that answers a broadcast with another could keep this turn from ending. */
  private distribute(): void {
    const { feeds } = this;
    this.feeds = [];
    for (const feed of feeds) feed.distribute();
  }
}

const perClock = new WeakMap<Clock, Flusher>();

/** The one Flusher of a clock. */
export function flusherOf(clock: Clock): Flusher {
  let flusher = perClock.get(clock);
  if (flusher === undefined) perClock.set(clock, (flusher = new Flusher(clock)));
  return flusher;
}
