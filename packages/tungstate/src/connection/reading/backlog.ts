import type { ReadScheduler, ScheduledReader } from "../../schedule/read-scheduler.ts";

/**
 * Bytes that a connection has read and not processed yet, because its turn of the tick was over.
 */
export class Backlog {
  bytes: Uint8Array = NONE;
  /** The end of the stream, which came behind these bytes. */
  then: (() => void) | undefined;
  /** Whether it is queued with the scheduler. */
  isQueued = false;

  awaitTurn(scheduler: ReadScheduler, reader: ScheduledReader): void {
    if (this.isQueued) return;
    this.isQueued = true;
    scheduler.enqueue(reader);
  }

  /** Calls `end` behind what was added before. */
  addEnd(end: () => void): void {
    const { then: before } = this;
    this.then = () => {
      before?.();
      end();
    };
  }
}

const NONE = new Uint8Array(0);
