import type { Clock } from "./clock.ts";

/** One object for each clock, created when it is first needed. */
export class PerClock<T extends object> {
  readonly #create: (clock: Clock) => T;
  readonly #made = new WeakMap<Clock, T>();

  constructor(create: (clock: Clock) => T) {
    this.#create = create;
  }

  /** Returns the object of `clock`. */
  of(clock: Clock): T {
    let made = this.#made.get(clock);
    if (made === undefined) this.#made.set(clock, (made = this.#create(clock)));
    return made;
  }
}
