/** The longest time that a timer can express, ms: setTimeout takes what is longer for 1 ms. */
export const MAX_TIME = 2 ** 31 - 1;

/**
 * What is wrong with an option that is an interval or a time-out; undefined: nothing. It must be an integer of milliseconds from `least` (default 1) to
 * MAX_TIME: zero, Infinity and NaN would make loops that never rest, or timers that end at once. Where an option can be off, it says so by a value of its
 * own, which is checked before.
 */
export function timeFault(name: string, value: unknown, least = 1): string | undefined {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= MAX_TIME) return undefined;
  const got =
    typeof value === "string"
      ? JSON.stringify(value.slice(0, 40))
      : typeof value === "number"
        ? String(value)
        : kindOf(value);
  return `${name} is milliseconds from ${least} to ${MAX_TIME}, got ${got}`;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined || typeof value === "boolean") return String(value);
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
