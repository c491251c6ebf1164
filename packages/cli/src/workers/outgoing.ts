import { serialize } from "node:v8";

// Of a packet, so that the other end can do something else between two.
const MAX_MESSAGES = 128;
const MAX_BYTES = 256 * 1024; // about
const STUCK = 1_000; // ms without anything taken, after which nobody waits for the other end

/** What is sent: a call, its result or failure, or a note. Can be cloned. */
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

export interface OutgoingLimits {
  /** Bytes that may wait, a packet more or less. Beyond it notes that may be dropped are, and `isFull` is true. */
  readonly held: number;
  /** Bytes that may wait of what must not be dropped. Beyond it `onOverflow` is called. */
  readonly essential: number;
}

/** How often notes of a name were dropped. */
export type Losses = ReadonlyMap<string, number>;

export interface OutgoingOptions {
  readonly limits: OutgoingLimits;
  /** Names of notes that are dropped where too much waits. */
  readonly droppable: ReadonlySet<string>;
  readonly send: (packet: Buffer, done: () => void) => void;
  readonly now: () => number;
  /** Some of what waited was taken. */
  readonly onTaken: () => void;
  /** Notes may be sent again. What is pushed now goes ahead of them. */
  readonly onRecovered: (losses: Losses) => void;
  readonly onOverflow: () => void;
}

interface Packet {
  readonly bytes: Buffer;
  /** Of notes that may be dropped, by name; undefined for what may not be. */
  readonly notes: Losses | undefined;
}

/**
 * What waits to be taken by the other process. Messages of one tick leave together; one write is under way at a time. What the other end does not take is
 * bounded: notes that may be dropped are dropped and counted, until it has taken the most of what waits.
 */
export class Outgoing {
  private readonly options: OutgoingOptions;
  private tick: Message[] = [];
  private queue: Packet[] = [];
  private bytes = 0;
  private essential = 0;
  private isWriting = false;
  private progressAt = 0;
  private isDropping = false;
  private losses = new Map<string, number>();
  private isOver = false;

  constructor(options: OutgoingOptions) {
    this.options = options;
  }

  /** Bytes that wait, those of this tick not included. */
  get held(): number {
    return this.bytes;
  }

  get isFull(): boolean {
    return this.bytes > this.options.limits.held;
  }

  /** Whether the other end keeps up, or nobody has to wait for it: it takes nothing, or what it misses is dropped. */
  get isReady(): boolean {
    if (this.isOver || this.isDropping || this.bytes <= this.options.limits.held / 16) return true;
    return this.isWriting && this.options.now() - this.progressAt >= STUCK;
  }

  push(message: Message): void {
    if (this.isOver) return;
    if (this.isDropping && this.isDroppable(message)) {
      add(this.losses, message[1]);
      return;
    }
    if (this.tick.push(message) === 1) setImmediate(() => this.endTick());
  }

  /** Nothing is sent any more. */
  end(): void {
    this.isOver = true;
    this.tick = [];
    this.queue = [];
    this.bytes = this.essential = 0;
  }

  private isDroppable(message: Message): message is Extract<Message, readonly ["note", ...unknown[]]> {
    return message[0] === "note" && this.options.droppable.has(message[1]);
  }

  /** Makes packets of what was said, each of messages that may be dropped or of others. */
  private endTick(): void {
    const { tick } = this;
    this.tick = [];
    let from = 0;
    while (from < tick.length && !this.isOver) {
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
    this.essential += bytes.length;
    if (this.essential > limits.essential) onOverflow();
  }

  /** From now on notes are dropped, and those that wait are. */
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
    if (this.isWriting || this.isOver) return;
    if (this.isDropping && this.bytes <= this.options.limits.held / 4) this.recover();
    const packet = this.queue.shift();
    if (packet === undefined) return;
    this.isWriting = true;
    this.progressAt = this.options.now();
    this.options.send(packet.bytes, () => {
      this.isWriting = false;
      if (this.isOver) return;
      this.bytes -= packet.bytes.length;
      if (packet.notes === undefined) this.essential -= packet.bytes.length;
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

/** Bytes of the texts and payloads of a message, about. */
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
