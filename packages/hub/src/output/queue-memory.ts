import type { MemoryBudget, MemoryPart } from "tungstate";
import type { SharedMessage } from "./connection.ts";
import type { HubMetrics } from "../metrics.ts";

/** Bytes of memory that a message takes in a queue besides its text, about. */
const SLOT_BYTES = 32;

/** A session's queue of messages that its connection does not take. */
export interface Queueing {
  readonly queueBytes: number;
  /** Memory is short: ends the session, and forgets its queue. */
  giveUp(): void;
}

/**
 * What waits for the clients of a hub, counted in the memory budget: in the queues of slow connections, each message once however many wait for
 * it, and in frames whose commands are not answered yet. Where memory is short, the sessions with the longest queues end.
 */
export class QueueMemory {
  private readonly queues: MemoryPart;
  private readonly frames: MemoryPart;
  private readonly queueing = new Set<Queueing>();
  private readonly metrics: HubMetrics;

  constructor(budget: MemoryBudget, metrics: HubMetrics) {
    this.metrics = metrics;
    this.queues = budget.part("hub queues", { release: (excess) => this.release(excess) });
    this.frames = budget.part("hub frames");
  }

  /** A session begins to queue. */
  begin(queueing: Queueing): void {
    this.queueing.add(queueing);
  }

  /** Nothing waits for it any more. */
  end(queueing: Queueing): void {
    this.queueing.delete(queueing);
  }

  added(message: SharedMessage): void {
    this.metrics.queueBytes += message.size;
    this.queues.add(message.waiting++ === 0 ? message.size + SLOT_BYTES : SLOT_BYTES);
  }

  removed(message: SharedMessage): void {
    this.metrics.queueBytes -= message.size;
    this.queues.add(--message.waiting === 0 ? -message.size - SLOT_BYTES : -SLOT_BYTES);
  }

  /** Bytes of frames that wait, more or less. */
  frame(bytes: number): void {
    this.frames.add(bytes);
  }

  private release(excess: number): number {
    const until = this.queues.held - excess;
    const longest = [...this.queueing].sort((a, b) => b.queueBytes - a.queueBytes);
    let ended = 0;
    for (const each of longest) {
      if (this.queues.held <= until) break;
      each.giveUp();
      ended++;
    }
    return ended;
  }
}
