/**
 * What a session needs of a connection. Its owner calls the session's `receive`, `drained` and
 * `closed`.
 */
export interface HubConnection {
  /**
   * What counts as one client if the client is anonymous, such as the address: see `limits.rates`.
   * Undefined: each connection counts by itself.
   */
  readonly address?: string | undefined;
  /**
   * Bytes received from the network so far, compressed messages by their compressed size. A client
   * may not send more lines than bytes. Undefined: unknown.
   */
  readonly bytesReceived?: number | undefined;
  /**
   * Sends a text message. Returns false if the connection accepts no more for now; `drained` is
   * called later. The message is accepted in any case.
   */
  write(text: string): boolean;
  /** As `write`, with a message for many connections. */
  writeShared(message: SharedMessage): boolean;
  /** Reads nothing until `resume`. */
  pause(): void;
  /** Reads again after `pause`. */
  resume(): void;
  /**
   * Closes the connection with a code of 3000 to 4999, or 1009. Earlier messages are sent as far as
   * the peer reads them.
   */
  close(code: number, reason: string): void;
}

/** What is dropped when a connection's queue is full and another message follows. */
export type WhenFull =
  /** Nothing: the connection is closed, and its client recovers. */
  | "disconnect"
  /** The oldest messages that are "drop-oldest" too. */
  | "drop-oldest"
  /** The queued message with the same key is replaced; if there is none, as "disconnect". */
  | "conflate";

/** A message serialised once for many connections. */
export class SharedMessage {
  /** The message as it is sent. */
  readonly text: string;
  /** Bytes of the text in UTF-8. */
  readonly size: number;
  /** What gives way when a connection's queue is full. */
  readonly whenFull: WhenFull;
  /** Messages with the same key replace each other with `whenFull` "conflate". */
  readonly key: string;
  /** For the connection: the encoded message for all connections of its kind. */
  prepared: unknown = undefined;
  /** Number of queues that the message is in. */
  waiting = 0;

  /** `size`: size of the text in UTF-8, if known. */
  constructor(text: string, whenFull: WhenFull = "disconnect", key = "", size = Buffer.byteLength(text)) {
    this.text = text;
    this.size = size;
    this.whenFull = whenFull;
    this.key = key;
  }
}
