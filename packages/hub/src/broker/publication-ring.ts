import type { Publication } from "./broker.ts";

const FIRST_CAPACITY = 8;
const OVERHEAD = 200; // bytes that a publication takes besides its texts, about

/**
 * The newest publications of one stream. Their offsets follow each other, so that an offset finds its place without a search.
 * Adding is O(1): the array doubles until it holds `size`, then it goes round.
 */
export class PublicationRing {
  private slots: (Publication | undefined)[] = [];
  private start = 0;
  private count = 0;
  private bytes = 0;

  /** What is kept takes about so many bytes. */
  get size(): number {
    return this.bytes;
  }

  get length(): number {
    return this.count;
  }

  /** Adds the publication that follows the last one, and keeps no more than `size`. */
  add(publication: Publication, size: number): void {
    while (this.count >= size) this.dropOldest();
    if (this.count === this.slots.length) this.grow(size);
    this.slots[(this.start + this.count) % this.slots.length] = publication;
    this.count++;
    this.bytes += sizeOf(publication);
  }

  clear(): void {
    this.bytes = 0;
    this.slots = [];
    this.start = 0;
    this.count = 0;
  }

  /** Up to `limit` publications (-1: all) with offsets above `after`, oldest first. `top` is the newest one's offset. */
  after(after: number, limit: number, top: number): Publication[] {
    const first = top - this.count + 1;
    const skipped = Math.min(Math.max(after + 1 - first, 0), this.count);
    const wanted = this.count - skipped;
    return this.slice(skipped, limit < 0 ? wanted : Math.min(limit, wanted));
  }

  /** Up to `limit` publications (-1: all) with offsets below `before`, newest first. */
  before(before: number, limit: number, top: number): Publication[] {
    const first = top - this.count + 1;
    const wanted = Math.min(Math.max(before - first, 0), this.count);
    const taken = limit < 0 ? wanted : Math.min(limit, wanted);
    return this.slice(wanted - taken, taken).reverse();
  }

  private slice(from: number, length: number): Publication[] {
    const publications: Publication[] = [];
    for (let index = from; index < from + length; index++) {
      const publication = this.slots[(this.start + index) % this.slots.length];
      if (publication !== undefined) publications.push(publication); // always: each of the `count` slots is filled
    }
    return publications;
  }

  private dropOldest(): void {
    const oldest = this.slots[this.start];
    if (oldest !== undefined) this.bytes -= sizeOf(oldest); // always: see slice
    this.slots[this.start] = undefined;
    this.start = (this.start + 1) % this.slots.length;
    this.count--;
  }

  private grow(size: number): void {
    const kept = this.slice(0, this.count);
    const capacity = Math.min(Math.max(kept.length * 2, FIRST_CAPACITY), size);
    this.slots = kept;
    this.slots.length = capacity;
    this.start = 0;
  }
}

function sizeOf({ data, tags, info }: Publication): number {
  let size = OVERHEAD + data.length;
  if (info !== undefined) size += (info.connInfo?.length ?? 0) + (info.chanInfo?.length ?? 0);
  if (tags !== undefined) for (const [name, value] of Object.entries(tags)) size += name.length + value.length;
  return size;
}
