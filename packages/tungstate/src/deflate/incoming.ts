import { inflatedMessage, type Message, type MessageCodec, WebSocketError } from "@tungstate/protocol";

export interface IncomingSink {
  /** A whole message, in the order in which they came. */
  deliver(message: Message): void;
  /** The connection fails: what came does not inflate, is too big, or is no UTF-8. */
  fail(error: WebSocketError): void;
  /** Whether bytes should be read from the transport: not while messages wait for one that is inflated elsewhere. */
  setReading(on: boolean): void;
}

interface Waiting {
  readonly message: Message;
  readonly compressed: boolean;
}

/**
 * Puts a codec between the protocol and the reader, and keeps the messages in order. What waits here came in one chunk with
 * a message that is inflated off the loop, so it is no more than a chunk.
 */
export class Incoming {
  private readonly codec: MessageCodec;
  private readonly maxMessageSize: number;
  private readonly sink: IncomingSink;
  private waiting: Waiting[] | undefined;
  /** Bytes of the message that is inflated off the loop. */
  private inflating = 0;
  private idle: (() => void) | undefined;
  private closed = false;

  constructor(codec: MessageCodec, maxMessageSize: number, sink: IncomingSink) {
    this.codec = codec;
    this.maxMessageSize = maxMessageSize;
    this.sink = sink;
  }

  /** A message from the protocol. */
  receive(message: Message, compressed: boolean): void {
    if (this.closed) return;
    if (this.waiting !== undefined) this.waiting.push({ message, compressed });
    else if (!compressed) this.sink.deliver(message);
    else if (this.inflate(message)) {
      this.waiting = [];
      this.sink.setReading(false);
    }
  }

  /** Bytes that wait to be inflated, or are being inflated off the loop. */
  get heldSize(): number {
    let size = this.inflating;
    for (const { message } of this.waiting ?? []) size += message.size;
    return size;
  }

  /** Calls back when all that came so far has been delivered or dropped: at once if it has been. */
  whenIdle(callback: () => void): void {
    if (this.waiting === undefined) callback();
    else this.idle = callback;
  }

  /** Drops what waits, and takes nothing more. */
  close(): void {
    this.closed = true;
    this.end();
  }

  /** Inflates a message; true if that goes on elsewhere. */
  private inflate(message: Message): boolean {
    const inflated = this.codec.inflate(message, this.maxMessageSize);
    if (!(inflated instanceof Promise)) {
      this.inflated(message.type, inflated, true);
      return false;
    }
    this.inflating = message.size;
    void inflated.then((result) => {
      this.inflating = 0;
      if (result !== undefined && !this.closed) this.inflated(message.type, result, false);
      this.goOn();
    });
    return true;
  }

  private inflated(type: "text" | "binary", result: Uint8Array | WebSocketError, borrowed: boolean): void {
    const message = result instanceof WebSocketError ? result : inflatedMessage(type, result, borrowed);
    if (message instanceof WebSocketError) {
      this.closed = true;
      this.sink.fail(message);
    } else this.sink.deliver(message);
  }

  private goOn(): void {
    while (!this.closed) {
      const next = this.waiting?.shift();
      if (next === undefined) break;
      if (!next.compressed) this.sink.deliver(next.message);
      else if (this.inflate(next.message)) return;
    }
    this.end();
  }

  private end(): void {
    if (this.waiting === undefined) return;
    this.waiting = undefined;
    this.sink.setReading(true);
    this.idle?.();
    this.idle = undefined;
  }
}
