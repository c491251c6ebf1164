import type { MemoryUse } from "./memory-use.ts";

/** A connection or a part of a budget. Only the budget writes the first three fields. */
export interface BudgetEntry {
  /** Bytes in use, as last reported by `hold`. */
  held: number;
  before: BudgetEntry | undefined;
  after: BudgetEntry | undefined;
  /** The name of a part; undefined for a connection. */
  readonly name?: string;
  /** Whether it is a part that is a cache. */
  readonly isCache?: boolean;
  /**
   * Called under pressure. Releases at least `excess` bytes if it can, and reports the rest by
   * `hold`. Returns how many connections were closed for that.
   */
  release(excess: number): number;
}

const PRESSURE_FROM = 3 / 4; // of the limit
/** Of the limit; lower than PRESSURE_FROM, so that the state does not flap. */
const PRESSURE_UNTIL = 5 / 8;
/** Ms under pressure until a new connection makes the largest entries release memory. */
const PRESSURE_TIME = 1_000;
/** Minimum number of bytes that a cache releases at once; less with a low limit. */
const CACHE_STEP = 1024 * 1024;
const CACHE_SHARE = 1 / 64; // of the limit
const CACHE_RESERVE = 1 / 16; // of the limit; a cache keeps it in any case

/**
 * Counts the memory of all entries of a MemoryBudget, and chooses the entries that release memory
 * when the limit is exceeded.
 */
export class MemoryLedger {
  /** Bytes. */
  readonly limit: number;
  private total = 0;
  private highest = 0;
  private count = 0;
  private isUnderPressure = false;
  private pressureSince = 0; // ms
  private readonly now: () => number;
  private ended = 0;
  /** Entries are releasing memory. What they report meanwhile does not start another release. */
  private releasing = false;
  /** First of the entries that hold memory. */
  private first: BudgetEntry | undefined;
  /** Caches that hold memory. */
  private readonly caches = new Set<BudgetEntry>();

  /** `limit`: bytes, or Infinity. `now`: ms, from any origin. */
  constructor(limit: number, now: () => number = () => performance.now()) {
    this.limit = limit;
    this.now = now;
  }

  get use(): MemoryUse {
    const { limit, total: held, highest: peak, count: entries, isUnderPressure: underPressure, ended } = this;
    const parts: Record<string, number> = {};
    for (let each = this.first; each !== undefined; each = each.after) {
      if (each.name !== undefined) parts[each.name] = (parts[each.name] ?? 0) + each.held;
    }
    return { limit, held, peak, entries, underPressure, ended, parts };
  }

  /** Whether nearly all of the limit is in use: handshakes are rejected, and less is read. */
  get underPressure(): boolean {
    return this.isUnderPressure;
  }

  /**
   * Returns whether a new connection is admitted: not under pressure. After a second under
   * pressure, the largest entries release memory first, so that a few peers that read nothing
   * cannot keep new ones out.
   */
  admits(): boolean {
    if (this.isUnderPressure && !this.releasing && this.now() - this.pressureSince >= PRESSURE_TIME)
      this.releaseLargest(PRESSURE_UNTIL);
    return !this.isUnderPressure;
  }

  /**
   * Whether at most half of the limit is in use, so that connections without a reader may read
   * ahead.
   */
  get ample(): boolean {
    return this.total <= this.limit / 2;
  }

  /**
   * Sets the bytes of `entry`. The entries that hold the most may have to release memory before it
   * returns.
   */
  hold(entry: BudgetEntry, bytes: number): void {
    const had = entry.held;
    if (bytes === had) return;
    entry.held = bytes;
    if (had === 0) this.link(entry);
    else if (bytes === 0) this.unlink(entry);
    this.total += bytes - had;
    if (bytes > had) this.grown();
    else if (this.isUnderPressure && this.total <= this.limit * PRESSURE_UNTIL) this.isUnderPressure = false;
  }

  private grown(): void {
    if (this.total > this.highest) this.highest = this.total;
    if (this.total <= this.limit * PRESSURE_FROM) return;
    if (!this.releasing && this.caches.size > 0) this.trimCaches();
    if (this.total <= this.limit * PRESSURE_FROM) return;
    if (!this.isUnderPressure) this.pressureSince = this.now();
    this.isUnderPressure = true;
    if (this.total > this.limit && !this.releasing) this.releaseLargest(7 / 8);
  }

  private trimCaches(): void {
    this.releasing = true;
    for (const cache of [...this.caches]) {
      const excess = this.total - this.limit * PRESSURE_FROM;
      if (excess <= 0) break;
      const step = Math.min(CACHE_STEP, this.limit * CACHE_SHARE);
      this.trim(cache, Math.max(excess, step));
    }
    this.releasing = false;
  }

  /** Has the largest entries release memory until at most `share` of the limit is in use. */
  private releaseLargest(share: number): void {
    const all: BudgetEntry[] = [];
    for (let each = this.first; each !== undefined; each = each.after) all.push(each);
    all.sort((a, b) => b.held - a.held);
    // a listener of `close` may write to other connections
    this.releasing = true;
    for (const entry of all) {
      const excess = this.total - this.limit * share;
      if (excess <= 0) break;
      if (entry.isCache === true) this.trim(entry, excess);
      else this.ended += entry.release(excess);
    }
    this.releasing = false;
  }

  /**
   * Has a cache release `bytes`, but not its reserve: connections that read nothing would empty it
   * otherwise.
   */
  private trim(cache: BudgetEntry, bytes: number): void {
    const spare = Math.floor(cache.held - this.limit * CACHE_RESERVE);
    if (spare > 0) this.ended += cache.release(Math.min(bytes, spare));
  }

  private link(entry: BudgetEntry): void {
    this.count++;
    entry.after = this.first;
    if (this.first !== undefined) this.first.before = entry;
    this.first = entry;
    if (entry.isCache === true) this.caches.add(entry);
  }

  private unlink(entry: BudgetEntry): void {
    this.count--;
    const { before, after } = entry;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after !== undefined) after.before = before;
    entry.before = entry.after = undefined;
    if (entry.isCache === true) this.caches.delete(entry);
  }
}
