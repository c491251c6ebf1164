const LARGEST_JOIN = 128 * 1024; // bytes; a longer chain is returned in pieces

/**
 * Remembers the frame that was added to a chain last, so that a broadcast looks it up once. Evicted
 * when the chain's bytes are asked for: the broadcast is over.
 */
export class ChainCache {
  before: Chain | undefined;
  next: Chain | undefined;
}

/**
 * A sequence of prepared frames, shared by all outputs that hold the same sequence: adding the same
 * frame to the same chain gives the same next chain, and its bytes are joined once for all
 * connections that send it. A broadcast to a thousand connections costs each of them one pointer.
 */
export class Chain {
  /** Bytes of all frames. */
  readonly size: number;
  private readonly before: Chain | undefined;
  /** The last frame of the sequence. */
  readonly frame: Uint8Array;
  private joined: Uint8Array | undefined;
  /** Weak: otherwise a message that is kept would keep all messages sent after it. */
  private next: WeakRef<Chain> | undefined;

  constructor(before: Chain | undefined, frame: Uint8Array) {
    this.before = before;
    this.frame = frame;
    this.size = frame.length + (before === undefined ? 0 : before.size);
  }

  /** Returns the chain with `frame` added. */
  with(frame: Uint8Array, cache: ChainCache): Chain {
    if (cache.before === this && cache.next?.frame === frame) return cache.next;
    let next = this.next?.deref();
    if (next === undefined || next.frame !== frame) {
      next = new Chain(this, frame);
      this.next = new WeakRef(next);
    }
    cache.before = this;
    cache.next = next;
    return next;
  }

  /** Returns all frames in order, joined if they are not too many bytes. */
  pieces(cache: ChainCache, allocate: (size: number) => Uint8Array): Uint8Array | Uint8Array[] {
    if (this.before === undefined) return this.frame;
    if (cache.next === this) cache.before = cache.next = undefined;
    if (this.joined !== undefined) return this.joined;
    if (this.size > LARGEST_JOIN) {
      const frames: Uint8Array[] = [];
      for (let chain: Chain | undefined = this; chain !== undefined; chain = chain.before) frames.push(chain.frame);
      return frames.reverse();
    }
    const joined = allocate(this.size);
    let at = this.size;
    for (let chain: Chain | undefined = this; chain !== undefined; chain = chain.before) {
      at -= chain.frame.length;
      joined.set(chain.frame, at);
    }
    this.joined = joined;
    return joined;
  }
}
