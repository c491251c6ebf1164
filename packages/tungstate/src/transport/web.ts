import type { Transport, TransportSink } from "./transport.ts";

/**
 * A pair of Web streams, such as a WebTransport stream or a Deno socket. (Of a Node Duplex use the Duplex itself: what `Duplex.toWeb` makes of
 * it tells the end of one direction only when the other has ended, too.)
 */
export class WebStreamTransport implements Transport {
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
  private closed = false;
  private cause: Error | undefined;

  constructor(streams: {
    readonly readable: ReadableStream<Uint8Array>;
    readonly writable: WritableStream<Uint8Array>;
  }) {
    this.reader = streams.readable.getReader();
    this.writer = streams.writable.getWriter();
    this.writer.closed.catch((error: unknown) => this.over(error));
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
    this.reader.read().then(
      ({ done, value }) => {
        this.reading = false;
        if (this.closed) return;
        if (done) {
          this.readEnded = true;
          this.sink?.onEnd();
          if (this.writeDone) this.over();
        } else {
          this.sink?.onBytes(value, 0, value.length);
          this.read();
        }
      },
      (error: unknown) => this.over(error),
    );
  }

  write(pieces: Uint8Array | Uint8Array[]): boolean {
    const all = Array.isArray(pieces) ? pieces : [pieces];
    const last = all.map((piece) => this.writer.write(piece)).at(-1);
    if (last === undefined) return true;
    last.then(
      () => this.sink?.onWritten(),
      (error: unknown) => this.over(error),
    );
    return false;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.read();
  }

  end(): void {
    if (this.writeEnded) return;
    this.writeEnded = true;
    this.writer.close().then(
      () => {
        this.writeDone = true;
        if (this.readEnded) this.over();
      },
      (error: unknown) => this.over(error),
    );
  }

  destroy(): void {
    this.over();
  }

  private over(error?: unknown): void {
    if (this.closed) return;
    this.closed = true;
    const ignore = (): void => undefined; // what fails now fails because it is over
    this.reader.cancel(error).catch(ignore);
    this.writer.abort(error).catch(ignore);
    this.cause = error instanceof Error ? error : undefined;
    this.sink?.onClosed(this.cause);
  }
}
