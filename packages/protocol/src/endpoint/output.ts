import { primitives } from "../bytes/primitives.ts";
import { giveBackPiece } from "../bytes/pieces.ts";
import type { Chain, PreparedMessage } from "../messages/prepared.ts";

const SMALL_BLOCK = 1024; // bytes
const LARGE_BLOCK = 16 * 1024; // bytes
const LARGEST_COPY = 4096; // bytes; what is larger is listed where it stands instead of being copied to a block

interface Block {
  readonly bytes: Uint8Array;
  /** Kept at hand, since an array is slow to say what its buffer is. */
  readonly buffer: ArrayBufferLike;
  readonly words: Int32Array;
  readonly view: DataView;
}

/**
 * Blocks that no output uses; shared by all connections. The last one given back is the one still in the cache. Small ones serve the many
 * connections that have little to say in a turn: a thousand of them touch 1 MiB, not 16.
 */
class Spare {
  private readonly size: number;
  private readonly kept: number;
  private readonly blocks: Block[] = [];

  constructor(size: number, kept: number) {
    this.size = size;
    this.kept = kept;
  }

  take(): Block {
    const spare = this.blocks.pop();
    if (spare !== undefined) return spare;
    const bytes = primitives.allocate(this.size);
    return blockOf(bytes);
  }

  give(block: Block): void {
    if (this.blocks.length < this.kept) this.blocks.push(block);
  }
}

function blockOf(bytes: Uint8Array): Block {
  const { buffer } = bytes;
  return { bytes, buffer, words: new Int32Array(buffer, 0, bytes.length >> 2), view: new DataView(buffer) };
}

function part({ buffer }: Block, start: number, end: number): Uint8Array {
  return new Uint8Array(buffer, start, end - start);
}

const small = new Spare(SMALL_BLOCK, 2048); // 2 MiB for the process
const large = new Spare(LARGE_BLOCK, 128); // 2 MiB for the process

/** What an output hands to the transport: bytes in order, and the blocks to give back when they have been written. */
export interface Taken {
  readonly pieces: Uint8Array | Uint8Array[];
  readonly size: number;
  readonly blocks: Block[];
  /** Memory of messages that are gone by then. */
  readonly spent: Uint8Array[] | undefined;
}

/** No message is being sent in fragments. */
export const NO_FRAGMENT = -1;

const NO_BLOCKS: Block[] = [];
const NO_BLOCK: Block = blockOf(new Uint8Array(0));

/** Where to write: at `bytes[at...]`, of whose whole buffer the others are views. */
export interface Room {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly view: DataView;
  readonly at: number;
}

/** `reserve` answers at each call with the same object. */
const room = { bytes: NO_BLOCK.bytes, words: NO_BLOCK.words, view: NO_BLOCK.view, at: 0 };

/**
 * Frame bytes on their way to the transport. Small frames are packed into blocks, large payloads are listed by reference, and
 * while nothing but prepared messages waits, all there is is a pointer to a shared chain. An empty output holds no memory.
 */
export class Output {
  /** Bytes that wait. */
  size = 0;
  /** Opcode and RSV1 of the next fragment of the message that is being sent in fragments. */
  nextFragment = NO_FRAGMENT;
  private chain: Chain | undefined;
  private pieces: Uint8Array[] | undefined;
  private blocks: Block[] | undefined;
  private spent: Uint8Array[] | undefined;
  private block: Block | undefined;
  private begin = 0;
  private end = 0;

  /** Whether a message is being sent in fragments, which no other message may interrupt (RFC 6455 §5.4). */
  get inMessage(): boolean {
    return this.nextFragment !== NO_FRAGMENT;
  }

  /**
   * Room for `length` bytes (at most LARGE_BLOCK less SMALL_BLOCK) to be written at once: into `bytes[at...]`. Follow it by `wrote`, before anything else is asked of
   * the output.
   */
  reserve(length: number): Room {
    this.unchain();
    let { block } = this;
    if (block === undefined || this.end + length > block.bytes.length) block = this.nextBlock(length);
    room.bytes = block.bytes;
    room.words = block.words;
    room.view = block.view;
    room.at = this.end;
    return room;
  }

  wrote(end: number): void {
    this.size += end - this.end;
    this.end = end;
  }

  /** Adds bytes. They are copied if they are few; else they must stay as they are until they are written. */
  append(bytes: Uint8Array): void {
    if (bytes.length <= LARGEST_COPY) {
      const { bytes: block, at } = this.reserve(bytes.length);
      block.set(bytes, at);
      this.wrote(at + bytes.length);
      return;
    }
    this.unchain();
    this.list(bytes);
    this.size += bytes.length;
  }

  /** Memory that is to be given back when all that was added so far is written. */
  spend(pieces: readonly Uint8Array[]): void {
    if (pieces.length > 0) (this.spent ??= []).push(...pieces);
  }

  appendPrepared(message: PreparedMessage): void {
    if (this.size === 0) {
      this.chain = message.chain;
      this.size = this.chain.size;
    } else if (this.chain !== undefined) {
      this.chain = this.chain.with(message.frame);
      this.size = this.chain.size;
    } else {
      this.append(message.frame);
    }
  }

  /** Hands over everything that waits. Give the blocks back with `giveBack` when the transport is done with the bytes. */
  take(): Taken {
    const size = this.size;
    this.size = 0;
    if (this.chain !== undefined) {
      const pieces = this.chain.pieces();
      this.chain = undefined;
      return { pieces, size, blocks: NO_BLOCKS, spent: undefined };
    }
    const current =
      this.block !== undefined && this.end > this.begin ? part(this.block, this.begin, this.end) : undefined;
    const { spent, blocks = [] } = this;
    if (this.block !== undefined) blocks.push(this.block);
    let pieces: Uint8Array | Uint8Array[];
    if (this.pieces === undefined) {
      pieces = current ?? [];
    } else {
      if (current !== undefined) this.pieces.push(current);
      pieces = this.pieces;
    }
    this.pieces = this.blocks = this.block = this.spent = undefined;
    this.begin = this.end = 0;
    return { pieces, size, blocks, spent };
  }

  /** Drops everything that waits. */
  clear(): void {
    giveBack(this.take());
  }

  /** What is to be written behind a chain cannot be part of it. */
  private unchain(): void {
    if (this.chain === undefined) return;
    const pieces = this.chain.pieces();
    this.chain = undefined;
    this.size = 0;
    if (Array.isArray(pieces)) for (const piece of pieces) this.append(piece);
    else this.append(pieces);
  }

  private list(bytes: Uint8Array): void {
    this.pieces ??= [];
    if (this.block !== undefined && this.end > this.begin) {
      this.pieces.push(part(this.block, this.begin, this.end));
      this.begin = this.end;
    }
    this.pieces.push(bytes);
  }

  private nextBlock(length: number): Block {
    const { block: full, begin, end } = this;
    if (full === undefined) {
      this.begin = this.end = 0;
      return (this.block = length <= SMALL_BLOCK ? small.take() : large.take());
    }
    const next = (this.block = large.take());
    this.begin = this.end = 0;
    if (full.bytes.length === SMALL_BLOCK && begin === 0) {
      // there turned out to be more to say: what stands in the small block moves along
      next.bytes.set(full.bytes.subarray(0, end));
      this.end = end;
      small.give(full);
    } else {
      if (end > begin) (this.pieces ??= []).push(part(full, begin, end));
      (this.blocks ??= []).push(full);
    }
    return next;
  }
}

/** Lets other outputs use the blocks. A second time it does nothing: a block that two outputs wrote to would mix what they send. */
export function giveBack(taken: Taken): void {
  for (let block = taken.blocks.pop(); block !== undefined; block = taken.blocks.pop()) {
    if (block.bytes.length === SMALL_BLOCK) small.give(block);
    else large.give(block);
  }
  const { spent } = taken;
  if (spent !== undefined) for (const piece of spent.splice(0)) giveBackPiece(piece);
}
