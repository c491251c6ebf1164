import type { Clock } from "./clock.ts";

/** A connection, as the scheduler needs it. */
export interface ScheduledReader {
  /**
   * Processes `chunk[start..end)`, lent for the call, up to the end of the last frame that begins
   * before `until`. Returns where it has stopped: a message that is cut has to be put together
   * again.
   */
  processBytes(chunk: Uint8Array, start: number, end: number, until: number): number;
  /** Its turn has come. It calls `process` with the bytes that it kept. */
  onTurn(): void;
}

/** Bytes that are processed at once, whatever they cost: about 600 of the smallest frames. */
const PIECE = 4 * 1024;
/** ms of a tick that all connections with more bytes than a piece have together. */
const TICK = 8;
/** ms of a tick that one of them has. */
const SHARE = 2;
/** A piece that took less is followed by one of four times its size, ms. */
const CHEAP = 0.2;

/**
 * Shares the event loop between the connections that have bytes to process. A read may bring 320
 * KiB, which are 47,000 of the smallest frames, and an application's listener for each of them. A
 * connection gives way after 2 ms, or when all together have had 8 ms of the tick. It keeps the
 * rest of its bytes, and reads no more, until its next turn in a later tick. Reads of up to 4 KiB
 * are processed at once.
 */
export class ReadScheduler {
  private readonly clock: Clock;
  /** When the first large read of this tick began; undefined: there was none. */
  private tickBegan: number | undefined;
  private queue: ScheduledReader[] = [];
  private isAwaited = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Has the reader process bytes while it is its turn. Returns where they end that it has
   * processed: it keeps the rest and calls `enqueue`.
   */
  process(reader: ScheduledReader, chunk: Uint8Array, start: number, end: number): number {
    if (end - start <= PIECE) return reader.processBytes(chunk, start, end, end);
    let now = this.clock.now();
    const began = now;
    if (this.tickBegan === undefined) {
      this.tickBegan = now;
      this.awaitTick();
    }
    let size = PIECE;
    while (start < end && now - began < SHARE && now - this.tickBegan < TICK) {
      start = reader.processBytes(chunk, start, end, Math.min(end, start + size));
      const before = now;
      now = this.clock.now();
      if (now - before < CHEAP) size *= 4;
    }
    return start;
  }

  /** Has `onTurn` of the reader called in a later tick. */
  enqueue(reader: ScheduledReader): void {
    this.queue.push(reader);
    this.awaitTick();
  }

  private awaitTick(): void {
    if (this.isAwaited) return;
    this.isAwaited = true;
    this.clock.endOfTick(this.run);
  }

  private readonly run = (): void => {
    const { queue } = this;
    this.isAwaited = false;
    if (queue.length === 0) {
      this.tickBegan = undefined;
      return;
    }
    this.queue = [];
    const began = (this.tickBegan = this.clock.now());
    let next = 0;
    for (let now = began; next < queue.length && now - began < TICK; now = this.clock.now()) queue[next++]?.onTurn();
    // readers without a turn in this tick come before those that ask for another one
    this.queue = [...queue.slice(next), ...this.queue];
    // what is read next begins anew
    this.tickBegan = undefined;
    if (this.queue.length > 0) this.awaitTick();
  };
}
