/**
 * How often a value may be computed: `burst` times at once after a pause, then once every
 * `interval` ms.
 */
export interface ComputeRate {
  readonly interval: number;
  readonly burst: number;
}

/**
 * Caches a value that is expensive to compute. `get` recomputes it at most at the given rate and
 * otherwise returns the last value.
 */
export class CachedValue<T> {
  private readonly compute: () => T;
  private readonly rate: ComputeRate;
  private readonly now: () => number;
  /** How many times the value may be computed now. */
  private left: number;
  private at: number;
  private value: { readonly is: T } | undefined;

  /** `compute` may return a promise; callers share it while it is pending. `now` returns ms. */
  constructor(compute: () => T, rate: ComputeRate, now: () => number = () => performance.now()) {
    this.compute = compute;
    this.rate = rate;
    this.now = now;
    this.left = rate.burst;
    this.at = now();
  }

  get(): T {
    const now = this.now();
    const { interval, burst } = this.rate;
    const earned = (now - this.at) / interval;
    this.at = now;
    this.left = Math.min(burst, this.left + earned);
    if (this.value === undefined || this.left >= 1) {
      this.left = Math.max(0, this.left - 1);
      this.value = { is: this.compute() };
    }
    return this.value.is;
  }
}
