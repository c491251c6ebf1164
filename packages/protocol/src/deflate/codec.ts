/* c8 ignore start -- types only: nothing of it runs */
import type { WebSocketError } from "../errors.ts";
import type { DeflateParams, WindowBits } from "./params.ts";

/** A payload as it was received, all fragments together. A `Message` is one. */
export interface ReceivedPayload {
  /** In bytes. */
  readonly size: number;
  /** Copies the payload to `target[at]` and returns the offset behind it. */
  copyTo(target: Uint8Array, at: number): number;
  /** The payload in the pieces it is kept in, which nobody changes any more. */
  chunks(): readonly Uint8Array[];
}

/**
 * Deflates and inflates the messages of one connection (RFC 7692 §7.2), however the runtime does that.
 *
 * Small messages are done at once, large ones elsewhere:
 * - What is returned at once is **borrowed**: it stays as it is until the next call of any codec. Use it or copy it.
 * - What a promise brings is the caller's. Promises never reject. While one is unsettled, nothing else may be asked for in the same
 *   direction: INVALID_STATE is thrown.
 * - `close` is always possible. It resolves the promises of both directions to undefined.
 */
export interface MessageCodec {
  /**
   * Inflates one message of at most `limit` bytes, counted while inflating. The error is MESSAGE_TOO_BIG for more than that,
   * INVALID_DEFLATE for data that is not DEFLATE or is cut off.
   */
  inflate(
    payload: ReceivedPayload,
    limit: number,
  ): Uint8Array | WebSocketError | Promise<Uint8Array | WebSocketError | undefined>;

  /**
   * Deflates one message, text as its UTF-8. Undefined: send it as it is, because compression would not make it smaller (or it
   * is below the codec's threshold). A payload that is worked on later must not be changed until then.
   */
  deflate(payload: Uint8Array | string | ReceivedPayload): Uint8Array | undefined | Promise<Uint8Array | undefined>;

  /**
   * Deflates the next fragment of a message that is sent as its parts come, and whose first frame has RSV1. Always gives
   * something to send, but after `close`.
   */
  deflateFragment(payload: Uint8Array, last: boolean): Uint8Array | Promise<Uint8Array | undefined>;

  /**
   * To be called when a compressed message was sent that this codec did not deflate: one that was compressed once for many
   * connections, with an empty window. What the peer's window holds from then on ends with `payload` (uncompressed), and
   * a codec that took no notice would from then on refer to the wrong bytes.
   */
  sentFresh(payload: Uint8Array): void;

  /** Deflates the next message with an empty window. To be called when a message that was deflated is not sent after all. */
  resetDeflate(): void;

  /** Drops what is under way and frees what is held. */
  close(): void;

  /** The window that a message compressed for many connections may have on this one. */
  readonly deflateWindowBits: WindowBits;
}

/** Makes the codec for a connection whose handshake agreed on `params`. */
export type MessageCodecFactory = (params: DeflateParams, role: "client" | "server") => MessageCodec;
