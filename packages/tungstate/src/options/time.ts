import { invalidOption } from "@tungstate/protocol/internal";
import { describe } from "./describe.ts";

/** The longest delay of a timer in ms. setTimeout takes longer ones for 1 ms. */
export const MAX_TIME = 2 ** 31 - 1;

/**
 * Returns an option that is an interval or a time limit in ms, checked: an integer from `least`
 * (default 1) to MAX_TIME. Zero, Infinity and NaN would make loops that never rest, or timers that
 * fire at once.
 */
export function checkTime(name: string, value: unknown, least = 1): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= MAX_TIME) return value;
  throw invalidOption(name, `an integer from ${least} to ${MAX_TIME} (ms)`, value, describe(value));
}
