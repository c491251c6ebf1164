/**
 * What had been received when an interval of `minDataRate` began, in which a message is in flight.
 */
export class DataRate {
  /** When the interval ends, in ms on the clock. */
  readonly checkAt: number;
  private readonly bytes: number;
  private readonly messages: number;

  constructor(checkAt: number, bytes: number, messages: number) {
    this.checkAt = checkAt;
    this.bytes = bytes;
    this.messages = messages;
  }

  /** Bytes that came in the interval, of `received` in all. */
  bytesSince(received: number): number {
    return received - this.bytes;
  }

  /** Whether a message was completed in the interval. */
  hasCompleted(received: number): boolean {
    return received > this.messages;
  }
}
