/**
 * The largest payload that lies in a slab, in bytes. Such payloads are handed out as copies, so
 * that keeping one keeps nothing else alive.
 */
export const LARGEST_SHARED = 2048;

/**
 * Memory in which small payloads of all connections lie one behind the other, so that a message
 * needs no array of its own. A slab lives as long as any of its messages.
 */
export class Slabs {
  /** The slab in use. */
  bytes: Uint8Array = new Uint8Array(0);
  /** A word view of it. */
  words: Int32Array = new Int32Array(0);
  private readonly allocate: (size: number) => Uint8Array;
  private readonly size: number;
  private next = 0;

  /** `size`: bytes of a slab. */
  constructor(size: number, allocate: (size: number) => Uint8Array) {
    this.size = size;
    this.allocate = allocate;
  }

  /**
   * Returns the offset of `length` free bytes, congruent to `phase` modulo 4 so that words can be
   * copied.
   */
  take(length: number, phase: number): number {
    let at = this.next + ((phase - this.next) & 3);
    if (at + length > this.bytes.length) {
      this.bytes = this.allocate(this.size);
      this.words = new Int32Array(this.bytes.buffer, 0, this.size >> 2);
      at = phase & 3;
    }
    this.next = at + length;
    return at;
  }
}
