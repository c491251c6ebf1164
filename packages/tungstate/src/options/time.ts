/** The longest delay of a timer in ms. setTimeout takes longer ones for 1 ms. */
export const MAX_TIME = 2 ** 31 - 1;

/**
 * Returns what is wrong with an option that is an interval or a time limit; undefined for a valid
 * one. It must be an integer from `least` (default 1) to MAX_TIME, in ms: zero, Infinity and NaN
 * would make loops that never rest, or timers that fire at once.
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
