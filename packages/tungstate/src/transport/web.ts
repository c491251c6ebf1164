import { argumentError } from "@tungstate/protocol/internal";
import { Batches, type BatchStream } from "./batches.ts";
import type { Transport, TransportSink } from "./transport.ts";
import { describe } from "../options/describe.ts";

/**
 * The transport over a pair of Web streams, such as a WebTransport stream or a Deno socket. Use a
 * Node Duplex directly: the streams of `Duplex.toWeb` report the end of one direction only when the
 * other has ended, too.
 */
export class WebStreamTransport implements Transport, BatchStream {
  readonly localAddress = undefined;
  readonly remoteAddress = undefined;
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  private sink: TransportSink | undefined;
  private paused = false;
  private reading = false;
  private readEnded = false;
  private writeEnded = false;
  private writeDone = false;
  closed = false;
  private readonly batches = new Batches(this);
  /** Whether our half ends once everything is written. */
  private endDue = false;
  private cause: Error | undefined;

  /** Throws INVALID_ARGUMENT for streams that are locked. */
  constructor(streams: {
    readonly readable: ReadableStream<Uint8Array>;
    readonly writable: WritableStream<Uint8Array>;
  }) {
    for (const which of ["readable", "writable"] as const) {
      if (!streams[which].locked) continue;
      throw argumentError(TypeError, `the ${which} stream is locked: release its reader or writer first`);
    }
    this.reader = streams.readable.getReader();
    this.writer = streams.writable.getWriter();
    // also while nothing is read or written
    this.writer.closed.catch(this.failed);
    this.reader.closed.catch(this.failed);
  }

  start(sink: TransportSink): void {
    this.sink = sink;
    this.paused = false;
    if (this.closed) queueMicrotask(() => sink.onClosed(this.cause));
    else if (this.readEnded) queueMicrotask(() => sink.onEnd());
    else this.read();
  }

  private read(): void {
    if (this.reading || this.paused || this.closed || this.readEnded) return;
    this.reading = true;
    this.reader.read().then(({ done, value }) => {
      this.reading = false;
      if (this.closed) return;
      if (done) {
        this.readEnded = true;
        this.sink?.onEnd();
        if (this.writeDone) this.over();
      } else if (value instanceof Uint8Array) {
        this.sink?.onBytes(value, 0, value.length);
        this.read();
      } else this.over(new TypeError(`a chunk of a byte stream must be a Uint8Array, got ${describe(value)}`));
    }, this.failed);
  }

  write(pieces: Uint8Array | Uint8Array[]): boolean {
    if (this.closed || pieces.length === 0) return true;
    this.batches.write(Array.isArray(pieces) ? pieces : [pieces]);
    return false;
  }

  writeBatch(pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) {
      // the reader at the other end may still hold the chunk when the write is done
      const copy = new Uint8Array(piece);
      // each of these promises needs a handler, or its rejection would be unhandled
      this.writer.write(copy).then(this.written, this.failed);
    }
  }

  private readonly written = (): void => {
    if (!this.closed) this.batches.written();
  };

  onBatchesWritten(): void {
    if (this.endDue) this.endStream();
    this.sink?.onWritten();
  }

  get unsent(): number {
    return this.batches.unsent;
  }

  private readonly failed = (error: unknown): void => this.over(error);

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.read();
  }

  keepAlive(): void {
    // Web streams have no host
  }

  unansweredSends(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  end(): void {
    if (this.writeEnded || this.closed) return;
    this.writeEnded = true;
    if (this.unsent === 0) this.endStream();
    else this.endDue = true;
  }

  private endStream(): void {
    this.writer.close().then(() => {
      this.writeDone = true;
      if (this.readEnded) this.over();
    }, this.failed);
  }

  destroy(): void {
    this.over();
  }

  private over(error?: unknown): void {
    if (this.closed) return;
    this.closed = true;
    this.batches.clear();
    const ignore = (): void => undefined; // failures from now on are a result of the end
    this.reader.cancel(error).catch(ignore);
    this.writer.abort(error).catch(ignore);
    this.cause = error instanceof Error ? error : undefined;
    this.sink?.onClosed(this.cause);
  }
}
