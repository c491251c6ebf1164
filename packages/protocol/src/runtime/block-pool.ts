/**
 * Memory that frames are written to, with views of its whole buffer: asking an array for its buffer
 * is slow.
 */
export interface Block {
  readonly bytes: Uint8Array;
  readonly buffer: ArrayBufferLike;
  readonly words: Int32Array;
  readonly view: DataView;
}

/** Returns a block on the memory of `bytes`, which is at the start of its buffer. */
export function blockOf(bytes: Uint8Array): Block {
  const { buffer } = bytes;
  return { bytes, buffer, words: new Int32Array(buffer, 0, bytes.length >> 2), view: new DataView(buffer) };
}

/** Where to write: at `bytes[at...]`; the others are views of its whole buffer. */
export interface Room {
  bytes: Uint8Array;
  words: Int32Array;
  view: DataView;
  at: number;
}

/**
 * Recycles blocks of one size among all connections. The block released last is acquired first: it
 * is still in the processor's cache.
 */
export class BlockPool {
  private readonly allocate: (size: number) => Uint8Array;
  private readonly size: number;
  private readonly most: number;
  private readonly free: Block[] = [];

  /** `size`: bytes of a block; `most`: how many free blocks are kept. */
  constructor(size: number, most: number, allocate: (size: number) => Uint8Array) {
    this.size = size;
    this.most = most;
    this.allocate = allocate;
  }

  /** Returns a block that no other output uses. Its contents are uninitialised. */
  acquire(): Block {
    return this.free.pop() ?? blockOf(this.allocate(this.size));
  }

  /** Recycles a block. */
  release(block: Block): void {
    if (this.free.length < this.most) this.free.push(block);
  }
}
