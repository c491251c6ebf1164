import type { Heartbeat } from "@tungstate/protocol";
import type { MemoryLedger } from "../memory-ledger.ts";
import type { Clock } from "../../schedule/clock.ts";

export interface ReadAheadSettings {
  readonly receiveQueueSize: number;
  readonly readAheadSize: number;
  readonly memory: MemoryLedger;
  readonly heartbeat: Heartbeat | undefined;
  readonly clock: Clock;
}

const STALLED = 100; // ms in which a reader has taken nothing
const SLOW = 1_000; // ms in which a reader has not made room

/**
 * Decides when a connection reads from its stream, by what its receive queue holds.
 *
 * Above `receiveQueueSize` reading stops, so that the peer has to wait for the reader, until half
 * of that is left. Control frames and the end of the stream lie behind the data, so that they would
 * not be seen. Therefore a connection reads ahead when its reader takes nothing for STALLED ms, or
 * has made no room for SLOW ms: up to `readAheadSize` bytes more. A reader that takes something
 * again makes the peer wait again.
 *
 * Compressed messages that wait for room in the queue count as they came.
 *
 * Nothing is read ahead while more than half of the memory budget is in use.
 */
export class ReadAhead {
  /** Whether nothing is to be read for now. */
  full = false;
  /** When `check` is to be called; Infinity for never. */
  checkAt = Infinity;
  private readonly settings: ReadAheadSettings;
  /** Bytes in the queue, and of compressed messages behind it. */
  private size = 0;
  private ahead = false;
  /** Since when the queue holds more than `receiveQueueSize`, as far as this reading goes. */
  private since = 0;
  /** The reader has taken something since the last check. */
  private taken = false;

  constructor(settings: ReadAheadSettings) {
    this.settings = settings;
  }

  /** Whether nothing more is read however long the reader takes nothing. */
  get exhausted(): boolean {
    return this.full && (this.ahead || !this.allowed);
  }

  private get allowed(): boolean {
    return this.settings.readAheadSize > 0 && this.settings.memory.ample;
  }

  /**
   * A reader that is slow is looked at after so many ms. The end of a peer is to be seen about as
   * soon as its heartbeat is missed.
   */
  private get patience(): number {
    return Math.max(STALLED, Math.min(SLOW, this.settings.heartbeat?.interval ?? SLOW));
  }

  /** The reader has taken something, though as much may have moved up. */
  noteTaken(): void {
    this.taken = true;
  }

  /**
   * The queue holds `size` bytes now. Returns whether `full` has changed: true above the limit,
   * false again when the reader has made room.
   */
  measure(size: number): boolean {
    const { receiveQueueSize, readAheadSize, memory, clock } = this.settings;
    if (size < this.size) this.taken = true;
    this.size = size;
    if (this.ahead && size <= receiveQueueSize / 2) this.ahead = false;
    // under memory pressure, nothing more is read until the receive queue is empty
    const limit = memory.underPressure ? 0 : receiveQueueSize;
    const more = this.ahead && this.allowed ? readAheadSize : 0;
    const most = limit + more;
    const full = size > (this.full ? (more > 0 ? most - more / 2 : most / 2) : most);
    if (full === this.full) return false;
    this.full = full;
    if (full && !this.ahead) {
      this.since = clock.now();
      this.taken = false;
      this.checkAt = this.since + STALLED;
    } else if (!this.ahead) this.checkAt = Infinity;
    return true;
  }

  /** Looks at what the reader has done since the last time. */
  check(now: number): void {
    this.checkAt = Infinity;
    if (this.ahead) {
      if (this.taken) {
        this.ahead = false;
        this.since = now;
      }
    } else if (this.full && (!this.taken || now - this.since >= this.patience)) {
      this.ahead = this.allowed;
      this.full = false; // as far as the new limit goes: it is measured now
    }
    this.taken = false;
    this.measure(this.size);
    if (this.ahead || this.exhausted) this.checkAt = now + this.patience;
    else if (this.full) this.checkAt = now + STALLED;
  }
}
