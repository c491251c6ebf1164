import type { Clock } from "./clock.ts";

interface Flushable {
  flushNow(): void;
}

interface Distributor {
  distribute(): void;
}

interface Settleable {
  settle(): void;
}

/**
 * Connections; their memory, the kernel's included, is still in the processor's caches after the
 * last one was read.
 */
const MANY = 32;

/**
 * Flushes the connections with queued output at the end of the tick: one write for everything that
 * a tick has queued. Connections that only replied to their own peer are flushed in batches, while
 * their memory is still in the processor's cache.
 */
export class Flusher {
  /** The connection that is being read. */
  reading: Flushable | undefined;
  private readonly clock: Clock;
  /**
   * The first `dueCount` are due. The arrays keep their size: an array that is emptied has to grow
   * again in each tick.
   */
  private due: (Flushable | undefined)[] = [];
  private dueCount = 0;
  private spare: (Flushable | undefined)[] = [];
  private distributors: Distributor[] = [];
  private unsettled: Settleable[] = [];
  private awaited = false;
  /**
   * The time of this tick; undefined if it was not read, or if the end of the tick is not awaited.
   */
  private tickTime: number | undefined;
  /** Whether some queued output is not a reply to the peer being read, so that more may follow. */
  private mixed = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(flushable: Flushable): void {
    this.due[this.dueCount++] = flushable;
    if (flushable !== this.reading) this.mixed = true;
    if (!this.awaited) this.awaitEnd();
  }

  /**
   * Flushes no connection before the end of the tick: a Close is pending, which follows all output.
   */
  holdAll(): void {
    this.mixed = true;
  }

  /** The current connection has been read. */
  wasRead(): void {
    this.reading = undefined;
    if (this.dueCount >= MANY && !this.mixed && this.distributors.length === 0) this.flush();
  }

  /**
   * Returns the time. It is read once in a tick at whose end something is flushed: reading the
   * clock costs as much as reading a small frame.
   */
  now(): number {
    if (!this.awaited) return this.clock.now();
    return (this.tickTime ??= this.clock.now());
  }

  /** Adds a distributor, whose output is flushed within this tick. */
  addBroadcasts(distributor: Distributor): void {
    this.distributors.push(distributor);
    if (!this.awaited) this.awaitEnd();
  }

  /** Calls `settle` at the end of this tick, after all readers that were woken in it. */
  settleAtEnd(settleable: Settleable): void {
    this.unsettled.push(settleable);
    if (!this.awaited) this.awaitEnd();
  }

  private awaitEnd(): void {
    this.awaited = true;
    this.clock.endOfTick(this.run);
  }

  /** Flushes all connections at once: the process is about to end. */
  flushAll(): void {
    if (this.distributors.length > 0) this.distribute();
    this.flush();
  }

  private readonly run = (): void => {
    if (this.distributors.length > 0) this.distribute();
    this.awaited = false;
    this.tickTime = undefined;
    if (this.distributors.length > 0) this.awaitEnd();
    this.mixed = false;
    this.flush();
    if (this.unsettled.length > 0) this.settle();
  };

  private settle(): void {
    const { unsettled } = this;
    this.unsettled = [];
    for (const each of unsettled) each.settle();
  }

  private flush(): void {
    const { due, dueCount } = this;
    this.due = this.spare;
    this.dueCount = 0;
    for (let at = 0; at < dueCount; at++) {
      const flushable = due[at];
      due[at] = undefined;
      flushable?.flushNow();
    }
    this.spare = due;
  }

  /**
   * Distributors that are added meanwhile wait for the next tick. Otherwise two connections that
   * answer broadcasts with broadcasts could prevent the end of this tick.
   */
  private distribute(): void {
    const { distributors } = this;
    this.distributors = [];
    for (const distributor of distributors) distributor.distribute();
  }
}
