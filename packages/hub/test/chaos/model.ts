const MOST_PROBLEMS = 20;

/** What all clients have seen: failures, and latencies. */
export class Record {
  /** Gaps, duplicates, wrong order. The first few are described. */
  readonly problems: string[] = [];
  problemCount = 0;
  /** Publications received, counted once for each client. */
  seen = 0;
  /** ms from publishing to the receipt by each client. */
  readonly latencies: number[] = [];
  /** Connections lost, or closed by the server. */
  disconnects = 0;
  /** Successful recoveries, and reported losses. */
  recovered = 0;
  toldLost = 0;
  /** How often the server made a client resubscribe (2500). */
  resubscribed = 0;

  problem(what: string): void {
    this.problemCount++;
    if (this.problems.length < MOST_PROBLEMS) this.problems.push(what);
  }

  /** Returns a percentile of the latency in ms. */
  percentile(of100: number): number {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * of100) / 100))] ?? 0;
  }
}

/**
 * A publication: its number in the channel, assigned by the publisher, and its time on this
 * process's clock.
 */
export interface Payload {
  readonly n: number;
  readonly at: number;
}

/**
 * One client's view of one channel. Each publication must follow the previous one, by the hub's
 * offset and by the publisher's number.
 */
export class View {
  readonly channel: string;
  /** Undefined before the first subscription. */
  position: { readonly offset: number; readonly epoch: string } | undefined;
  /** Number of the newest publication; undefined: any may follow. */
  newest: number | undefined;
  private readonly who: string;
  private readonly record: Record;

  constructor(who: string, channel: string, record: Record) {
    this.who = who;
    this.channel = channel;
    this.record = record;
  }

  /** The client is subscribed. */
  begin(result: {
    readonly offset?: number;
    readonly epoch?: string;
    readonly recovered?: boolean;
    readonly was_recovering?: boolean;
    readonly publications?: readonly { readonly offset?: number; readonly data: Payload }[];
  }): void {
    const { offset = 0, epoch = "", recovered = false, publications = [] } = result;
    const { position } = this;
    if (position !== undefined) {
      if (result.was_recovering !== true) this.problem("came back with a position, and was not taken for it");
      if (recovered) {
        this.record.recovered++;
        if (offset !== position.offset) this.problem(`stood at ${position.offset}, recovered from ${offset}`);
      } else {
        this.record.toldLost++;
        this.newest = undefined;
        if (publications.length > 0) this.problem("received publications, and was told that recovery failed");
      }
    }
    this.position = { offset, epoch };
    for (const publication of publications) this.see(publication);
  }

  see({ offset = 0, data }: { readonly offset?: number; readonly data: Payload }): void {
    const { position, newest } = this;
    if (position === undefined) {
      this.problem(`got offset ${offset} before it was subscribed`);
      return;
    }
    if (offset !== position.offset + 1) this.problem(`got offset ${offset} behind ${position.offset}`);
    if (newest !== undefined && data.n !== newest + 1) this.problem(`got number ${data.n} behind ${newest}`);
    this.position = { ...position, offset };
    this.newest = data.n;
    this.record.seen++;
    this.record.latencies.push(performance.now() - data.at);
  }

  private problem(what: string): void {
    this.record.problem(`${this.who} in ${this.channel} ${what}`);
  }
}
