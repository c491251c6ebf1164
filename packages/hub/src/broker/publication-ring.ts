import { FRAMING_BYTES, type Publication } from "./broker.ts";

/** Approximate bytes of memory of a publication besides its texts. */
const OVERHEAD = 200;

/** The part of the ring to read. */
export interface RingSlice {
  /** Maximum number of publications; -1: no limit. */
  readonly limit: number;
  /**
   * Maximum number of bytes, with FRAMING_BYTES for each publication; at least one publication is
   * returned.
   */
  readonly maxBytes: number;
}

/**
 * The newest publications of one stream. Offsets are consecutive, so that an offset gives the
 * index. Adding is O(1): the array doubles until it holds `size`, then it wraps around.
 */
export class PublicationRing {
  private slots: (Publication | undefined)[] = [];
  /** Bytes of the texts, at the same indices. */
  private sizes: number[] = [];
  private start = 0;
  private count = 0;
  private bytes = 0;

  /** Approximate bytes of memory of the publications. */
  get size(): number {
    return this.bytes;
  }

  get length(): number {
    return this.count;
  }

  /** Adds the next publication, whose texts take `bytes`, and keeps at most `size`. */
  add(publication: Publication, bytes: number, size: number): void {
    while (this.count >= size) this.dropOldest();
    if (this.count === this.slots.length) this.grow(size);
    const at = (this.start + this.count) % this.slots.length;
    this.slots[at] = publication;
    this.sizes[at] = bytes;
    this.count++;
    this.bytes += bytes + OVERHEAD;
  }

  clear(): void {
    this.bytes = 0;
    this.slots = [];
    this.sizes = [];
    this.start = 0;
    this.count = 0;
  }

  /** Returns publications with offsets above `after`, oldest first. `top` is the newest offset. */
  after(after: number, { limit, maxBytes }: RingSlice, top: number): Publication[] {
    const first = top - this.count + 1;
    const skipped = Math.min(Math.max(after + 1 - first, 0), this.count);
    const end = limit < 0 ? this.count : Math.min(skipped + limit, this.count);
    const publications: Publication[] = [];
    for (let index = skipped, bytes = 0; index < end; index++) {
      bytes += this.sizeAt(index);
      if (bytes > maxBytes && publications.length > 0) break;
      this.push(publications, index);
    }
    return publications;
  }

  /** Returns publications with offsets below `before`, newest first. */
  before(before: number, { limit, maxBytes }: RingSlice, top: number): Publication[] {
    const first = top - this.count + 1;
    const wanted = Math.min(Math.max(before - first, 0), this.count);
    const end = limit < 0 ? 0 : Math.max(wanted - limit, 0);
    const publications: Publication[] = [];
    for (let index = wanted - 1, bytes = 0; index >= end; index--) {
      bytes += this.sizeAt(index);
      if (bytes > maxBytes && publications.length > 0) break;
      this.push(publications, index);
    }
    return publications;
  }

  private sizeAt(index: number): number {
    return (this.sizes[(this.start + index) % this.sizes.length] ?? 0) + FRAMING_BYTES;
  }

  private push(publications: Publication[], index: number): void {
    const publication = this.slots[(this.start + index) % this.slots.length];
    if (publication !== undefined) publications.push(publication); // always: each of the `count` slots is filled
  }

  private dropOldest(): void {
    this.bytes -= (this.sizes[this.start] ?? 0) + OVERHEAD;
    this.slots[this.start] = undefined;
    this.start = (this.start + 1) % this.slots.length;
    this.count--;
  }

  private grow(size: number): void {
    const { start, slots, sizes } = this;
    const capacity = Math.min(Math.max(this.count * 2, 1), size);
    this.slots = slots.slice(start).concat(slots.slice(0, start));
    this.sizes = sizes.slice(start).concat(sizes.slice(0, start));
    this.slots.length = this.sizes.length = capacity;
    this.start = 0;
  }
}
