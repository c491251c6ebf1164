/** What a session needs of a connection. Whoever has the connection calls the session's `receive`, `drained` and `closed`. */
export interface HubConnection {
  /** What counts as one client where the client is anonymous, such as the address: see `limits.rates`. Undefined: each connection does. */
  readonly address?: string | undefined;
  /** Bytes that have come over the network so far, compressed messages as they came. A client may send no more lines than bytes. Undefined: not known. */
  readonly bytesReceived?: number | undefined;
  /** Sends a text message. False: it takes no more for now, and `drained` will be called. The message was taken all the same. */
  write(text: string): boolean;
  /** As `write`, with a message that goes to many connections. */
  writeShared(message: SharedMessage): boolean;
  /** Reads no more until `resume`. */
  pause(): void;
  /** Reads again after `pause`. */
  resume(): void;
  /** Ends the connection: 3000 to 4999, or 1009. What was written before still goes out as far as the peer takes it. */
  close(code: number, reason: string): void;
}

/** What gives way where a connection's queue is full, and a message like this one is to be added. */
export type WhenFull =
  /** Nothing: the connection is ended, and its client recovers. */
  | "disconnect"
  /** The oldest messages that are "drop-oldest" too. */
  | "drop-oldest"
  /** While messages wait, one replaces the waiting one with the same key; then as "disconnect". */
  | "conflate";

/** A message serialised once for many connections. */
export class SharedMessage {
  /** The message as it is sent. */
  readonly text: string;
  /** Bytes of the text in UTF-8. */
  readonly size: number;
  /** What gives way when a connection's queue is full. */
  readonly whenFull: WhenFull;
  /** Which messages replace each other where `whenFull` is "conflate". */
  readonly key: string;
  /** For a connection's own use: what it makes of the text once for all of its kind. */
  prepared: unknown = undefined;
  /** Queues that it waits in. */
  waiting = 0;

  /** `size`: bytes of the text in UTF-8, where they are known. */
  constructor(text: string, whenFull: WhenFull = "disconnect", key = "", size = Buffer.byteLength(text)) {
    this.text = text;
    this.size = size;
    this.whenFull = whenFull;
    this.key = key;
  }
}
