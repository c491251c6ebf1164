import type { Memory } from "../runtime/memory.ts";

const FIRST_PIECE = 256; // bytes
const LARGEST_PIECE = 128 * 1024; // bytes
/**
 * Sizes of pieces that are recycled are multiples of this, in bytes, so that one serves for other
 * messages.
 */
const STEP = 16 * 1024;

/**
 * An incomplete message. Its pieces grow with the received bytes: a new piece is as large as all
 * that is kept so far, and in the last frame never larger than the rest of it. The memory is
 * thereby at most twice the bytes received plus 256, whatever lengths were declared, and whatever
 * the number of fragments.
 */
export class Assembly {
  readonly type: "text" | "binary";
  readonly compressed: boolean;
  size = 0;
  /** Number of complete frames, and their sizes if the receiver keeps them. */
  frames = 0;
  sizes: number[] | undefined;
  /** The unmasked bytes of the last `append`: `piece[from..to)`. */
  piece: Uint8Array;
  from = 0;
  to = 0;
  private readonly memory: Memory;
  private words: Int32Array;
  private readonly full: Uint8Array[] = [];

  constructor(memory: Memory, type: "text" | "binary", compressed: boolean) {
    this.memory = memory;
    this.type = type;
    this.compressed = compressed;
    this.piece = EMPTY;
    this.words = EMPTY_WORDS;
  }

  /**
   * Keeps as many bytes of `source[start..end)` as fit in the current piece, XORed with `key`.
   * Returns the OR of them (see `copyMasked`). Call it again from `start + (to - from)` until all
   * are kept. `more`: bytes of the frame after `end`. `last`: whether it is the last frame of the
   * message.
   */
  append(source: Uint8Array, start: number, end: number, key: number, more: number, last: boolean): number {
    if (this.to === this.piece.length) this.grow(end - start, more, last);
    const length = Math.min(end - start, this.piece.length - this.to);
    const seen = this.memory.copyMasked(source, start, length, key, this.piece, this.words, this.to);
    this.from = this.to;
    this.to += length;
    this.size += length;
    return seen;
  }

  private grow(arrived: number, more: number, last: boolean): void {
    if (this.to > 0) this.full.push(this.piece);
    let size = Math.min(Math.max(arrived, this.size, FIRST_PIECE), LARGEST_PIECE);
    if (last) size = Math.min(size, arrived + more);
    const most = this.size + 2 * arrived;
    if (size > STEP) size = Math.min(Math.ceil(size / STEP) * STEP, most);
    const piece = this.memory.pieces.acquire(size, most);
    this.piece = piece;
    this.words = new Int32Array(piece.buffer, 0, piece.buffer.byteLength >> 2);
    this.to = 0;
  }

  /** Returns all pieces in order, without their unused ends. */
  finish(): readonly Uint8Array[] {
    if (this.to === this.piece.length) return this.to === 0 ? [] : [...this.full, this.piece];
    const used = this.piece.subarray(0, this.to);
    if (this.to >= this.piece.length / 2) return [...this.full, used];
    // a last piece less than half used is copied, so that a kept message keeps no more than twice
    // its size
    const { pieces } = this.memory;
    const rest = pieces.acquire(this.to, 2 * this.to); // not `slice`, which on a Buffer is a view
    rest.set(used);
    pieces.release(this.piece);
    return [...this.full, rest.length === this.to ? rest : rest.subarray(0, this.to)];
  }
}

const EMPTY = new Uint8Array(0);
const EMPTY_WORDS = new Int32Array(0);
