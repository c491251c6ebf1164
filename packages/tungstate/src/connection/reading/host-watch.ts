import type { Heartbeat } from "@tungstate/protocol";
import type { Clock } from "../../schedule/clock.ts";
import type { Transport } from "../../transport/transport.ts";

/**
 * Retransmissions or window probes in a row without an answer that are no chance: on Linux, more
 * than a second of silence.
 */
const MIN_UNANSWERED = 3;

/**
 * Finds out whether the host of the peer is gone while nothing is read, so that no pong can be
 * seen. While nothing is in transit, TCP keep-alive does. It does not while a ping is in transit;
 * then the system is asked whether the host acknowledges it.
 */
export class HostWatch {
  private readonly transport: Transport;
  private readonly heartbeat: Heartbeat;
  private readonly clock: Clock;
  private isAsking = false;
  /** Since when the host is known not to answer. */
  private silentSince: number | undefined;
  private unanswered = 0;

  constructor(transport: Transport, heartbeat: Heartbeat, clock: Clock) {
    this.transport = transport;
    this.heartbeat = heartbeat;
    this.clock = clock;
    transport.keepAlive(heartbeat.interval / 3);
  }

  /** Bytes are read again, so that the heartbeat sees answers. */
  reset(): void {
    this.silentSince = undefined;
  }

  /** Asks the system, and calls `lost` if the host has not answered for `heartbeat.timeout`. */
  check(lost: (unanswered: number) => void): void {
    if (this.isAsking || this.transport.closed) return;
    this.isAsking = true;
    void this.transport.unansweredSends().then((unanswered) => {
      this.isAsking = false;
      if (this.isLost(unanswered ?? 0)) lost(this.unanswered);
    });
  }

  private isLost(unanswered: number): boolean {
    const before = this.unanswered;
    this.unanswered = unanswered;
    // the host has answered
    if (unanswered < MIN_UNANSWERED || unanswered < before) this.silentSince = undefined;
    if (unanswered < MIN_UNANSWERED) return false;
    const now = this.clock.now();
    this.silentSince ??= now;
    return now - this.silentSince >= this.heartbeat.timeout;
  }
}
