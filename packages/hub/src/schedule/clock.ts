import type { Clock as ConnectionClock } from "tungstate";
import { MAX_TIME, systemClock as connectionClock } from "tungstate/internal";

/** Time and ticks of the hub. Tests replace it. */
export interface Clock extends ConnectionClock {
  /**
   * Returns Unix time in milliseconds, for times that others know too, such as the expiry of a
   * token.
   */
  unix(): number;
}

export const systemClock: Clock = {
  ...connectionClock,
  unix: () => Date.now(),
  after: (delay, callback) => {
    const timer = setTimeout(callback, Math.min(delay, MAX_TIME));
    timer.unref(); // the hub alone keeps no process alive
    return () => clearTimeout(timer);
  },
};
