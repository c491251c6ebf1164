const WINDOW = 1_000; // ms
const MOST_KINDS = 200; // that are told apart in a window; more of them share one count

interface Kind {
  seen: number;
  /** Tells how many lines were left out. */
  readonly tell: (count: number) => void;
}

/** Lets through so many lines of a kind per second. What is left out is counted, and told at the end of that second. */
export class Repeats {
  private readonly most: number;
  private readonly after: (delay: number, callback: () => void) => void;
  private kinds = new Map<string, Kind>();

  /** `most`: lines of a kind per second. `after`: a timer that does not keep the process alive. */
  constructor(most: number, after: (delay: number, callback: () => void) => void) {
    this.most = most;
    this.after = after;
  }

  allows(kind: string, tell: (count: number) => void): boolean {
    const name = this.kinds.has(kind) || this.kinds.size < MOST_KINDS ? kind : "";
    let entry = this.kinds.get(name);
    if (entry === undefined) {
      if (this.kinds.size === 0) this.after(WINDOW, () => this.end());
      this.kinds.set(name, (entry = { seen: 0, tell }));
    }
    return ++entry.seen <= this.most;
  }

  private end(): void {
    const ended = this.kinds;
    this.kinds = new Map();
    for (const { seen, tell } of ended.values()) if (seen > this.most) tell(seen - this.most);
  }
}
