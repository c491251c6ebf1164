import type { Clock } from "./clock.ts";

interface Flushable {
  flushNow(): void;
}

/** Who has something to write, to be flushed together at the end of the turn: one write for all that a turn brought. */
export class Flusher {
  private readonly clock: Clock;
  private due: Flushable[] = [];
  private spare: Flushable[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(flushable: Flushable): void {
    if (this.due.push(flushable) === 1) this.clock.endOfTurn(this.run);
  }

  private readonly run = (): void => {
    const due = this.due;
    this.due = this.spare;
    for (const flushable of due) flushable.flushNow();
    due.length = 0;
    this.spare = due;
  };
}

const perClock = new WeakMap<Clock, Flusher>();

/** The one Flusher of a clock. */
export function flusherOf(clock: Clock): Flusher {
  let flusher = perClock.get(clock);
  if (flusher === undefined) perClock.set(clock, (flusher = new Flusher(clock)));
  return flusher;
}
