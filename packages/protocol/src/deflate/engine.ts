/* c8 ignore start -- types only: nothing of it runs */
import type { WebSocketError } from "../errors.ts";
import type { WindowBits } from "./params.ts";
import type { Window } from "./window.ts";

/** A payload as it was received, all fragments together. A `Message` is one. */
export interface ReceivedPayload {
  /** In bytes. */
  readonly size: number;
  /** Copies the payload to `target[at]` and returns the offset behind it. */
  copyTo(target: Uint8Array, at: number): number;
  /** The payload in the pieces it is kept in, which nobody changes any more. */
  chunks(): readonly Uint8Array[];
}

/** Work that goes on asynchronously. */
export interface DeflateJob<R> {
  /** Undefined if the job was cancelled. Never rejects. */
  readonly result: Promise<R | undefined>;
  /** Ends the job, whether it runs or waits, and frees what it holds. */
  cancel(): void;
}

/**
 * DEFLATE (RFC 1951) as the platform has it, one message at a time. The engine keeps nothing of a
 * message: what later messages may refer to is in the window, which the protocol keeps. Bytes that
 * a synchronous call returns are **borrowed**: they stay as they are until the next call of the
 * engine.
 */
export interface DeflateEngine {
  /** Messages of fewer bytes are sent as they are. */
  readonly threshold: number;
  /** Messages of more bytes (uncompressed) are deflated and inflated asynchronously. */
  readonly asyncThreshold: number;
  /** Whether binary messages are compressed, too. */
  readonly binary: boolean;
  /** Returns text as UTF-8. Borrowed. */
  encode(text: string): Uint8Array;
  /** Returns a received payload as one piece. Borrowed. */
  join(payload: ReceivedPayload): Uint8Array;
  /**
   * Deflates a payload that may refer to the window. Returns everything up to the four bytes 00 00
   * ff ff at the end (RFC 7692 §7.2.1), or undefined if that is not smaller than the payload.
   */
  deflate(payload: Uint8Array, windowBits: WindowBits, window: Window | undefined): Uint8Array | undefined;
  /** Does the same asynchronously. The payload must not change meanwhile. */
  deflateAsync(payload: Uint8Array, windowBits: WindowBits, window: Window | undefined): DeflateJob<Uint8Array>;
  /** Returns a payload as DEFLATE blocks without compression, up to 00 00 ff ff. */
  store(payload: Uint8Array): Uint8Array;
  /**
   * Inflates a message of at most `limit` bytes. Returns undefined for a message of more than
   * `most` bytes where `limit` allows that. Errors: MESSAGE_TOO_BIG, INVALID_DEFLATE.
   */
  inflate(
    payload: ReceivedPayload,
    limit: number,
    most: number,
    window: Window | undefined,
  ): Uint8Array | WebSocketError | undefined;
  /** Inflates a message of at most `limit` bytes asynchronously. */
  inflateAsync(
    chunks: readonly Uint8Array[],
    limit: number,
    window: Window | undefined,
  ): DeflateJob<Uint8Array | WebSocketError>;
  /** Calls `callback` in a later tick of the event loop. */
  nextTick(callback: () => void): void;
}
