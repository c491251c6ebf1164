import { SharedCopier } from "../bytes/copy.ts";
import { copyMasked, ViewCache } from "../bytes/mask.ts";
import { NATIVE_PAYS, portablePrimitives, type Primitives } from "../bytes/primitives.ts";
import { BlockPool, blockOf, type Room } from "./block-pool.ts";
import { ChainCache } from "./chain.ts";
import { PiecePool } from "./piece-pool.ts";
import { Slabs } from "./slabs.ts";

export const SMALL_BLOCK = 1024; // bytes
const LARGE_BLOCK = 16 * 1024; // bytes

/** What a runtime consists of: the platform's functions, recycled memory and caches. */
export class Memory {
  /** The platform's functions, frozen. */
  readonly primitives: Primitives;
  readonly views: ViewCache = new ViewCache();
  readonly copier: SharedCopier = new SharedCopier();
  readonly chains: ChainCache = new ChainCache();
  readonly pieces: PiecePool;
  /** Apart from the large ones, so that a small message that is kept keeps no large slab. */
  readonly smallSlabs: Slabs;
  readonly largeSlabs: Slabs;
  readonly inflatedSlabs: Slabs;
  /**
   * For the many connections that send little in a tick: a thousand of them touch 1 MiB, not 16.
   */
  readonly smallBlocks: BlockPool;
  readonly largeBlocks: BlockPool;
  /** What `Output.reserve` returns: the same object each time. */
  readonly room: Room = { ...blockOf(new Uint8Array(0)), at: 0 };
  /**
   * An idle frame parser. Between messages a connection needs none, so that mostly one serves all
   * of them.
   */
  idleParser: object | undefined;

  /** `native`: functions of the platform to be used in place of the portable ones. */
  constructor(native: Partial<Primitives> = {}) {
    this.primitives = Object.freeze({ ...portablePrimitives(this.views), ...native });
    const allocate = (size: number): Uint8Array => this.primitives.allocate(size);
    this.pieces = new PiecePool(allocate);
    this.smallSlabs = new Slabs(8 * 1024, allocate);
    this.largeSlabs = new Slabs(64 * 1024, allocate);
    this.inflatedSlabs = new Slabs(8 * 1024, allocate);
    this.smallBlocks = new BlockPool(SMALL_BLOCK, 2048, allocate); // up to 2 MiB
    this.largeBlocks = new BlockPool(LARGE_BLOCK, 128, allocate); // up to 2 MiB
  }

  /** Copies and unmasks as `copyMasked` does, by the platform's function where that pays. */
  copyMasked(
    source: Uint8Array,
    start: number,
    length: number,
    key: number,
    target: Uint8Array,
    targetWords: Int32Array,
    at: number,
  ): number {
    return length < NATIVE_PAYS
      ? copyMasked(source, start, length, key, target, targetWords, at, this.views)
      : this.primitives.copyMasked(source, start, length, key, target, targetWords, at);
  }
}
