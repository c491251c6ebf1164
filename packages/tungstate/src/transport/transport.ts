import type { Duplex } from "node:stream";

/** What a transport tells whoever uses it: the handshake first, then the connection. */
export interface TransportSink {
  /** Bytes came: `chunk[start..end)`, lent for the call. */
  onBytes(chunk: Uint8Array, start: number, end: number): void;
  /** What the last `write` was given has been written. */
  onWritten(): void;
  /** The peer has ended its half; no more bytes will come. */
  onEnd(): void;
  /** The stream is over in both directions. Called once, last. */
  onClosed(cause?: Error): void;
}

/** A byte stream as a connection needs it. One write at a time; the caller gathers what comes meanwhile. */
export interface Transport {
  readonly localAddress: string | undefined;
  readonly remoteAddress: string | undefined;
  /** Dropped, or told to be: what is written goes nowhere. */
  readonly closed: boolean;
  /** Bytes of what was written that have not left: not taken by the system, or by the stream. It shrinks as long as the peer reads, also in the middle of a write. */
  readonly unsent: number;
  /** Begins to read for `sink`, or goes on reading for another one. */
  start(sink: TransportSink): void;
  /** True: written, or taken over by the system, already. False: `onWritten` will be called, and until then the bytes must not be changed. */
  write(pieces: Uint8Array | Uint8Array[]): boolean;
  pause(): void;
  resume(): void;
  /**
   * Has the system probe the peer's host after `idle` ms of silence (TCP keep-alive), where it can. When the host does not answer, reading fails, and so does
   * the next write.
   */
  keepAlive(idle: number): void;
  /** Ends our half behind everything written. */
  end(): void;
  /** Drops the stream at once. */
  destroy(): void;
}

/** A transport whose stream can go on without it. */
export interface ReleasableTransport extends Transport {
  /**
   * Ends this transport and returns its stream, paused, for somebody else to read what comes next. The sink hears of nothing more. Nothing may
   * be waiting to be written.
   */
  release(): Duplex;
}
