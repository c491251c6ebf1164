import type { Clock } from "../schedule/clock.ts";

/** Conditions of one direction. */
export interface LaneConditions {
  /** ms */
  readonly latency: number;
  /** ms; 0 to this much is added at random */
  readonly jitter: number;
  /** bytes per second; Infinity for no limit */
  readonly bandwidth: number;
  /** Sizes of the pieces in bytes; undefined: as written. */
  readonly chunking: { readonly min: number; readonly max: number } | undefined;
  readonly stall: { readonly chance: number; readonly duration: number };
}

/** The receiver of a lane. */
export interface LaneEnd {
  /** Returns false to get nothing more until `resume`. */
  deliver(bytes: Uint8Array): boolean;
  /** Nothing more arrives: the sender has ended its half. */
  end(): void;
}

/** Bytes; payload of a TCP segment on Ethernet: each has its own delay and loss. */
const SEGMENT = 1460;
const LARGEST_WINDOW = 1024 * 1024; // bytes

interface Piece {
  /** ms on the clock */
  readonly at: number;
  /** Undefined: the end of the stream. */
  bytes: Uint8Array | undefined;
}

/**
 * One direction of a stream under conditions. Bytes come out later, in order, as bytes of a TCP
 * connection do.
 */
export class Lane {
  private readonly conditions: LaneConditions;
  private readonly random: () => number;
  private readonly clock: Clock;
  private readonly to: LaneEnd;
  private readonly window: number;
  /** From `first` on; earlier entries have arrived. */
  private queue: Piece[] = [];
  private first = 0;
  private inFlight = 0;
  /** When the line is free for more bytes, and until when nothing arrives. */
  private freeAt = 0;
  private lastAt = 0;
  private held = false;
  private cancel: (() => void) | undefined;
  private waiting: (() => void) | undefined;
  private over = false;

  constructor(conditions: LaneConditions, random: () => number, clock: Clock, to: LaneEnd) {
    this.conditions = conditions;
    this.random = random;
    this.clock = clock;
    this.to = to;
    const { bandwidth, latency, jitter } = conditions;
    // the capacity of the line, and of a router's buffer before it
    const fill = 64 * 1024 + (bandwidth * (latency + jitter)) / 1000;
    this.window = bandwidth === Infinity ? LARGEST_WINDOW : Math.min(fill, LARGEST_WINDOW);
  }

  /** Takes bytes and owns them. `done` is called when there is room for more. */
  push(bytes: Uint8Array, done: () => void): void {
    if (this.over) {
      done();
      return;
    }
    for (let at = 0; at < bytes.length;) {
      const size = Math.min(this.pieceSize(), bytes.length - at);
      this.add(bytes.subarray(at, at + size));
      at += size;
    }
    this.waiting = done;
    this.run();
  }

  /** The sender has ended its half; the end arrives after the bytes. */
  end(): void {
    if (this.over) return;
    const at = Math.max(this.lastAt, this.clock.now() + this.conditions.latency);
    this.lastAt = at;
    this.queue.push({ at, bytes: undefined });
    this.run();
  }

  /** Holds all bytes for `duration` ms. */
  stall(duration: number): void {
    const until = this.clock.now() + duration;
    this.lastAt = Math.max(this.lastAt, until);
    this.queue = this.queue.slice(this.first).map(({ at, bytes }) => ({ at: Math.max(at, until), bytes }));
    this.first = 0;
    this.cancel?.();
    this.cancel = undefined;
    this.run();
  }

  /** The receiver has room again. */
  resume(): void {
    this.held = false;
    this.run();
  }

  /** Drops what is under way, and everything that follows. */
  close(): void {
    this.over = true;
    this.queue = [];
    this.first = 0;
    this.inFlight = 0;
    this.cancel?.();
    this.release();
  }

  private pieceSize(): number {
    const { chunking, jitter, bandwidth, stall } = this.conditions;
    if (chunking !== undefined) {
      return chunking.min + Math.floor(this.random() * (chunking.max - chunking.min + 1));
    }
    return jitter > 0 || stall.chance > 0 || bandwidth !== Infinity ? SEGMENT : Infinity;
  }

  private add(bytes: Uint8Array): void {
    const { latency, jitter, bandwidth, chunking, stall } = this.conditions;
    this.freeAt = Math.max(this.freeAt, this.clock.now()) + (bytes.length * 1000) / bandwidth;
    let at = this.freeAt + latency;
    if (jitter > 0) at += this.random() * jitter;
    // a lost segment is sent again, and the segments behind it wait for it
    if (stall.chance > 0 && this.random() < stall.chance) at += stall.duration;
    at = Math.max(at, this.lastAt);
    this.lastAt = at;
    this.inFlight += bytes.length;
    const before = this.queue.at(-1);
    const joined = before?.at === at && chunking === undefined ? follows(before.bytes, bytes) : undefined;
    if (before !== undefined && joined !== undefined) before.bytes = joined;
    else this.queue.push({ at, bytes });
  }

  /** Delivers what is due. */
  private run(): void {
    while (this.cancel === undefined && !this.held) {
      const next = this.queue[this.first];
      if (next === undefined) break;
      const wait = next.at - this.clock.now();
      if (wait > 0) {
        this.cancel = this.clock.after(wait, () => {
          this.cancel = undefined;
          this.run();
        });
        break;
      }
      if (++this.first === this.queue.length) {
        this.queue = [];
        this.first = 0;
      }
      if (next.bytes === undefined) this.to.end();
      else {
        this.inFlight -= next.bytes.length;
        this.held = !this.to.deliver(next.bytes);
      }
    }
    if (this.inFlight <= this.window) this.release();
  }

  private release(): void {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.();
  }
}

/** Joins two adjacent views of one array; undefined if they are not adjacent. */
function follows(first: Uint8Array | undefined, second: Uint8Array): Uint8Array | undefined {
  if (first === undefined || first.buffer !== second.buffer) return undefined;
  if (first.byteOffset + first.length !== second.byteOffset) return undefined;
  return new Uint8Array(first.buffer, first.byteOffset, first.length + second.length);
}
