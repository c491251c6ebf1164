/* c8 ignore start -- types only: nothing of it runs */
import type { WebSocketError } from "../errors.ts";
import type { WindowBits } from "./params.ts";
import type { Window } from "./window.ts";

/** A received payload, all fragments together. A `Message` is one. */
export interface ReceivedPayload {
  /** Size in bytes. */
  readonly size: number;
  /** Copies the payload to `target[at]` and returns the offset after it. */
  copyTo(target: Uint8Array, at: number): number;
  /** Returns the pieces of the payload. They do not change any more. */
  chunks(): readonly Uint8Array[];
}

/** An asynchronous compression or decompression. */
export interface DeflateJob<R> {
  /** The result; undefined if the job was cancelled. Never rejects. */
  readonly result: Promise<R | undefined>;
  /** Ends the job, running or waiting, and frees its memory. */
  cancel(): void;
}

/**
 * DEFLATE (RFC 1951) of the platform, one message at a time. The engine keeps nothing of a message:
 * the window of earlier messages is an argument. Bytes that a synchronous call returns are
 * **borrowed**: they are valid until the next call of the engine.
 */
export interface DeflateEngine {
  /** Messages of fewer bytes are sent uncompressed. */
  readonly threshold: number;
  /** Messages of more bytes (uncompressed) are compressed and decompressed asynchronously. */
  readonly asyncThreshold: number;
  /** Whether binary messages are compressed too. */
  readonly binary: boolean;
  /** Returns text as UTF-8. Borrowed. */
  encode(text: string): Uint8Array;
  /** Returns a received payload as one piece. Borrowed. */
  join(payload: ReceivedPayload): Uint8Array;
  /**
   * Compresses a payload that may refer to the window. Returns everything up to the four bytes 00
   * 00 ff ff at the end (RFC 7692 §7.2.1), or undefined if that is not smaller than the payload.
   */
  deflate(payload: Uint8Array, windowBits: WindowBits, window: Window | undefined): Uint8Array | undefined;
  /** The same asynchronously. The payload must not change meanwhile. */
  deflateAsync(payload: Uint8Array, windowBits: WindowBits, window: Window | undefined): DeflateJob<Uint8Array>;
  /** Returns a payload as DEFLATE blocks without compression, up to 00 00 ff ff. */
  store(payload: Uint8Array): Uint8Array;
  /**
   * Decompresses a message of at most `limit` bytes. Returns undefined for a message of more than
   * `most` bytes that `limit` allows. Errors: MESSAGE_TOO_BIG, INVALID_DEFLATE.
   */
  inflate(
    payload: ReceivedPayload,
    limit: number,
    most: number,
    window: Window | undefined,
  ): Uint8Array | WebSocketError | undefined;
  /** Decompresses a message of at most `limit` bytes asynchronously. */
  inflateAsync(
    chunks: readonly Uint8Array[],
    limit: number,
    window: Window | undefined,
  ): DeflateJob<Uint8Array | WebSocketError>;
  /** Calls `callback` in a later tick of the event loop. */
  nextTick(callback: () => void): void;
}
