/** Where lines go, one write at a time. It must not wait for a reader. */
export interface Sink {
  /** `done` is called once, also after a failure: what was written then is lost. */
  write(bytes: string, done: (error?: Error | null) => void): void;
  /** Writes at once as much as can be written without waiting. */
  writeNow(bytes: string): void;
}

export interface LineWriterOptions {
  /** Bytes of lines that may wait. */
  readonly maxBytes: number;
  /** The line that tells how many were dropped. */
  readonly dropped: (count: number) => string;
}

/** POSIX: a pipe takes up to PIPE_BUF bytes as a whole, so that lines of several processes do not mix. Linux has 4,096 bytes. */
const BATCH = 4096;

/**
 * Writes lines to a sink that may stop taking them. Lines wait up to a limit; beyond it new ones are dropped and counted, and the count is written
 * as soon as there is room. A line is never written in part.
 */
export class LineWriter {
  private readonly sink: Sink;
  private readonly options: LineWriterOptions;
  private queue: string[] = [];
  /** The next one of the queue. */
  private next = 0;
  private waiting = 0; // bytes
  private missing = 0; // lines since the last one that told of it
  private total = 0;
  private isWriting = false;
  private onIdle: (() => void)[] = [];

  constructor(sink: Sink, options: LineWriterOptions) {
    this.sink = sink;
    this.options = options;
  }

  /** Lines that were dropped since the beginning. */
  get droppedLines(): number {
    return this.total;
  }

  /** `line`: with its end. */
  write(line: string): void {
    const size = Buffer.byteLength(line);
    if (this.waiting + size > this.options.maxBytes) {
      this.missing++;
      this.total++;
      return;
    }
    this.queue.push(line);
    this.waiting += size;
    this.advance();
  }

  /** Resolves when all lines are written, or after so many ms. */
  flush(timeout: number): Promise<void> {
    if (!this.isWriting) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeout);
      this.onIdle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** For the end of the process: whatever can be written without waiting. */
  flushNow(): void {
    this.tellDropped();
    const rest = this.queue.slice(this.next).join("");
    this.queue = [];
    if (rest !== "") this.sink.writeNow(rest);
  }

  private advance(): void {
    if (this.isWriting) return;
    const batch = this.takeBatch();
    if (batch === "") {
      for (const resolve of this.onIdle.splice(0)) resolve();
      return;
    }
    this.isWriting = true;
    const size = Buffer.byteLength(batch);
    this.sink.write(batch, () => {
      this.isWriting = false;
      this.waiting -= size;
      this.tellDropped();
      this.advance();
    });
  }

  /** Whole lines: as many as fit into a batch, or one that is longer. */
  private takeBatch(): string {
    let batch = "";
    while (this.next < this.queue.length) {
      const line = this.queue[this.next] ?? "";
      if (batch !== "" && Buffer.byteLength(batch) + Buffer.byteLength(line) > BATCH) break;
      batch += line;
      this.next++;
    }
    if (this.next === this.queue.length) {
      this.queue = [];
      this.next = 0;
    }
    return batch;
  }

  private tellDropped(): void {
    if (this.missing === 0) return;
    const line = this.options.dropped(this.missing);
    this.missing = 0;
    this.queue.push(line);
    this.waiting += Buffer.byteLength(line);
  }
}
