import type { Clock } from "./clock.ts";
import { Queue } from "./queue.ts";

/** How long fan-out and replies each may hold up the event loop at the end of a tick, ms. */
const SLICE = 8;
/**
 * Connections that are written to at the end of a tick, by each of the two; 32 KiB count as one more. The writes to the sockets follow in the next tick and
 * take longer than the fan-out itself (about 10 us each), so that time alone bounds too little.
 */
const CONNECTIONS = 1_024;
const LARGE = 32 * 1024; // bytes
/** Messages between two looks at the clock. */
const LOOK_AFTER = 32;

/** What may still be done at the end of this tick. */
export class TickBudget {
  private readonly clock: Clock;
  private startedAt = 0;
  private left = CONNECTIONS;
  private unseen = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  start(): void {
    this.startedAt = this.clock.now();
    this.left = CONNECTIONS;
    this.unseen = 0;
  }

  get isOver(): boolean {
    return this.left <= 0;
  }

  /** A connection is written to. `isFirst`: in this tick. */
  wrote(isFirst: boolean, bytes: number): void {
    this.left -= isFirst ? 1 + bytes / LARGE : bytes / LARGE;
  }

  /** So many messages have been made or passed on since the last call. */
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
  private readonly outboxes = new Queue<Flushed>();
  private isDue = false;
  private count = 0;
  private tick = 0;

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

  /** A connection is written to, last in the tick `before`. Returns the number of this tick. */
  wrote(before: number, bytes: number): number {
    this.budget.wrote(before !== this.tick, bytes);
    return this.tick;
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

  addOutbox(outbox: Flushed): void {
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
    // each once: a channel that has more waits for the others
    for (let waiting = channels.size; waiting > 0 && !budget.isOver; waiting--) {
      const channel = channels.take();
      if (channel?.fanOut(budget) === false) channels.add(channel);
    }
    budget.start();
    while (outboxes.size > 0 && !budget.isOver) {
      outboxes.take()?.flush();
      budget.passed(1);
    }
    if (channels.size + outboxes.size + this.first.length > 0) this.schedule();
  }
}
