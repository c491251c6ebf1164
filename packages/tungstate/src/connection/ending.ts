const LOOKS = 8; // in `closeTimeout`: so much later than it should be, at most, a peer that reads no more is given up

/**
 * Bytes that the systems of both ends may hold of one TCP connection (Linux: 4 MiB to be sent and 6
 * MiB received, unless set otherwise).
 */
const IN_SYSTEM = 10 * 1024 * 1024;

/** How the output of a connection that has to end gets on. */
export class Ending {
  /** When to look at it again, in ms on the clock. */
  at: number;
  private readonly interval: number;
  private readonly since: number;
  /** Bytes that had left when it began, and when it was last looked at. */
  private readonly leftBefore: number;
  private left: number;

  constructor(now: number, left: number, closeTimeout: number) {
    this.interval = closeTimeout / LOOKS;
    this.at = now + this.interval;
    this.since = now;
    this.leftBefore = this.left = left;
  }

  /** Returns whether bytes have left since the last look. */
  look(left: number): boolean {
    const more = left > this.left;
    this.left = left;
    return more;
  }

  /** Looks again later, or not any more. */
  next(now: number, isUnfinished: boolean): void {
    this.at = isUnfinished ? now + this.interval : Infinity;
  }

  /**
   * Returns the ms that the peer needs for output that the system has accepted, at the rate of the
   * earlier output. The amount in the buffers of both systems is unknown, and at most `sent` bytes.
   */
  timeInSystem(sent: number, now: number): number {
    const pace = (this.left - this.leftBefore) / (now - this.since); // bytes in a ms
    return pace > 0 ? Math.min(sent, IN_SYSTEM) / pace : 0;
  }
}
