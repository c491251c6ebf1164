import type { Clock } from "../../schedule/clock.ts";

/**
 * The time limit of one handshake over HTTP/2. The wait for the SETTINGS of the server, for room in
 * its session, and for its response share it.
 */
export class HandshakeTime {
  readonly clock: Clock;
  /** The limit in ms. */
  readonly timeout: number;
  private began: number | undefined;

  constructor(clock: Clock, timeout: number) {
    this.clock = clock;
    this.timeout = timeout;
  }

  /** Begins to count at `now` in ms on the clock, unless it does already. */
  begin(now: number): void {
    this.began ??= now;
  }

  /** What is left in ms, at least 0. */
  get left(): number {
    const now = this.clock.now();
    return Math.max(0, this.timeout - (now - (this.began ?? now)));
  }
}
