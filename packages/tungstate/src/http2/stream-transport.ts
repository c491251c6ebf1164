import type { Http2Session, Http2Stream } from "node:http2";
import type { TLSSocket } from "node:tls";
import { Batches, type BatchStream } from "../transport/batches.ts";
import type { Transport, TransportSink } from "../transport/transport.ts";
import { CANCEL, nameOf } from "./error-codes.ts";
import { type SharedSession, sharedSession } from "./session.ts";

/**
 * The transport over one stream of an HTTP/2 session (RFC 8441), for both roles.
 *
 * RFC 8441 §5: "The orderly TCP-level closures are represented as END_STREAM flags ([RFC7540],
 * Section 6.1). [...] RST exceptions are represented with the RST_STREAM frame ([RFC7540], Section
 * 6.4) with the CANCEL error code ([RFC7540], Section 7)."
 *
 * Flow control: node:http2 gives the bytes of the session's window back as they arrive, and those
 * of the stream's window while the stream is read. A paused stream therefore holds at most the
 * window that SETTINGS_INITIAL_WINDOW_SIZE announces (65,535 bytes by default), and stops no other
 * stream. A write is complete when the peer's windows have let it through and the session has
 * written it.
 */
export class Http2StreamTransport implements Transport, BatchStream {
  private readonly stream: Http2Stream;
  private readonly shared: SharedSession;
  private sink: TransportSink | undefined;
  /** The sink that was notified of the end. */
  private notified: TransportSink | undefined;
  private readonly batches = new Batches(this);
  /** Whether our half ends once everything is written. */
  private endDue = false;
  private destroyed = false;
  private cause: Error | undefined;

  /** `stream`: has its number; nothing has been read from it. */
  constructor(stream: Http2Stream, session: Http2Session) {
    this.stream = stream;
    this.shared = sharedSession(session);
    // registered now, so that an early failure finds a listener
    stream.on("error", this.failed);
    stream.on("close", this.tellClosed);
    stream.on("aborted", () => {
      if (this.unsent > 0) this.endIfReset();
    });
  }

  /**
   * Ends the stream if the peer has reset it, as TCP does when something is written. After a reset
   * with NO_ERROR, node:http2 would first wait until everything is read.
   */
  private endIfReset(): void {
    const { stream } = this;
    // not within our own reset: nghttp2 would ask for the waiting output without end
    if (stream.aborted && !this.destroyed) stream.destroy();
  }

  private readonly failed = (error: Error): void => {
    this.cause ??= error;
  };

  private readonly ended = (): void => this.sink?.onEnd();

  private readonly read = (chunk: Buffer): void => this.sink?.onBytes(chunk, 0, chunk.length);

  private readonly tellClosed = (): void => {
    if (this.notified === this.sink) return;
    this.notified = this.sink;
    this.sink?.onClosed(this.cause ?? this.resetError());
  };

  /**
   * The error of a stream that the peer has reset. Node.js reports some codes, such as CANCEL,
   * without an error.
   */
  private resetError(): Error | undefined {
    const { rstCode, aborted } = this.stream;
    if (this.destroyed || !aborted) return undefined;
    const { session } = this.shared;
    const what = session.destroyed ? "the HTTP/2 session has ended" : `RST_STREAM ${nameOf(rstCode)}`;
    return Object.assign(new Error(what), { code: "ECONNRESET" });
  }

  /** What the streams of its session share. */
  get session(): SharedSession {
    return this.shared;
  }

  get localAddress(): string | undefined {
    return this.shared.localAddress;
  }

  get remoteAddress(): string | undefined {
    return this.shared.remoteAddress;
  }

  get tlsSocket(): TLSSocket | undefined {
    return this.shared.tlsSocket;
  }

  get closed(): boolean {
    return this.destroyed || this.stream.destroyed;
  }

  get unsent(): number {
    return this.batches.unsent;
  }

  start(sink: TransportSink): void {
    const { stream } = this;
    const first = this.sink === undefined;
    this.sink = sink;
    // an end that no sink was notified of
    if (stream.closed && (stream.destroyed || this.destroyed)) process.nextTick(this.tellClosed);
    else if (stream.readableEnded) process.nextTick(this.ended);
    else {
      if (first) stream.on("end", this.ended).on("data", this.read);
      stream.resume();
    }
  }

  write(pieces: Uint8Array | Uint8Array[]): boolean {
    if (pieces.length === 0) return true;
    if (this.closed || !this.stream.writable) {
      this.endIfReset();
      return false; // dropped; "close" follows
    }
    this.batches.write(Array.isArray(pieces) ? pieces : [pieces]);
    return false;
  }

  writeBatch(pieces: readonly Uint8Array[]): void {
    const { stream } = this;
    const last = pieces.length - 1;
    if (last > 0) stream.cork();
    for (let at = 0; at < last; at++) stream.write(pieces[at]);
    stream.write(pieces[last], this.written);
    if (last > 0) stream.uncork();
  }

  private readonly written = (error?: Error | null): void => {
    // "close" reports it
    if (error || this.closed) return;
    this.batches.batchWritten();
  };

  onBatchesWritten(): void {
    if (this.endDue) this.stream.end();
    this.sink?.onWritten();
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    if (!this.closed) this.stream.resume();
  }

  keepAlive(): void {
    // `unansweredSends` asks the peer by PING frames
  }

  /**
   * Returns the number of calls in a row that found a PING of the session without an answer. A peer
   * answers them whether or not this stream is read (RFC 9113 §6.7).
   */
  unansweredSends(): Promise<number | undefined> {
    this.unanswered = this.shared.ping() ? 0 : this.unanswered + 1;
    return Promise.resolve(this.unanswered);
  }

  private unanswered = 0;

  end(): void {
    if (this.closed) return;
    if (this.unsent === 0) this.stream.end();
    else this.endDue = true;
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.batches.clear();
    const { stream } = this;
    // no RST_STREAM if both halves have ended
    if (!stream.closed) stream.close(CANCEL);
    // RST_STREAM waits for the session; the connection does not
    stream.destroy();
    setImmediate(this.tellClosed);
  }
}
