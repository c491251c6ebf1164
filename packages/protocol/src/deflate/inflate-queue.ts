import { WebSocketError } from "../errors.ts";
import type { Message } from "../messages/message.ts";
import { ReceiveQueue } from "../messages/receive-queue.ts";
import type { Memory } from "../runtime/memory.ts";
import { inflatedMessage } from "./inflated-message.ts";
import type { MessageCodec } from "./message-codec.ts";

/** What a queue calls. `to` is the connection that it decompresses for. */
export interface InflateEvents<To> {
  /** A complete message, in the order of reception. */
  message(to: To, message: Message): void;
  /** A message cannot be decompressed, is too big, or is not UTF-8. */
  failed(to: To, error: WebSocketError): void;
  /**
   * Whether bytes should be read from the stream: not while messages wait for one that is
   * decompressed asynchronously, or for the next tick.
   */
  reading(to: To, on: boolean): void;
  /** Returns whether the reader has room for another message. If not, call `resume` when it has. */
  hasRoom(to: To): boolean;
  /** Returns whether later messages are dropped, because the reader cannot catch up in time. */
  overflows(to: To): boolean;
}

/** Received messages of a protocol with compression that wait. */
export interface IncomingMessages {
  /** Bytes of the messages that wait, the one included that is decompressed asynchronously. */
  readonly heldSize: number;
  /** Bytes of memory that those use. */
  readonly memorySize: number;
  /**
   * Whether reading from the stream is off: a message is being decompressed asynchronously, or the
   * rest waits for the next tick.
   */
  readonly isBusy: boolean;
  /**
   * Whether `endTick` has to be called: messages were decompressed, or wait in memory that they
   * share with those of other connections.
   */
  readonly isUnsettled: boolean;
  /** The tick has ended: the next one may decompress as much again. */
  endTick(): void;
  /**
   * Delivers what waits while the reader has room. Call it when it may have. Does nothing in a call
   * of the sink.
   */
  resume(): void;
  /**
   * Calls back when nothing more is delivered before the reader makes room: at once if that is so.
   */
  whenIdle(callback: () => void): void;
  /** Calls back when all messages have been delivered or dropped: at once if that is so. */
  whenEmpty(callback: () => void): void;
  /** Drops what waits, and all that is received later. */
  close(): void;
}

/** Bytes inflated in one event-loop tick before the rest waits for the next one. */
const MOST_PER_TICK = 1024 * 1024;
const COST_IN_SET = 40; // bytes of memory
const COST_OF_A_MESSAGE = 512; // bytes that each message counts besides its size, for the setup

/**
 * Decompresses the messages of a connection in order. Messages wait here, still compressed,
 *
 * - while the reader has no room: a few bytes may become `maxMessageSize` bytes, and one chunk may
 *   contain thousands of such messages;
 * - while the message before them is decompressed asynchronously, and for the next tick if enough
 *   was decompressed in this one. Nothing is read meanwhile.
 */
export class InflateQueue implements IncomingMessages {
  readonly #memory: Memory;
  readonly #codec: MessageCodec;
  /** Largest inflated message in bytes. */
  maxMessageSize: number;
  readonly #checkText: boolean;
  readonly #events: InflateEvents<never>;
  readonly #to: never;
  /** In order; undefined if nothing waits and nothing is being inflated. */
  #waiting: ReceiveQueue | undefined;
  /** Those of them that are not compressed. */
  #plain: Set<Message> | undefined;
  /** Bytes of the message that is inflated asynchronously. */
  #inflating = 0;
  /** Bytes inflated in this tick. */
  #inflated = 0;
  /** It continues by itself: after an asynchronous decompression, or in the next tick. */
  #busy = false;
  /** The value of `#busy` when `reading` was last called. */
  #readingOff = false;
  /** Messages are being delivered, so that the reader may call `resume`. */
  #running = false;
  /** A message was dropped: so are those behind it. */
  #dropping = false;
  #idle: (() => void) | undefined;
  #empty: (() => void) | undefined;
  #closed = false;

  constructor(
    memory: Memory,
    codec: MessageCodec,
    maxMessageSize: number,
    events: InflateEvents<never>,
    to: unknown,
    checkText = true,
  ) {
    this.#memory = memory;
    this.#events = events;
    this.#to = to as never;
    this.#codec = codec;
    this.maxMessageSize = maxMessageSize;
    this.#checkText = checkText;
  }

  /** A message from the protocol. */
  receive(message: Message, compressed: boolean): void {
    if (this.#closed || this.#dropping) return;
    if (this.#waiting !== undefined) {
      // while it is busy nothing is read, so that no more than a chunk comes
      if (!this.#busy && this.#events.overflows(this.#to)) this.#dropping = true;
      else this.#hold(this.#waiting, message, compressed);
    } else if (!compressed) this.#events.message(this.#to, message);
    else if (this.#inflated >= MOST_PER_TICK || !this.#events.hasRoom(this.#to)) {
      this.#waiting = new ReceiveQueue();
      this.#hold(this.#waiting, message, true);
      this.resume();
    } else {
      this.#inflate(message);
      this.#settle();
    }
  }

  #hold(waiting: ReceiveQueue, message: Message, compressed: boolean): void {
    waiting.push(message);
    if (!compressed) (this.#plain ??= new Set()).add(message);
  }

  get heldSize(): number {
    return this.#inflating + (this.#waiting?.size ?? 0);
  }

  get memorySize(): number {
    return this.#inflating + (this.#waiting?.held ?? 0) + (this.#plain?.size ?? 0) * COST_IN_SET;
  }

  get isBusy(): boolean {
    return this.#readingOff;
  }

  get isUnsettled(): boolean {
    return this.#inflated > 0 || this.#waiting?.isUnsettled === true;
  }

  endTick(): void {
    this.#inflated = 0;
    this.#waiting?.settle();
  }

  whenIdle(callback: () => void): void {
    if (this.#busy) this.#idle = callback;
    else callback();
  }

  whenEmpty(callback: () => void): void {
    if (this.#waiting === undefined) callback();
    else this.#empty = callback;
  }

  close(): void {
    this.#closed = true;
    this.#end();
    this.#settle();
  }

  resume(): void {
    if (this.#busy || this.#running) return;
    this.#running = true;
    this.#deliverWaiting();
    this.#running = false;
    this.#settle();
  }

  #deliverWaiting(): void {
    while (this.#waiting !== undefined && !this.#busy) {
      if (this.#waiting.count > 0) {
        if (!this.#events.hasRoom(this.#to)) return;
        if (this.#inflated >= MOST_PER_TICK) return this.#waitForTick();
      }
      const next = this.#waiting.shift();
      if (next === undefined) this.#end();
      else if (this.#plain?.delete(next) === true) this.#events.message(this.#to, next);
      else this.#inflate(next);
    }
  }

  #waitForTick(): void {
    this.#busy = true;
    this.#codec.engine.nextTick(() => {
      this.#inflated = 0;
      if (this.#closed) return;
      this.#busy = false;
      this.resume();
    });
  }

  /** Inflates a message and delivers it, or begins to inflate it elsewhere. */
  #inflate(message: Message): void {
    const { type } = message;
    const inflated = this.#codec.inflate(message, this.maxMessageSize);
    if (!(inflated instanceof Promise)) {
      this.#inflated += COST_OF_A_MESSAGE + (inflated instanceof Uint8Array ? inflated.length : 0);
      this.#take(type, inflated, true);
      return;
    }
    this.#waiting ??= new ReceiveQueue();
    this.#busy = true;
    this.#inflating = message.size;
    void inflated.then((result) => {
      this.#inflating = 0;
      if (this.#closed) return;
      this.#busy = false;
      this.#running = true;
      if (result !== undefined) this.#take(type, result, false);
      this.#running = false;
      this.resume();
    });
  }

  #take(type: "text" | "binary", result: Uint8Array | WebSocketError, borrowed: boolean): void {
    const message =
      result instanceof WebSocketError
        ? result
        : inflatedMessage(this.#memory, type, result, borrowed, this.#checkText);
    if (message instanceof WebSocketError) {
      this.#closed = true;
      this.#events.failed(this.#to, message);
      this.#end();
    } else this.#events.message(this.#to, message);
  }

  #end(): void {
    this.#waiting = undefined;
    this.#plain = undefined;
    this.#busy = false;
  }

  /** Reports changes. */
  #settle(): void {
    if (this.#busy !== this.#readingOff) {
      this.#readingOff = this.#busy;
      this.#events.reading(this.#to, !this.#readingOff);
    }
    if (this.#busy) return;
    const idle = this.#idle;
    const empty = this.#empty;
    this.#idle = undefined;
    idle?.();
    if (this.#waiting !== undefined || empty === undefined) return;
    this.#empty = undefined;
    empty();
  }
}
