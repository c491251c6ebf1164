import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Taken } from "@tungstate/protocol";

/** Notifications of a stream to its connection. */
export interface StreamSink {
  onBytes(chunk: Uint8Array, start: number, end: number): void;
  onEnd(): void;
  /** The stream has failed. */
  onFailed(): void;
  onClosed(): void;
}

/**
 * A connection on a stream: TLS, a Duplex of the application, or a socket whose handle cannot be
 * used.
 */
export class StreamLink {
  readonly stream: Duplex;
  private readonly sink: StreamSink;
  /** Whether the stream may use bytes after their write is complete, as an in-process pipe does. */
  private readonly keepsBytes: boolean;

  constructor(stream: Duplex, sink: StreamSink) {
    this.stream = stream;
    this.sink = sink;
    this.keepsBytes = !(stream instanceof Socket);
    stream.on("close", this.onClose);
    stream.on("data", this.onData);
    stream.on("end", this.onEnd);
    stream.on("error", this.onError);
  }

  get unsent(): number {
    return this.stream.writableLength ?? 0;
  }

  get destroyed(): boolean {
    return this.stream.destroyed;
  }

  /** Writes output. Calls `done` when the stream has written it. */
  write({ pieces }: Taken, done: (error?: Error | null) => void): void {
    const { stream } = this;
    const all = Array.isArray(pieces) ? pieces : [pieces];
    if (all.length > 1) stream.cork();
    for (let index = 0; index < all.length; index++) {
      const piece = all[index];
      const bytes = this.keepsBytes
        ? Buffer.from(piece)
        : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
      if (index === all.length - 1) stream.write(bytes, done);
      else stream.write(bytes);
    }
    if (all.length > 1) stream.uncork();
  }

  /** Reads and drops all further bytes, to detect the end of the stream. */
  drain(): void {
    this.stream.removeListener("data", this.onData);
    this.stream.resume();
  }

  private readonly onData = (chunk: Uint8Array): void => this.sink.onBytes(chunk, 0, chunk.length);

  private readonly onEnd = (): void => this.sink.onEnd();

  private readonly onError = (): void => this.sink.onFailed();

  private readonly onClose = (): void => {
    const { stream } = this;
    stream.removeListener("close", this.onClose);
    stream.removeListener("data", this.onData);
    stream.removeListener("end", this.onEnd);
    // otherwise, the buffered bytes of a paused stream would be lost
    const left: unknown = stream.readableEnded || !(stream.readableLength > 0) ? null : stream.read();
    if (left instanceof Uint8Array) this.sink.onBytes(left, 0, left.length);
    this.sink.onClosed();
  };
}
