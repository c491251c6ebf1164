const MOST_PROBLEMS = 20;

/** What all clients have seen, together: what is wrong with it, and how long it took. */
export class Record {
  /** What must not be: gaps, doubles, wrong order. The first few in words. */
  readonly problems: string[] = [];
  problemCount = 0;
  /** Publications seen, once for each client. */
  seen = 0;
  /** ms from publishing to each client's having it. */
  readonly latencies: number[] = [];
  /** Connections lost, or ended by the server. */
  disconnects = 0;
  /** Times that a client came back and got all that it had missed; and times that it was told that it can't. */
  recovered = 0;
  toldLost = 0;
  /** Times that the server sent a client back to a channel (2500). */
  resubscribed = 0;

  problem(what: string): void {
    this.problemCount++;
    if (this.problems.length < MOST_PROBLEMS) this.problems.push(what);
  }

  /** The latency in ms that so many of 100 stay below. */
  percentile(of100: number): number {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * of100) / 100))] ?? 0;
  }
}

/** What is published: its number in the channel, counted by the publisher, and when, on this process's clock. */
export interface Payload {
  readonly n: number;
  readonly at: number;
}

/** One client's view of one channel: each publication has to follow the one before, by the hub's count and by the publisher's. */
export class View {
  readonly channel: string;
  /** Undefined before the first subscription. */
  position: { readonly offset: number; readonly epoch: string } | undefined;
  /** The publisher's number of the newest one seen; undefined: any may come next. */
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
        if (publications.length > 0) this.problem("got publications, and was told that it can't");
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
