import type { Clock } from "./clock.ts";
import { Queue } from "./queue.ts";

/** How long fan-out and replies may hold up the event loop at the end of a tick, ms. */
const SLICE = 4;
/**
 * Units of work at the end of a tick: a message for a connection is one, and so are 16 KiB of it. The write to the socket follows in the next tick and takes
 * longer than the fan-out itself, so that time alone bounds too little.
 */
const UNITS = 512;
/** Units between two looks at the clock. */
const LOOK_AFTER = 32;
const UNIT_BYTES = 16 * 1024;

/** Units that a message of `bytes` counts for each connection that it is written to. */
export function unitsOf(bytes: number): number {
  return 1 + bytes / UNIT_BYTES;
}

/** What may still be done at the end of this tick. */
export class TickBudget {
  private readonly clock: Clock;
  private startedAt = 0;
  private left = 0;
  private unseen = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** A new tick. */
  start(): void {
    this.startedAt = this.clock.now();
    this.left = UNITS;
    this.unseen = 0;
  }

  get isOver(): boolean {
    return this.left <= 0;
  }

  spend(units: number): void {
    this.left -= units;
    this.unseen += units;
    if (this.unseen < LOOK_AFTER) return;
    this.unseen = 0;
    if (this.clock.now() - this.startedAt >= SLICE) this.left = 0;
  }
}

interface Flushed {
  flush(): void;
}

/** Replies of one session. */
interface Replies extends Flushed {
  readonly replySize: number;
}

/** A channel with something for its subscribers. */
interface FanningOut {
  /** Gives it to as many subscribers as the budget allows. False: there are more. */
  fanOut(budget: TickBudget): boolean;
}

/**
 * What is to be done at the end of this tick: one callback for all. Joins and leaves to the broker, then what channels have for their
 * subscribers, then replies. Each of the two has a budget; what it does not suffice for goes on in the next tick, behind the channels that have waited longer.
 */
export class TickEnd {
  private readonly clock: Clock;
  private readonly budget: TickBudget;
  private first: Flushed[] = [];
  private readonly channels = new Queue<FanningOut>();
  private readonly outboxes = new Queue<Replies>();
  private isDue = false;
  private count = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.budget = new TickBudget(clock);
  }

  /** The number of the last publication. */
  get last(): number {
    return this.count;
  }

  /** Numbers a publication. */
  next(): number {
    return ++this.count;
  }

  /** `each` may add channels, which are flushed behind it. */
  addFirst(each: Flushed): void {
    this.first.push(each);
    this.schedule();
  }

  addChannel(channel: FanningOut): void {
    this.channels.add(channel);
    this.schedule();
  }

  addOutbox(outbox: Replies): void {
    this.outboxes.add(outbox);
    this.schedule();
  }

  private schedule(): void {
    if (this.isDue) return;
    this.isDue = true;
    this.clock.endOfTick(() => this.run());
  }

  private run(): void {
    this.isDue = false;
    const { first, budget, channels, outboxes } = this;
    this.first = [];
    for (const each of first) each.flush();
    budget.start();
    // each once: a channel that has more waits for the others
    for (let waiting = channels.size; waiting > 0 && !budget.isOver; waiting--) {
      const channel = channels.take();
      if (channel?.fanOut(budget) === false) channels.add(channel);
    }
    budget.start();
    while (outboxes.size > 0 && !budget.isOver) {
      const outbox = outboxes.take();
      budget.spend(unitsOf(outbox?.replySize ?? 0));
      outbox?.flush();
    }
    if (channels.size + outboxes.size + this.first.length > 0) this.schedule();
  }
}
