/** A figure over time. */
export interface Series {
  readonly name: string;
  /** Of the values: what one of them is in the unit that is shown. */
  readonly unit: string;
  readonly scale: number;
  readonly values: readonly number[];
  /** What is judged in place of the values; none where there is nothing to be judged. */
  readonly judged?: readonly number[];
  /** Growth up to this counts as none, whatever the rest is. */
  readonly floor: number;
}

export interface Verdict {
  readonly flat: boolean;
  /** What it has grown by in the part that is judged, by its trend. */
  readonly growth: number;
  /** What it may have grown by. */
  readonly allowed: number;
}

const WARM_UP = 0.25; // of a run: what compilers, pools and caches take to have what they need
const ALLOWED = 0.1; // of the median

/**
 * Whether a figure stays what it is. The first quarter is left out; of the rest the trend is taken (the median of the slopes between all pairs of values: Theil and
 * Sen), and what that comes to from the first value to the last must be no more than a tenth of the median, or the floor.
 */
export function judge({ values, judged: chosen = values, floor }: Series): Verdict {
  const judged = chosen.slice(Math.floor(chosen.length * WARM_UP));
  const slopes: number[] = [];
  for (const [at, value] of judged.entries()) {
    for (let later = at + 1; later < judged.length; later++) slopes.push(((judged[later] ?? 0) - value) / (later - at));
  }
  const growth = median(slopes) * Math.max(0, judged.length - 1);
  const allowed = Math.max(floor, median(judged) * ALLOWED);
  return { flat: growth <= allowed, growth, allowed };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return 0;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
