import type { Clock } from "./clock.ts";
import { Queue } from "./queue.ts";

/** How long fan-out and replies may each block the event loop at the end of a tick, in ms. */
const SLICE = 8;
/**
 * Number of connections that each of the two may write to at the end of a tick; 32 KiB count as one
 * more. The socket writes follow in the next tick and take longer than the fan-out itself (about 10
 * µs each), so that time alone is no bound.
 */
const CONNECTIONS = 1_024;
const LARGE = 32 * 1024; // bytes
/** The budget of a tick in bytes: a connection costs LARGE, besides the bytes written to it. */
const BUDGET = CONNECTIONS * LARGE;
/** Number of messages between two looks at the clock. */
const LOOK_AFTER = 32;

/** The remaining budget of this tick. */
export class TickBudget {
  private readonly clock: Clock;
  private startedAt = 0;
  private left = BUDGET;
  private unseen = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  start(): void {
    this.startedAt = this.clock.now();
    this.left = BUDGET;
    this.unseen = 0;
  }

  get isOver(): boolean {
    return this.left <= 0;
  }

  /** A connection is written to. `isFirst`: for the first time in this tick. */
  wrote(isFirst: boolean, bytes: number): void {
    this.left -= isFirst ? LARGE + bytes : bytes;
  }

  /** Counts messages that were made or written since the last call. */
  passed(messages: number): void {
    this.unseen += messages;
    if (this.unseen < LOOK_AFTER) return;
    this.unseen = 0;
    if (this.clock.now() - this.startedAt >= SLICE) this.left = 0;
  }
}

interface Flushed {
  flush(): void;
}

/** A session with replies. */
interface Replying {
  endTick(): void;
}

/** A channel with something for its subscribers. */
interface FanningOut {
  /** Writes to as many subscribers as the budget allows. Returns false if there are more. */
  fanOut(budget: TickBudget): boolean;
}

/**
 * The work at the end of a tick, behind one callback: joins and leaves to the broker, then fan-out
 * of channels, then replies. Fan-out and replies have a budget each; the rest continues in the next
 * tick, behind channels that have waited longer.
 */
export class TickEnd {
  private readonly clock: Clock;
  private readonly budget: TickBudget;
  private first: Flushed[] = [];
  private readonly channels = new Queue<FanningOut>();
  private readonly outboxes = new Queue<Replying>();
  private isDue = false;
  private count = 0;
  private tick = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.budget = new TickBudget(clock);
  }

  /** Number of the last publication. */
  get last(): number {
    return this.count;
  }

  /** Assigns a number to a publication. */
  next(): number {
    return ++this.count;
  }

  /**
   * A connection is written to, whose last write was in the tick `before`. Returns the number of
   * this tick.
   */
  wrote(before: number, bytes: number): number {
    this.budget.wrote(before !== this.tick, bytes);
    return this.tick;
  }

  /** `each` may add channels, which are flushed after it. */
  addFirst(each: Flushed): void {
    this.first.push(each);
    this.schedule();
  }

  addChannel(channel: FanningOut): void {
    this.channels.add(channel);
    this.schedule();
  }

  addOutbox(outbox: Replying): void {
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
    this.tick++;
    for (const each of first) each.flush();
    budget.start();
    // each channel once: one that has more waits for the others
    for (let waiting = channels.size; waiting > 0 && !budget.isOver; waiting--) {
      const channel = channels.take();
      if (channel?.fanOut(budget) === false) channels.add(channel);
    }
    budget.start();
    while (outboxes.size > 0 && !budget.isOver) {
      outboxes.take()?.endTick();
      budget.passed(1);
    }
    if (channels.size + outboxes.size + this.first.length > 0) this.schedule();
  }
}
