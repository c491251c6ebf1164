import { type Message, protocolError } from "@tungstate/protocol";
import { ReceiveQueue } from "@tungstate/protocol/internal";
import { DONE } from "../../schedule/promises.ts";
import { ReadAhead, type ReadAheadSettings } from "./read-ahead.ts";

/** Bytes; while the receive queue is emptied, it is counted in steps of this size. */
const COUNTED_IN = 4096;

export interface ReadingHost {
  readonly settings: ReadAheadSettings;
  /** Where there is compression. */
  readonly incoming: HeldBack | undefined;
  /** Passes a message to the listeners. */
  emitMessage(message: Message): void;
  /** Whether there are any. */
  hasMessageListeners(): boolean;
  /** `full` may have changed. */
  balance(): void;
  /** The size of the receive queue has changed by more than a little. */
  countHeld(): void;
  /** Whether messages of the peer are still wanted: no Close was sent or received. */
  isOpen(): boolean;
}

/** Messages that wait, compressed, for room in the receive queue. */
export interface HeldBack {
  /** Bytes of them. */
  readonly heldSize: number;
  /** Delivers them while there is room. */
  resume(): void;
}

/**
 * The reading half of a connection. Messages go to the listeners while they flow, and otherwise to
 * the receive queue, which an iteration reads.
 */
export class Reading {
  private readonly host: ReadingHost;
  /** Bytes in the receive queue when they were last counted. */
  private counted = 0;
  private receiveQueue: ReceiveQueue | undefined;
  /** Created for the first message that had to wait. */
  private readAhead: ReadAhead | undefined;
  private flowing = false;
  /** Whether `pause` was called. A new listener does not end that. */
  private paused = false;
  private delivering = false;
  /** A message was dropped. All later ones are dropped too: the reader would not notice a gap. */
  private dropping = false;
  private ended = false;
  private stopped = false;
  private wake: ((more: boolean) => void) | undefined;

  constructor(host: ReadingHost) {
    this.host = host;
  }

  /** Whether the receive queue holds so much that nothing is to be read from the stream for now. */
  get full(): boolean {
    return this.readAhead?.full === true;
  }

  /** Whether nothing more is read from the stream until the application takes a message. */
  get exhausted(): boolean {
    return this.readAhead?.exhausted === true;
  }

  /** Whether there is room for a message that has to be decompressed. */
  get hasRoom(): boolean {
    const size = this.receiveQueue?.size ?? 0;
    return size === 0 || (size <= this.host.settings.receiveQueueSize && !this.host.settings.memory.underPressure);
  }

  /** Whether messages after our own Close are dropped because the receive queue is full. */
  get overflows(): boolean {
    const { receiveQueueSize, readAheadSize } = this.host.settings;
    return this.waitingSize > receiveQueueSize + readAheadSize && !this.host.isOpen();
  }

  /** Bytes that wait for the reader, here and compressed. */
  private get waitingSize(): number {
    return (this.receiveQueue?.size ?? 0) + (this.host.incoming?.heldSize ?? 0);
  }

  /** When `check` is to be called; Infinity for never. */
  get checkAt(): number {
    return this.readAhead?.checkAt ?? Infinity;
  }

  /** Reads ahead of a reader that takes nothing, or no longer. */
  check(now: number): void {
    this.readAhead?.check(now);
    this.host.balance();
  }

  /** Counts the bytes in the receive queue. */
  countHeld(): number {
    this.counted = this.receiveQueue?.size ?? 0;
    return this.receiveQueue?.held ?? 0;
  }

  /** Whether messages were received that may share memory with those of other connections. */
  get isUnsettled(): boolean {
    return this.receiveQueue?.isUnsettled === true;
  }

  /** The end of a tick: see `ReceiveQueue.settle`. */
  settle(): void {
    this.receiveQueue?.settle();
  }

  /**
   * Drops the receive queue and all later messages. Listeners are not called again, and iterations
   * end.
   */
  stop(): void {
    this.receiveQueue = undefined;
    this.flowing = false;
    this.stopped = true;
    this.wake?.(false);
  }

  receive(message: Message): void {
    if (this.flowing && (this.receiveQueue === undefined || this.receiveQueue.count === 0)) {
      this.host.emitMessage(message);
      return;
    }
    if (this.stopped) return;
    this.receiveQueue ??= new ReceiveQueue();
    // messages after our own Close are dropped if there is no room, so that the peer's Close is
    // reached
    const { receiveQueueSize, readAheadSize } = this.host.settings;
    if (this.receiveQueue.size > receiveQueueSize + readAheadSize && !this.host.isOpen()) this.dropping = true;
    if (this.dropping) return;
    this.receiveQueue.push(message);
    this.wake?.(true);
    this.measure();
  }

  /** No more messages follow. The receive queue can still be read. */
  end(): void {
    this.ended = true;
    this.wake?.(false);
  }

  pause(): void {
    this.paused = true;
    this.flowing = false;
  }

  resume(): void {
    this.paused = false;
    this.flow();
  }

  /** A listener was added. Delivery starts after the other `on` calls of this tick. */
  resumeSoon(): void {
    // a microtask, without the AsyncResource that queueMicrotask creates
    if (!this.flowing) void DONE.then(() => this.flow());
  }

  /** The last listener was removed. Messages wait for the next one, or for an iteration. */
  listenersGone(): void {
    this.flowing = false;
  }

  private flow(): void {
    if (this.paused || this.stopped || !this.host.hasMessageListeners()) return;
    this.flowing = true;
    // if a listener pauses and resumes, the loop that called it delivers the next message
    if (this.delivering) return;
    this.delivering = true;
    while (this.flowing) {
      const message = this.receiveQueue?.shift();
      if (message === undefined) break;
      this.host.emitMessage(message);
    }
    this.delivering = false;
    if (this.dropping) this.flowing = false;
    this.taken();
  }

  /** The reader has taken a message: waiting ones may follow. */
  private taken(): void {
    const { incoming } = this.host;
    if (incoming !== undefined && incoming.heldSize > 0) {
      this.readAhead?.noteTaken();
      incoming.resume();
      this.host.countHeld();
    }
    this.measure();
  }

  /** Call it when the amount of waiting messages has changed. */
  measure(): void {
    const size = this.receiveQueue?.size ?? 0;
    if (size < this.counted - COUNTED_IN || (size === 0 && this.counted > 0)) this.host.countHeld();
    const waiting = this.waitingSize;
    if (this.readAhead === undefined) {
      if (waiting === 0) return;
      this.readAhead = new ReadAhead(this.host.settings);
    }
    if (this.readAhead.measure(waiting)) this.host.balance();
  }

  async *messages(): AsyncIterableIterator<Message> {
    while (await this.readable()) {
      for (let message = this.receiveQueue?.shift(); message !== undefined; message = this.receiveQueue?.shift()) {
        this.taken();
        yield message;
      }
    }
  }

  async *batches(): AsyncIterableIterator<readonly Message[]> {
    while (await this.readable()) {
      const batch = this.receiveQueue?.drain() ?? [];
      this.taken();
      if (batch.length > 0) yield batch;
    }
  }

  /** Waits until there is a message. Returns false if there will be none. */
  private readable(): Promise<boolean> | boolean {
    if (this.flowing)
      throw protocolError(
        "INVALID_STATE",
        "messages are delivered to the listeners of the message event: remove them to read in another way",
      );
    if (this.receiveQueue !== undefined && this.receiveQueue.count > 0) return true;
    if (this.ended || this.stopped) return false;
    return new Promise((resolve) => {
      const before = this.wake;
      this.wake = (more) => {
        this.wake = undefined;
        before?.(more);
        resolve(more);
      };
    });
  }
}
