import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Transport, TransportSink } from "./transport.ts";

/** Any Node stream with two directions. */
export class DuplexTransport implements Transport {
  private readonly stream: Duplex;
  private sink: TransportSink | undefined;
  private pending = 0;
  private cause: Error | undefined;

  constructor(stream: Duplex) {
    this.stream = stream;
    // from here on, so that an early failure finds a listener
    stream.on("error", (error: Error) => (this.cause ??= error));
    stream.on("close", () => this.sink?.onClosed(this.cause));
  }

  get localAddress(): string | undefined {
    return this.stream instanceof Socket ? this.stream.localAddress : undefined;
  }

  get remoteAddress(): string | undefined {
    return this.stream instanceof Socket ? this.stream.remoteAddress : undefined;
  }

  start(sink: TransportSink): void {
    const { stream } = this;
    const first = this.sink === undefined;
    this.sink = sink;
    if (stream.closed) {
      process.nextTick(() => sink.onClosed(this.cause));
    } else if (stream.readableEnded) {
      process.nextTick(() => this.sink?.onEnd());
    } else {
      if (first) {
        stream.on("end", () => this.sink?.onEnd());
        stream.on("data", (chunk: Uint8Array) => this.sink?.onBytes(chunk, 0, chunk.length));
      }
      stream.resume();
    }
  }

  write(pieces: Uint8Array | Uint8Array[]): boolean {
    const { stream } = this;
    if (!stream.writable) return true; // it is going down: "close" follows
    if (!Array.isArray(pieces)) {
      this.pending = 1;
      stream.write(pieces, this.written);
      return false;
    }
    this.pending = pieces.length;
    stream.cork();
    for (const piece of pieces) stream.write(piece, this.written);
    stream.uncork();
    return pieces.length === 0;
  }

  private readonly written = (error?: Error | null): void => {
    if (error) return; // "error" and "close" say it
    if (--this.pending === 0) this.sink?.onWritten();
  };

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  end(): void {
    this.stream.end();
  }

  destroy(): void {
    this.stream.destroy();
  }
}
