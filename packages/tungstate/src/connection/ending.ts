/** Checks per closeTimeout: a peer that stops reading is given up at most this fraction late. */
const LOOKS = 8;

/**
 * Bytes that the systems of both ends may hold of one TCP connection (Linux: 4 MiB to be sent and 6
 * MiB received, unless set otherwise).
 */
const IN_SYSTEM = 10 * 1024 * 1024;

/** Progress of the output of a connection that has to end. */
export class Ending {
  /** Time of the next check in ms on the clock. */
  at: number;
  private readonly interval: number;
  private readonly since: number;
  /** Bytes sent when it began, and at the last check. */
  private readonly leftBefore: number;
  private left: number;

  constructor(now: number, left: number, closeTimeout: number) {
    this.interval = closeTimeout / LOOKS;
    this.at = now + this.interval;
    this.since = now;
    this.leftBefore = this.left = left;
  }

  /** Returns whether bytes were sent since the last check. */
  look(left: number): boolean {
    const more = left > this.left;
    this.left = left;
    return more;
  }

  /** Sets the time of the next check, if there is one. */
  next(now: number, isUnfinished: boolean): void {
    this.at = isUnfinished ? now + this.interval : Infinity;
  }

  /**
   * Returns the ms that the peer needs for output that the system has accepted, at the rate of the
   * earlier output. The amount in the buffers of both systems is unknown, and at most `sent` bytes.
   */
  timeInSystem(sent: number, now: number): number {
    const pace = (this.left - this.leftBefore) / (now - this.since); // bytes per ms
    return pace > 0 ? Math.min(sent, IN_SYSTEM) / pace : 0;
  }
}
