import type { WebSocketError } from "../errors.ts";
import type { Message } from "../messages/message.ts";

/** How a connection ended, as far as the protocol knows. RFC 6455 §7.1.5, §7.1.6. */
export interface Closing {
  /** The peer's close code: 1005 if its Close has none, 1006 if no Close came. */
  readonly code: number;
  /** The peer's reason, "" for none. */
  readonly reason: string;
  /** Whether a Close was sent and received, and nothing failed. */
  readonly clean: boolean;
  /** The error that ended the connection, if any. */
  readonly error: WebSocketError | undefined;
}

/**
 * Callbacks of a protocol. It calls them within its methods, and when an asynchronous job of its
 * codec has ended. Only `onMessage` is required.
 */
export interface ProtocolSink {
  /** A message was received. */
  onMessage(message: Message): void;
  /** A ping was received. Its pong is sent without your help. */
  onPing?(payload: Uint8Array): void;
  /** A pong was received. */
  onPong?(payload: Uint8Array): void;
  /** The state is now `closing` or `closed`. */
  onStateChange?(): void;
  /**
   * With compression: whether to read from the stream. Not while a message is decompressed
   * asynchronously.
   */
  onReading?(on: boolean): void;
  /**
   * With compression: returns whether there is room for a message that has to be decompressed. If
   * not, call `incoming.resume()` when there is. Default: always.
   */
  hasRoom?(): boolean;
  /**
   * With compression: returns whether what waits can no longer be read in time, so that further
   * messages are dropped. Default: never.
   */
  overflows?(): boolean;
  /** With compression: a message that was compressed asynchronously is in the output. */
  onOutput?(): void;
}
