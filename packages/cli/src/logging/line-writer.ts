/** A destination for lines that accepts one write at a time and never blocks. */
export interface Sink {
  /** Calls `done` once, also after a failure. After a failure the bytes are lost. */
  write(bytes: string, done: (error?: Error | null) => void): void;
  /** Synchronously writes as much as possible without blocking. */
  writeNow(bytes: string): void;
}

export interface LineWriterOptions {
  /** Maximum bytes of queued lines. */
  readonly maxBytes: number;
  /** Returns the line that reports dropped lines. */
  readonly dropped: (count: number) => string;
}

/**
 * POSIX: a pipe write of up to PIPE_BUF bytes is atomic, so lines of several processes do not mix.
 * PIPE_BUF is 4,096 on Linux.
 */
const BATCH = 4096;

/**
 * Writes lines to a sink that may stop accepting them. Queues lines up to a limit, drops and counts
 * further ones, and writes the count when there is room. Never writes part of a line.
 */
export class LineWriter {
  private readonly sink: Sink;
  private readonly options: LineWriterOptions;
  private queue: string[] = [];
  /** Index in the queue of the next line to write. */
  private next = 0;
  private queuedBytes = 0; // bytes
  private unreported = 0; // lines dropped since the last report
  private dropped = 0;
  private isWriting = false;
  private onIdle: (() => void)[] = [];

  constructor(sink: Sink, options: LineWriterOptions) {
    this.sink = sink;
    this.options = options;
  }

  /** Number of lines dropped since the start. */
  get droppedLines(): number {
    return this.dropped;
  }

  /** Queues a line. `line` includes its line ending. */
  write(line: string): void {
    const size = Buffer.byteLength(line);
    if (this.queuedBytes + size > this.options.maxBytes) {
      this.unreported++;
      this.dropped++;
      return;
    }
    this.queue.push(line);
    this.queuedBytes += size;
    this.advance();
  }

  /** Resolves when all lines are written, or after `timeout` ms. */
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

  /** Synchronously writes what the sink accepts. Call it when the process exits. */
  flushNow(): void {
    this.reportDropped();
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
      this.queuedBytes -= size;
      this.reportDropped();
      this.advance();
    });
  }

  /** Returns whole lines: as many as fit into a batch, or a single longer one. */
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

  private reportDropped(): void {
    if (this.unreported === 0) return;
    const line = this.options.dropped(this.unreported);
    this.unreported = 0;
    this.queue.push(line);
    this.queuedBytes += Buffer.byteLength(line);
  }
}
