import { serialize } from "node:v8";

// limits of a packet, so that the receiver can do other work between two packets
const MAX_MESSAGES = 128;
const MAX_BYTES = 256 * 1024; // approximate
const STUCK = 1_000; // ms without progress, after which nobody waits for the other process

/** A message: a call, its result or failure, or a notification. Structured-cloneable. */
export type Message =
  | readonly [type: "call", id: number, name: string, args: readonly unknown[]]
  | readonly [type: "result", id: number, value: unknown]
  | readonly [type: "failure", id: number, error: PlainError]
  | readonly [type: "note", name: string, args: readonly unknown[]];

export interface PlainError {
  readonly message: string;
  readonly code?: string;
  readonly syscall?: string;
}

export interface SendQueueLimits {
  /**
   * Queued bytes above which droppable notifications are dropped and `isFull` is true. May be
   * exceeded by one packet.
   */
  readonly queuedBytes: number;
  /** Queued bytes of messages that must not be dropped, above which `onOverflow` is called. */
  readonly undroppable: number;
}

/** The number of dropped notifications by name. */
export type Losses = ReadonlyMap<string, number>;

export interface SendQueueOptions {
  readonly limits: SendQueueLimits;
  /** Names of notifications that may be dropped. */
  readonly droppable: ReadonlySet<string>;
  readonly send: (packet: Buffer, done: () => void) => void;
  readonly now: () => number;
  /** Called when queued bytes were accepted. */
  readonly onTaken: () => void;
  /**
   * Called when notifications can be sent again. Messages pushed from this callback precede all
   * others.
   */
  readonly onRecovered: (losses: Losses) => void;
  readonly onOverflow: () => void;
}

interface Packet {
  readonly bytes: Buffer;
  /** The number of droppable notifications by name; undefined if the packet must not be dropped. */
  readonly notes: Losses | undefined;
}

/**
 * Queue of messages for the other process. Messages of one event-loop tick are sent together, with
 * one write at a time. The queue is bounded: when it is full, droppable notifications are dropped
 * and counted until most of the queue was accepted.
 */
export class SendQueue {
  private readonly options: SendQueueOptions;
  private tick: Message[] = [];
  private queue: Packet[] = [];
  private bytes = 0;
  private undroppable = 0;
  private isWriting = false;
  private progressAt = 0;
  private isDropping = false;
  private losses = new Map<string, number>();
  private isClosed = false;

  constructor(options: SendQueueOptions) {
    this.options = options;
  }

  /** Queued bytes, without messages of the current tick. */
  get queuedBytes(): number {
    return this.bytes;
  }

  get isFull(): boolean {
    return this.bytes > this.options.limits.queuedBytes;
  }

  /**
   * Whether the other process keeps up or need not be waited for: it is stuck, or its messages are
   * being dropped.
   */
  get isReady(): boolean {
    if (this.isClosed || this.isDropping || this.bytes <= this.options.limits.queuedBytes / 16) return true;
    return this.isWriting && this.options.now() - this.progressAt >= STUCK;
  }

  push(message: Message): void {
    if (this.isClosed) return;
    if (this.isDropping && this.isDroppable(message)) {
      add(this.losses, message[1]);
      return;
    }
    if (this.tick.push(message) === 1) setImmediate(() => this.endTick());
  }

  /** Discards the queue. Nothing is sent after this call. */
  end(): void {
    this.isClosed = true;
    this.tick = [];
    this.queue = [];
    this.bytes = this.undroppable = 0;
  }

  private isDroppable(message: Message): message is Extract<Message, readonly ["note", ...unknown[]]> {
    return message[0] === "note" && this.options.droppable.has(message[1]);
  }

  /**
   * Packs the messages of the tick into packets. A packet has either droppable messages or others.
   */
  private endTick(): void {
    const { tick } = this;
    this.tick = [];
    let from = 0;
    while (from < tick.length && !this.isClosed) {
      let droppable: boolean | undefined;
      let to = from;
      for (let size = 0; to - from < MAX_MESSAGES && size < MAX_BYTES; to++) {
        const message = tick[to];
        if (message === undefined) break;
        droppable ??= this.isDroppable(message);
        if (this.isDroppable(message) !== droppable) break;
        size += roughSize(message);
      }
      this.add(tick.slice(from, to), droppable === true);
      from = to;
    }
    this.advance();
  }

  private add(messages: readonly Message[], droppable: boolean): void {
    const { limits, onOverflow } = this.options;
    const notes = droppable ? countNotes(messages) : undefined;
    if (this.isFull && !this.isDropping) this.drop();
    if (notes !== undefined && this.isDropping) return this.lose(notes);
    const bytes = serialize(messages);
    this.queue.push({ bytes, notes });
    this.bytes += bytes.length;
    if (notes !== undefined) return;
    this.undroppable += bytes.length;
    if (this.undroppable > limits.undroppable) onOverflow();
  }

  /** Starts dropping: discards queued notifications and further ones. */
  private drop(): void {
    this.isDropping = true;
    this.queue = this.queue.filter(({ bytes, notes }) => {
      if (notes === undefined) return true;
      this.bytes -= bytes.length;
      this.lose(notes);
      return false;
    });
    this.options.onTaken();
  }

  private lose(notes: Losses): void {
    for (const [name, count] of notes) add(this.losses, name, count);
  }

  private advance(): void {
    if (this.isWriting || this.isClosed) return;
    if (this.isDropping && this.bytes <= this.options.limits.queuedBytes / 4) this.recover();
    const packet = this.queue.shift();
    if (packet === undefined) return;
    this.isWriting = true;
    this.progressAt = this.options.now();
    this.options.send(packet.bytes, () => {
      this.isWriting = false;
      if (this.isClosed) return;
      this.bytes -= packet.bytes.length;
      if (packet.notes === undefined) this.undroppable -= packet.bytes.length;
      this.options.onTaken();
      this.advance();
    });
  }

  private recover(): void {
    const { losses } = this;
    this.isDropping = false;
    this.losses = new Map();
    if (losses.size > 0) this.options.onRecovered(losses);
  }
}

/** Returns the approximate size of strings and payloads in a message, in bytes. */
function roughSize(message: Message): number {
  return message[0] === "note" || message[0] === "call" ? sizeOf(message.at(-1)) : sizeOf(message[2]);
}

function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (value instanceof Uint8Array) return value.length;
  if (typeof value !== "object" || value === null) return 8;
  let size = 8;
  for (const each of Object.values(value)) size += sizeOf(each);
  return size;
}

function countNotes(messages: readonly Message[]): Losses {
  const counts = new Map<string, number>();
  for (const message of messages) if (message[0] === "note") add(counts, message[1]);
  return counts;
}

function add(counts: Map<string, number>, name: string, count = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + count);
}
