import { argumentError } from "@tungstate/protocol/internal";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { Batches, type BatchStream } from "./batches.ts";
import { unansweredOfSocket } from "../native/tcp-table.ts";
import type { ReleasableTransport, TransportSink } from "./transport.ts";
import { describe } from "../options/describe.ts";

/** The transport over a Node Duplex. */
export class DuplexTransport implements ReleasableTransport, BatchStream {
  private readonly stream: Duplex;
  private sink: TransportSink | undefined;
  /** The sink that was notified of the end. */
  private notified: TransportSink | undefined;
  private readonly batches = new Batches(this);
  /** Whether our half ends once everything is written. */
  private endDue = false;
  private readonly allowedHalfOpen: boolean;
  private cause: Error | undefined;
  /**
   * Whether bytes may be read after their write is done, by the reader at the other end. A socket
   * has handed them to the system by then.
   */
  private readonly keepsBytes: boolean;

  /** Whether `unansweredSends` may look at the handle of a socket. */
  private readonly asksSystem: boolean;

  /** Throws INVALID_ARGUMENT for a stream that decodes what it reads. */
  constructor(stream: Duplex, asksSystem = true) {
    if (stream.readableEncoding !== null) {
      throw argumentError(TypeError, "the stream must deliver bytes: do not call setEncoding() on it");
    }
    this.stream = stream;
    this.asksSystem = asksSystem;
    this.allowedHalfOpen = stream.allowHalfOpen;
    // our half ends after everything is written, even if the peer's half ends earlier
    stream.allowHalfOpen = true;
    this.keepsBytes = !(stream instanceof Socket);
    // registered now, so that an early failure finds a listener
    stream.on("error", this.failed);
    stream.on("close", this.tellClosed);
  }

  private readonly failed = (error: Error): void => {
    this.cause ??= error;
    this.destroy(); // the stream may be configured not to emit "close"
  };

  private readonly ended = (): void => {
    this.sink?.onEnd();
    if (this.stream.writableFinished) this.destroy();
  };

  private readonly read = (chunk: unknown): void => {
    if (chunk instanceof Uint8Array) this.sink?.onBytes(chunk, 0, chunk.length);
    else this.stream.destroy(new TypeError(`a chunk of a byte stream must be a Uint8Array, got ${describe(chunk)}`));
  };

  private readonly tellClosed = (): void => {
    if (this.notified === this.sink) return;
    this.notified = this.sink;
    this.sink?.onClosed(this.cause);
  };

  get localAddress(): string | undefined {
    return this.stream instanceof Socket ? this.stream.localAddress : undefined;
  }

  get remoteAddress(): string | undefined {
    return this.stream instanceof Socket ? this.stream.remoteAddress : undefined;
  }

  get tlsSocket(): TLSSocket | undefined {
    return this.stream instanceof TLSSocket ? this.stream : undefined;
  }

  get closed(): boolean {
    return this.stream.destroyed;
  }

  get unsent(): number {
    return this.batches.unsent;
  }

  start(sink: TransportSink): void {
    const { stream } = this;
    const first = this.sink === undefined;
    this.sink = sink;
    if (stream.closed) {
      process.nextTick(this.tellClosed);
    } else if (stream.readableEnded) {
      process.nextTick(() => this.sink?.onEnd());
    } else {
      if (first) {
        stream.on("end", this.ended);
        stream.on("data", this.read);
      }
      stream.resume();
    }
  }

  write(pieces: Uint8Array | Uint8Array[]): boolean {
    const { stream } = this;
    if (pieces.length === 0) return true;
    // the stream has ended; late writes are dropped, and "close" follows
    if (!stream.writable) return false;
    this.batches.write(Array.isArray(pieces) ? pieces : [pieces]);
    return false;
  }

  writeBatch(pieces: readonly Uint8Array[]): void {
    const { stream } = this;
    const all = this.keepsBytes ? pieces.map((piece) => Buffer.from(piece)) : pieces;
    try {
      if (all.length > 1) stream.cork();
      for (const piece of all) stream.write(piece, this.written);
      if (all.length > 1) stream.uncork();
    } catch (error) {
      // `_write` of the stream threw
      this.cause ??= error instanceof Error ? error : new Error(String(error));
      this.destroy();
    }
  }

  private readonly written = (error?: Error | null): void => {
    // "close" reports it: a destroyed socket calls back without an error for writes that it dropped
    if (error || this.stream.destroyed) return;
    this.batches.written();
  };

  onBatchesWritten(): void {
    if (this.endDue) this.endStream();
    this.sink?.onWritten();
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  keepAlive(idle: number): void {
    const { stream } = this;
    if (stream instanceof Socket) stream.setKeepAlive(true, Math.max(1_000, idle));
  }

  unansweredSends(): Promise<number | undefined> {
    return this.asksSystem && this.stream instanceof Socket
      ? unansweredOfSocket(this.stream)
      : Promise.resolve(undefined);
  }

  end(): void {
    if (this.unsent === 0) this.endStream();
    else this.endDue = true;
  }

  private endStream(): void {
    const { stream } = this;
    stream.end(() => {
      if (stream.readableEnded) this.destroy();
    });
  }

  destroy(): void {
    this.batches.clear();
    this.stream.destroy();
    // some streams emit "close" late or never
    setImmediate(this.tellClosed);
  }

  release(): Duplex {
    const { stream } = this;
    this.sink = undefined;
    stream.allowHalfOpen = this.allowedHalfOpen;
    stream.pause();
    stream.off("data", this.read);
    stream.off("end", this.ended);
    stream.off("close", this.tellClosed);
    stream.off("error", this.failed);
    return stream;
  }
}
