import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";

/** Notifications of a transport. They go to the handshake first, then to the connection. */
export interface TransportSink {
  /** Bytes have arrived: `chunk[start..end)`, valid only during the call. */
  onBytes(chunk: Uint8Array, start: number, end: number): void;
  /** The last `write` is complete. */
  onWritten(): void;
  /** The peer has ended its half; no more bytes will arrive. */
  onEnd(): void;
  /** The stream has ended in both directions. Called once, as the last notification. */
  onClosed(cause?: Error): void;
}

/**
 * A byte stream for a connection. Only one write may be in progress. The caller buffers later
 * output.
 */
export interface Transport {
  readonly localAddress: string | undefined;
  readonly remoteAddress: string | undefined;
  /** The TLS socket below; undefined for other streams. */
  readonly tlsSocket?: TLSSocket | undefined;
  /** Whether the stream is destroyed, or about to be; writes are dropped. */
  readonly closed: boolean;
  /**
   * Written bytes that the system or the stream has not accepted. The value decreases while the
   * peer reads, also during a write.
   */
  readonly unsent: number;
  /** Starts reading for `sink`, or continues reading for another one. */
  start(sink: TransportSink): void;
  /**
   * Writes bytes. Returns true if the system has accepted them. Returns false if `onWritten` will
   * be called; until then the bytes must not be changed.
   */
  write(pieces: Uint8Array | Uint8Array[]): boolean;
  pause(): void;
  resume(): void;
  /**
   * Probes the peer's host after `idle` ms of silence (TCP keep-alive), where the system can. If
   * the host does not answer, reading fails, and so does the next write.
   */
  keepAlive(idle: number): void;
  /**
   * Returns the number of consecutive packets to the peer's host without an acknowledgement.
   * Undefined if the system or the stream does not report it. Never rejects.
   */
  unansweredSends(): Promise<number | undefined>;
  /** Ends our half after everything that was written. */
  end(): void;
  /** Destroys the stream. */
  destroy(): void;
}

/** A transport that can be separated from its stream. */
export interface ReleasableTransport extends Transport {
  /**
   * Ends this transport and returns its stream, paused. The sink is not notified any more. Nothing
   * may be queued for writing.
   */
  release(): Duplex;
}
