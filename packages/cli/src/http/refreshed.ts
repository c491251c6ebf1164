/** How often a value may be computed: `burst` times at once after a pause, and then once in each `interval` ms. */
export interface RefreshRate {
  readonly interval: number;
  readonly burst: number;
}

/** A value that costs something to compute, for callers that may ask for it at any rate: between two computations they get the last one. */
export class Refreshed<T> {
  private readonly compute: () => T;
  private readonly rate: RefreshRate;
  private readonly now: () => number;
  /** Times that it may be computed now. */
  private left: number;
  private at: number;
  private value: { readonly is: T } | undefined;

  /** `compute` may return a promise: callers share it while it is pending. `now`: ms. */
  constructor(compute: () => T, rate: RefreshRate, now: () => number = () => performance.now()) {
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
