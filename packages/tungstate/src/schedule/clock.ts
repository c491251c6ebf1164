import { systemTimers, type Timers } from "./timers.ts";

/** The source of time and event-loop ticks. Tests pass a virtual one. */
export interface Clock extends Timers {
  /** Calls `callback` after the I/O of this event-loop tick. */
  endOfTick(callback: () => void): void;
}

export const systemClock: Clock = {
  ...systemTimers,
  endOfTick: (callback) => {
    setImmediate(callback);
  },
};
