import type { Clock } from "../schedule/clock.ts";

/** What happens to bytes that go one way. */
export interface LaneConditions {
  /** ms */
  readonly latency: number;
  /** ms; 0 to this much is added at random */
  readonly jitter: number;
  /** bytes per second; Infinity for no limit */
  readonly bandwidth: number;
  /** Pieces that the bytes are cut into; undefined: as they came. */
  readonly chunking: { readonly min: number; readonly max: number } | undefined;
  readonly stall: { readonly chance: number; readonly duration: number };
}

/** Where a lane leads. */
export interface LaneEnd {
  /** False: no more until `resume`. */
  deliver(bytes: Uint8Array): boolean;
  /** Nothing more comes: the other end has said so. */
  end(): void;
}

const SEGMENT = 1460; // bytes; what a TCP segment carries on Ethernet: each one has a fate of its own
const LARGEST_WINDOW = 1024 * 1024; // bytes

interface Piece {
  /** ms on the clock */
  readonly at: number;
  /** Undefined: the end. */
  bytes: Uint8Array | undefined;
}

/** One direction of a stream under conditions: what goes in comes out later, in order, as bytes of a TCP connection do. */
export class Lane {
  private readonly conditions: LaneConditions;
  private readonly random: () => number;
  private readonly clock: Clock;
  private readonly to: LaneEnd;
  private readonly window: number;
  /** From `first` on: what is before it has arrived. */
  private queue: Piece[] = [];
  private first = 0;
  private inFlight = 0;
  /** When the line is free for more bytes, and before when nothing arrives any more. */
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
    // what fills the line, and a router's buffer before it
    const fill = 64 * 1024 + (bandwidth * (latency + jitter)) / 1000;
    this.window = bandwidth === Infinity ? LARGEST_WINDOW : Math.min(fill, LARGEST_WINDOW);
  }

  /** Takes bytes, which are its own from then on. `done` is called when there is room for more. */
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

  /** No more bytes come; that arrives behind them. */
  end(): void {
    if (this.over) return;
    const at = Math.max(this.lastAt, this.clock.now() + this.conditions.latency);
    this.lastAt = at;
    this.queue.push({ at, bytes: undefined });
    this.run();
  }

  /** Nothing arrives for so many ms, then all of it. */
  stall(duration: number): void {
    const until = this.clock.now() + duration;
    this.lastAt = Math.max(this.lastAt, until);
    this.queue = this.queue.slice(this.first).map(({ at, bytes }) => ({ at: Math.max(at, until), bytes }));
    this.first = 0;
    this.cancel?.();
    this.cancel = undefined;
    this.run();
  }

  /** There is room again where it leads. */
  resume(): void {
    this.held = false;
    this.run();
  }

  /** Drops what is under way and all that comes. */
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
    // a segment that was lost comes again, and what was sent behind it has to wait for it
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

/** Two neighbouring parts of one array as one, or undefined where they are not that. */
function follows(first: Uint8Array | undefined, second: Uint8Array): Uint8Array | undefined {
  if (first === undefined || first.buffer !== second.buffer) return undefined;
  if (first.byteOffset + first.length !== second.byteOffset) return undefined;
  return new Uint8Array(first.buffer, first.byteOffset, first.length + second.length);
}
