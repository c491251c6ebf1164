/** A metric over time. */
export interface Series {
  readonly name: string;
  /** Divisor from values to the displayed unit. */
  readonly unit: string;
  readonly scale: number;
  readonly values: readonly number[];
  /** What is evaluated instead of the values; empty for nothing. */
  readonly evaluated?: readonly number[];
  /** Growth up to this value is ignored. */
  readonly floor: number;
}

export interface Evaluation {
  readonly flat: boolean;
  /** Growth in the evaluated part, by its trend. */
  readonly growth: number;
  /** Permitted growth. */
  readonly allowed: number;
}

const WARM_UP = 0.25; // fraction of a run that compilers, pools and caches need to fill
const ALLOWED = 0.1; // fraction of the median

/**
 * Returns whether a metric stays flat. The first quarter is ignored. The trend of the rest is the
 * median of the slopes between all pairs of values (Theil-Sen). The growth from the first value to
 * the last must not exceed a tenth of the median, or the floor.
 */
export function evaluate({ values, evaluated: chosen = values, floor }: Series): Evaluation {
  const evaluated = chosen.slice(Math.floor(chosen.length * WARM_UP));
  const slopes: number[] = [];
  for (const [at, value] of evaluated.entries()) {
    for (let later = at + 1; later < evaluated.length; later++)
      slopes.push(((evaluated[later] ?? 0) - value) / (later - at));
  }
  const growth = median(slopes) * Math.max(0, evaluated.length - 1);
  const allowed = Math.max(floor, median(evaluated) * ALLOWED);
  return { flat: growth <= allowed, growth, allowed };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return 0;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
