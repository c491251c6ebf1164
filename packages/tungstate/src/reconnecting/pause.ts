import type { Clock } from "../schedule/clock.ts";

/** A wait that can be cut short, but not below what the server has asked for. */
export interface Pause {
  /** Resolves when it is over. */
  readonly over: Promise<void>;
  /** Ends it as soon as may be: at once, or `earliest` ms after it began. */
  hurry(earliest: number): void;
  /** Ends it now. */
  end(): void;
}

/** Waits for `delay` ms. */
export function pause(clock: Clock, delay: number): Pause {
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
