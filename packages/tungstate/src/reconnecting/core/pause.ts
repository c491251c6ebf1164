import type { Timers } from "../../schedule/timers.ts";

/** A wait that can be shortened, but not below what the server asked for. */
export interface Pause {
  /** Resolves at the end of the wait. */
  readonly over: Promise<void>;
  /** Ends the wait as soon as possible: now, or `earliest` ms after it began. */
  hurry(earliest: number): void;
  /** Ends the wait now. */
  end(): void;
}

/** Waits for `delay` ms. */
export function pause(clock: Timers, delay: number): Pause {
  const begin = clock.now();
  let end = (): void => undefined;
  const over = new Promise<void>((resolve) => (end = resolve));
  let planned = delay;
  let cancel = clock.after(delay, end);
  return {
    over,
    hurry: (earliest) => {
      const at = Math.max(earliest, clock.now() - begin);
      if (at >= planned) return;
      planned = at;
      cancel();
      cancel = clock.after(begin + at - clock.now(), end);
    },
    end: () => {
      cancel();
      end();
    },
  };
}
