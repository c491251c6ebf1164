import { encodeLatin1 } from "../bytes/latin1.ts";
import { chainOf, type PreparedMessage } from "../messages/prepared.ts";
import type { Block, Room } from "../runtime/block-pool.ts";
import type { Chain } from "../runtime/chain.ts";
import { type Memory, SMALL_BLOCK } from "../runtime/memory.ts";

const LARGEST_COPY = 4096; // bytes; larger payloads are referred to, and not copied to a block

function part({ buffer }: Block, start: number, end: number): Uint8Array {
  return new Uint8Array(buffer, start, end - start);
}

/** Bytes that an output hands to the transport, and memory to recycle when they are written. */
export interface Taken {
  /** The bytes, in order. */
  readonly pieces: Uint8Array | Uint8Array[];
  /** Number of bytes in all pieces. */
  readonly size: number;
  /** The blocks that the pieces are in. */
  readonly blocks: Block[];
  /** Memory of messages that no caller can read any more. */
  readonly recycled: Uint8Array[] | undefined;
}

/** No message in fragments is in progress. */
export const NO_FRAGMENT = -1;

const NO_BLOCKS: Block[] = [];

/**
 * Frame bytes that wait for the transport. Small frames are packed into blocks, and large payloads
 * are referred to. While only prepared messages wait, the output is a pointer to a shared chain. An
 * empty output uses no memory.
 */
export class Output {
  /** Bytes that wait. */
  size = 0;
  /** Opcode and RSV1 of the next fragment of the message in progress. */
  nextFragment = NO_FRAGMENT;
  readonly #memory: Memory;
  #chain: Chain | undefined;
  #pieces: Uint8Array[] | undefined;
  #blocks: Block[] | undefined;
  #recycled: Uint8Array[] | undefined;
  #block: Block | undefined;
  #begin = 0;
  #end = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /**
   * Whether a message in fragments is in progress. No other message may interrupt it (RFC 6455
   * §5.4).
   */
  get inMessage(): boolean {
    return this.nextFragment !== NO_FRAGMENT;
  }

  /**
   * Returns room for `length` bytes, at most LARGE_BLOCK less SMALL_BLOCK. Write them at once to
   * `bytes[at...]`, then call `wrote` before any other method.
   */
  reserve(length: number): Room {
    this.#unchain();
    let block = this.#block;
    if (block === undefined || this.#end + length > block.bytes.length) block = this.#nextBlock(length);
    const { room } = this.#memory;
    room.bytes = block.bytes;
    room.words = block.words;
    room.view = block.view;
    room.at = this.#end;
    return room;
  }

  /** Adds the bytes of the reserved block up to the offset `end`. */
  wrote(end: number): void {
    this.size += end - this.#end;
    this.#end = end;
  }

  /** Adds bytes. A few are copied. More must not change until they are written. */
  append(bytes: Uint8Array): void {
    if (bytes.length <= LARGEST_COPY) {
      const { bytes: block, at } = this.reserve(bytes.length);
      block.set(bytes, at);
      this.wrote(at + bytes.length);
      return;
    }
    this.#unchain();
    this.#list(bytes);
    this.size += bytes.length;
  }

  /** Adds text of characters up to U+00FF as one byte each. */
  appendLatin1(text: string): void {
    if (text.length > LARGEST_COPY) {
      this.append(encodeLatin1(text));
      return;
    }
    const { bytes, at } = this.reserve(text.length);
    for (let from = 0; from < text.length; from++) bytes[at + from] = text.charCodeAt(from);
    this.wrote(at + text.length);
  }

  /** Adds memory to recycle when all bytes added so far are written. */
  recycle(pieces: readonly Uint8Array[]): void {
    if (pieces.length > 0) (this.#recycled ??= []).push(...pieces);
  }

  /** Appends the frames of a prepared message without copying them. */
  appendPrepared(message: PreparedMessage): void {
    this.appendShared(chainOf(message));
  }

  /** Adds the frame of a chain that many outputs share. The bytes must not change. */
  appendShared(first: Chain): void {
    if (this.size === 0) {
      this.#chain = first;
      this.size = first.size;
    } else if (this.#chain !== undefined) {
      this.#chain = this.#chain.with(first.frame, this.#memory.chains);
      this.size = this.#chain.size;
    } else {
      this.append(first.frame);
    }
  }

  /** Returns everything that waits. Call `release` when the transport has written it. */
  take(): Taken {
    const size = this.size;
    this.size = 0;
    if (this.#chain !== undefined) {
      const pieces = this.#chain.pieces(this.#memory.chains, this.#memory.primitives.allocate);
      this.#chain = undefined;
      return { pieces, size, blocks: NO_BLOCKS, recycled: undefined };
    }
    const current =
      this.#block !== undefined && this.#end > this.#begin ? part(this.#block, this.#begin, this.#end) : undefined;
    // a literal has no room for more: most outputs are one block
    let blocks = this.#blocks;
    if (blocks === undefined) blocks = this.#block === undefined ? [] : [this.#block];
    else if (this.#block !== undefined) blocks.push(this.#block);
    const recycled = this.#recycled;
    let pieces: Uint8Array | Uint8Array[];
    if (this.#pieces === undefined) {
      pieces = current ?? [];
    } else {
      if (current !== undefined) this.#pieces.push(current);
      pieces = this.#pieces;
    }
    this.#pieces = this.#blocks = this.#block = this.#recycled = undefined;
    this.#begin = this.#end = 0;
    return { pieces, size, blocks, recycled };
  }

  /**
   * Recycles the memory of what `take` returned. A second call does nothing: two outputs would
   * write to the same block.
   */
  release({ blocks, recycled }: Taken): void {
    const { smallBlocks, largeBlocks, pieces } = this.#memory;
    for (let block = blocks.pop(); block !== undefined; block = blocks.pop()) {
      if (block.bytes.length === SMALL_BLOCK) smallBlocks.release(block);
      else largeBlocks.release(block);
    }
    if (recycled !== undefined) for (const piece of recycled.splice(0)) pieces.release(piece);
  }

  /** Drops everything that waits. */
  clear(): void {
    this.release(this.take());
  }

  /** Copies the frames of a chain, because other bytes follow. */
  #unchain(): void {
    if (this.#chain === undefined) return;
    const pieces = this.#chain.pieces(this.#memory.chains, this.#memory.primitives.allocate);
    this.#chain = undefined;
    this.size = 0;
    if (Array.isArray(pieces)) for (const piece of pieces) this.append(piece);
    else this.append(pieces);
  }

  #list(bytes: Uint8Array): void {
    this.#pieces ??= [];
    if (this.#block !== undefined && this.#end > this.#begin) {
      this.#pieces.push(part(this.#block, this.#begin, this.#end));
      this.#begin = this.#end;
    }
    this.#pieces.push(bytes);
  }

  #nextBlock(length: number): Block {
    const full = this.#block;
    const begin = this.#begin;
    const end = this.#end;
    if (full === undefined) {
      this.#begin = this.#end = 0;
      return (this.#block =
        length <= SMALL_BLOCK ? this.#memory.smallBlocks.acquire() : this.#memory.largeBlocks.acquire());
    }
    const next = (this.#block = this.#memory.largeBlocks.acquire());
    this.#begin = this.#end = 0;
    if (full.bytes.length === SMALL_BLOCK && begin === 0) {
      // the content of the small block moves to the large one
      next.bytes.set(full.bytes.subarray(0, end));
      this.#end = end;
      this.#memory.smallBlocks.release(full);
    } else {
      if (end > begin) (this.#pieces ??= []).push(part(full, begin, end));
      (this.#blocks ??= []).push(full);
    }
    return next;
  }
}
