import type { Clock } from "./clock.ts";

interface Flushable {
  flushNow(): void;
}

interface Distributor {
  distribute(): void;
}

/** Who has something to write, to be flushed together at the end of the turn: one write for all that a turn brought. */
export class Flusher {
  private readonly clock: Clock;
  private due: Flushable[] = [];
  private spare: Flushable[] = [];
  private feeds: Distributor[] = [];
  private awaited = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(flushable: Flushable): void {
    this.due.push(flushable);
    if (!this.awaited) this.awaitEnd();
  }

  /** What it distributes is flushed in the same turn. */
  addFeed(feed: Distributor): void {
    this.feeds.push(feed);
    if (!this.awaited) this.awaitEnd();
  }

  private awaitEnd(): void {
    this.awaited = true;
    this.clock.endOfTurn(this.run);
  }

  private readonly run = (): void => {
    if (this.feeds.length > 0) this.distribute();
    this.awaited = false;
    if (this.feeds.length > 0) this.awaitEnd();
    const due = this.due;
    this.due = this.spare;
    for (const flushable of due) flushable.flushNow();
    due.length = 0;
    this.spare = due;
  };

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
