import type { Clock } from "./clock.ts";

/** A connection, as the scheduler needs it. */
export interface ScheduledReader {
  /**
   * Processes `chunk[start..end)` up to the end of the last frame that begins before `until`. The
   * bytes are borrowed. Returns where it has stopped: it does not cut a message, which would have
   * to be joined again.
   */
  processBytes(chunk: Uint8Array, start: number, end: number, until: number): number;
  /** It is the turn of this connection. It calls `process` with the bytes that it kept. */
  onTurn(): void;
}

/** Bytes that are always processed at once: about 600 of the smallest frames. */
const PIECE = 4 * 1024;
/** Time in ms per tick for all connections with more bytes than a piece. */
const TICK = 8;
/** Time in ms per tick for one of them. */
const SHARE = 2;
/** After a piece that took less than this, in ms, the next one has four times its size. */
const CHEAP = 0.2;

/**
 * Shares the event loop between connections that have bytes to process. A read may bring 320 KiB:
 * 47,000 of the smallest frames, with a call of a listener for each. A connection yields after 2
 * ms, or when all together have used 8 ms of the tick. It keeps the rest of its bytes and reads no
 * more until its turn in a later tick. Reads of up to 4 KiB are processed at once.
 */
export class ReadScheduler {
  private readonly clock: Clock;
  /** When the first large read of this tick began; undefined if there was none. */
  private tickBegan: number | undefined;
  private queue: ScheduledReader[] = [];
  private isAwaited = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Lets the reader process bytes while it is its turn. Returns the offset of the first byte that
   * was not processed: the reader keeps the rest and calls `enqueue`.
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

  /** Calls `onTurn` of the reader in a later tick. */
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
    // the next read starts a new time
    this.tickBegan = undefined;
    if (this.queue.length > 0) this.awaitTick();
  };
}
