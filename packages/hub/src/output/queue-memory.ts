import type { MemoryBudget, MemoryPart } from "tungstate";
import type { SharedMessage } from "./connection.ts";
import type { HubMetrics } from "../metrics.ts";

/** Approximate bytes of memory of a queued message besides its text. */
const SLOT_BYTES = 32;

/** A session's queue. */
export interface Queueing {
  readonly queueBytes: number;
  /** Memory is low: closes the session and drops its queue. */
  overflow(): void;
}

/**
 * Counts data of a hub in the memory budget: messages in the queues of slow connections, each once,
 * frames whose commands have no reply yet, what the hub knows of clients, and replies to surveys.
 * When memory is low, the sessions with the longest queues are closed.
 */
export class QueueMemory {
  private readonly queues: MemoryPart;
  private readonly frames: MemoryPart;
  private readonly answers: MemoryPart;
  private readonly infos: MemoryPart;
  private readonly queueing = new Set<Queueing>();
  private readonly metrics: HubMetrics;

  constructor(budget: MemoryBudget, metrics: HubMetrics) {
    this.metrics = metrics;
    this.queues = budget.part("hub queues", { release: (excess) => this.release(excess) });
    this.frames = budget.part("hub frames");
    this.answers = budget.part("hub surveys");
    this.infos = budget.part("hub sessions");
  }

  /** A session starts to queue. */
  begin(queueing: Queueing): void {
    this.queueing.add(queueing);
  }

  /** The queue of a session is empty. */
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

  /** Adds bytes of waiting frames; negative ones subtract. */
  frame(bytes: number): void {
    this.frames.add(bytes);
  }

  /** Bytes of answers to this node's surveys, more or less. */
  surveys(bytes: number): void {
    if (bytes !== 0) this.answers.add(bytes);
  }

  /** Bytes of what the hub knows of clients, more or less. */
  sessions(bytes: number): void {
    if (bytes !== 0) this.infos.add(bytes);
  }

  private release(excess: number): number {
    const until = this.queues.held - excess;
    const longest = [...this.queueing].sort((a, b) => b.queueBytes - a.queueBytes);
    let ended = 0;
    for (const each of longest) {
      if (this.queues.held <= until) break;
      each.overflow();
      ended++;
    }
    return ended;
  }
}
