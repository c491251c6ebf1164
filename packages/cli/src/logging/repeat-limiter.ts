const WINDOW = 1_000; // ms
const MAX_KEYS = 200; // keys counted separately in a window; further ones share one count

interface ValueType {
  seen: number;
  /** Reports how many lines were suppressed. */
  readonly report: (count: number) => void;
}

/**
 * Limits repeated lines to a number per second for each key. Suppressed lines are counted and
 * reported at the end of the second.
 */
export class RepeatLimiter {
  private readonly most: number;
  private readonly after: (delay: number, callback: () => void) => void;
  private kinds = new Map<string, ValueType>();

  /**
   * `most` is the number of lines for each key and second. `after` sets a timer that does not keep
   * the process alive.
   */
  constructor(most: number, after: (delay: number, callback: () => void) => void) {
    this.most = most;
    this.after = after;
  }

  allows(kind: string, report: (count: number) => void): boolean {
    const name = this.kinds.has(kind) || this.kinds.size < MAX_KEYS ? kind : "";
    let entry = this.kinds.get(name);
    if (entry === undefined) {
      if (this.kinds.size === 0) this.after(WINDOW, () => this.end());
      this.kinds.set(name, (entry = { seen: 0, report }));
    }
    return ++entry.seen <= this.most;
  }

  private end(): void {
    const ended = this.kinds;
    this.kinds = new Map();
    for (const { seen, report } of ended.values()) if (seen > this.most) report(seen - this.most);
  }
}
