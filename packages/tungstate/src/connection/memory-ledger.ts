import type { MemoryUse } from "./memory-use.ts";

/** A connection or a part, to its budget. The budget alone writes the first three fields. */
export interface MemoryHolder {
  /** Bytes that it was last known to hold. */
  held: number;
  before: MemoryHolder | undefined;
  after: MemoryHolder | undefined;
  /** The name of a part; undefined for a connection. */
  readonly name?: string;
  /** Whether it is a part that is a cache. */
  readonly isCache?: boolean;
  /**
   * Called when memory is short: gives back at least `excess` bytes if it can, and reports what it holds then by `hold`.
   * Returns how many connections were ended for that.
   */
  release(excess: number): number;
}

const SHORT_FROM = 3 / 4; // of the limit
const SHORT_UNTIL = 5 / 8; // of the limit; so that it does not flutter
const SHORT_FOR = 1_000; // ms of shortage, after which a new connection makes the largest holders release theirs
const CACHE_STEP = 1024 * 1024; // bytes that caches give back at a time, at least; less where the limit is low
const CACHE_SHARE = 1 / 64; // of the limit
const CACHE_RESERVE = 1 / 16; // of the limit; what a cache keeps whatever connections hold

/**
 * The account of a MemoryBudget: who holds how much, and who has to release memory when the limit is passed. Users see the budget only.
 */
export class MemoryLedger {
  /** Bytes. */
  readonly limit: number;
  private total = 0;
  private highest = 0;
  private count = 0;
  private isShort = false;
  private shortSince = 0; // ms
  private readonly now: () => number;
  private ended = 0;
  /** Holders are releasing memory: what they report meanwhile asks for no more. */
  private releasing = false;
  /** Of those that hold something. */
  private first: MemoryHolder | undefined;
  /** Caches that hold something. */
  private readonly caches = new Set<MemoryHolder>();

  /** `limit`: bytes, or Infinity. `now`: ms, from any origin. */
  constructor(limit: number, now: () => number = () => performance.now()) {
    this.limit = limit;
    this.now = now;
  }

  get use(): MemoryUse {
    const { limit, total: held, highest: peak, count: holders, isShort: short, ended } = this;
    const parts: Record<string, number> = {};
    for (let each = this.first; each !== undefined; each = each.after) {
      if (each.name !== undefined) parts[each.name] = (parts[each.name] ?? 0) + each.held;
    }
    return { limit, held, peak, holders, short, ended, parts };
  }

  /** Whether nearly all of the limit is held: handshakes are refused, and less is read. */
  get short(): boolean {
    return this.isShort;
  }

  /**
   * Asks for room for a new connection. Returns false while memory is short. After a second of shortage the largest holders release theirs first: a few peers that read
   * nothing cannot keep new ones out.
   */
  admits(): boolean {
    if (this.isShort && !this.releasing && this.now() - this.shortSince >= SHORT_FOR) this.releaseLargest(SHORT_UNTIL);
    return !this.isShort;
  }

  /** Whether no more than half of it is held: enough to read ahead of readers that take nothing. */
  get ample(): boolean {
    return this.total <= this.limit / 2;
  }

  /** `entry` holds so many bytes now. Those that hold most may be asked to release theirs before it returns. */
  hold(entry: MemoryHolder, bytes: number): void {
    const had = entry.held;
    if (bytes === had) return;
    entry.held = bytes;
    if (had === 0) this.link(entry);
    else if (bytes === 0) this.unlink(entry);
    this.total += bytes - had;
    if (bytes > had) this.grown();
    else if (this.isShort && this.total <= this.limit * SHORT_UNTIL) this.isShort = false;
  }

  private grown(): void {
    if (this.total > this.highest) this.highest = this.total;
    if (this.total <= this.limit * SHORT_FROM) return;
    if (!this.releasing && this.caches.size > 0) this.trimCaches();
    if (this.total <= this.limit * SHORT_FROM) return;
    if (!this.isShort) this.shortSince = this.now();
    this.isShort = true;
    if (this.total > this.limit && !this.releasing) this.releaseLargest(7 / 8);
  }

  private trimCaches(): void {
    this.releasing = true;
    for (const cache of [...this.caches]) {
      const excess = this.total - this.limit * SHORT_FROM;
      if (excess <= 0) break;
      const step = Math.min(CACHE_STEP, this.limit * CACHE_SHARE);
      this.trim(cache, Math.max(excess, step));
    }
    this.releasing = false;
  }

  /** `share`: of the limit, that may be left. */
  private releaseLargest(share: number): void {
    const all: MemoryHolder[] = [];
    for (let each = this.first; each !== undefined; each = each.after) all.push(each);
    all.sort((a, b) => b.held - a.held);
    // a listener that hears of an end may write to others
    this.releasing = true;
    for (const entry of all) {
      const excess = this.total - this.limit * share;
      if (excess <= 0) break;
      if (entry.isCache === true) this.trim(entry, excess);
      else this.ended += entry.release(excess);
    }
    this.releasing = false;
  }

  /** Has a cache give back so many bytes, but not its reserve: else connections that read nothing would empty it. */
  private trim(cache: MemoryHolder, bytes: number): void {
    const spare = Math.floor(cache.held - this.limit * CACHE_RESERVE);
    if (spare > 0) this.ended += cache.release(Math.min(bytes, spare));
  }

  private link(entry: MemoryHolder): void {
    this.count++;
    entry.after = this.first;
    if (this.first !== undefined) this.first.before = entry;
    this.first = entry;
    if (entry.isCache === true) this.caches.add(entry);
  }

  private unlink(entry: MemoryHolder): void {
    this.count--;
    const { before, after } = entry;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after !== undefined) after.before = before;
    entry.before = entry.after = undefined;
    if (entry.isCache === true) this.caches.delete(entry);
  }
}
