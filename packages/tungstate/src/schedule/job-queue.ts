/** One job of a queue. */
export interface Job<R> {
  /** Undefined if the job was cancelled. */
  readonly result: Promise<R | undefined>;
  /** Ends the job at once, whether it runs or waits. */
  cancel(): void;
}

/** Runs a limited number of jobs at a time, in the order in which they were added. */
export class JobQueue {
  /** Number of jobs that run. */
  running = 0;
  private readonly most: number;
  private readonly queued = new Set<() => void>();

  /** `most`: number of jobs that run at the same time. */
  constructor(most: number) {
    this.most = most;
  }

  /** Number of jobs that wait. */
  get waiting(): number {
    return this.queued.size;
  }

  /**
   * Adds a job. `begin` starts it, is given a function to call at its end, and returns a function
   * that stops it. If `begin` throws, for example because memory is low, `failed` returns the
   * result.
   */
  add<R>(
    begin: (end: (result: R | undefined) => void) => () => void,
    failed: (error: unknown) => R | undefined,
  ): Job<R> {
    let settle: (result: R | undefined) => void;
    const result = new Promise<R | undefined>((resolve) => (settle = resolve));
    let stop: (() => void) | undefined;
    let isOver = false;
    const finish = (value: R | undefined): void => {
      if (isOver) return;
      isOver = true;
      settle(value);
      if (this.queued.delete(start)) return;
      this.running--;
      stop?.();
      this.startNext();
    };
    const start = (): void => {
      this.running++;
      try {
        stop = begin(finish);
      } catch (error) {
        finish(failed(error));
      }
    };
    this.queued.add(start);
    this.startNext();
    return { result, cancel: () => finish(undefined) };
  }

  private startNext(): void {
    for (const start of this.queued) {
      if (this.running >= this.most) return;
      this.queued.delete(start);
      start();
    }
  }
}
