import { protocolError } from "@tungstate/protocol";
import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";

/** What a budget counts at this moment, and has done. */
export interface MemoryUse {
  /** Bytes that may be held; Infinity for no limit. */
  readonly limit: number;
  /** Bytes that are held, by connections and by parts. */
  readonly held: number;
  /** The most that was held. */
  readonly peak: number;
  /** Connections and parts that hold something. */
  readonly holders: number;
  /** Whether the budget is short: handshakes are refused, and receive queues are emptied before more is read into them. */
  readonly short: boolean;
  /** Connections that were ended because the limit was passed. */
  readonly ended: number;
  /** Bytes by the name of the part that holds them. Connections hold the rest of `held`. */
  readonly parts: Readonly<Record<string, number>>;
}

/** A connection or a part, to its budget. The budget alone writes the first three fields. */
export interface MemoryHolder {
  /** Bytes that it was last known to hold. */
  held: number;
  before: MemoryHolder | undefined;
  after: MemoryHolder | undefined;
  /** The name of a part; undefined for a connection. */
  readonly name?: string;
  /**
   * Called when memory is short: gives back at least `excess` bytes if it can, and reports what it holds then by `hold`.
   * Returns how many connections were ended for that.
   */
  release(excess: number): number;
}

/** Options of `MemoryBudget.part`. */
export interface MemoryPartOptions {
  /** As `MemoryHolder.release`. Default: nothing is given back. */
  readonly release?: (excess: number) => number;
  /** Whether this is a cache: it gives back memory before any handshake is refused. Default false. */
  readonly cache?: boolean;
}

/** Memory that belongs to no single connection, such as the history of a hub: counted in a budget under a name. */
export interface MemoryPart {
  /** The name in `MemoryUse.parts` and in metrics. */
  readonly name: string;
  /** Bytes that are counted now. */
  readonly held: number;
  /** The part holds so many bytes now. */
  set(bytes: number): void;
  /** The part holds so many bytes more, or less. */
  add(bytes: number): void;
}

class Part implements MemoryPart, MemoryHolder {
  held = 0;
  before: MemoryHolder | undefined;
  after: MemoryHolder | undefined;
  readonly name: string;
  readonly isCache: boolean;
  private readonly budget: MemoryBudget;
  private readonly giveBack: ((excess: number) => number) | undefined;

  constructor(budget: MemoryBudget, name: string, { release, cache = false }: MemoryPartOptions) {
    this.budget = budget;
    this.name = name;
    this.isCache = cache;
    this.giveBack = release;
  }

  set(bytes: number): void {
    this.budget.hold(this, bytes);
  }

  add(bytes: number): void {
    this.budget.hold(this, this.held + bytes);
  }

  release(excess: number): number {
    return this.giveBack?.(excess) ?? 0;
  }
}

const SHORT_FROM = 3 / 4; // of the limit
const SHORT_UNTIL = 5 / 8; // of the limit; so that it does not flutter
const CACHE_STEP = 1024 * 1024; // bytes that caches give back at a time, at least; less where the limit is low
const CACHE_SHARE = 1 / 64; // of the limit

/**
 * What many connections together may hold: messages in receive queues, fragments of messages that are not whole, what waits to be inflated or
 * deflated, and what waits to be written. Parts hold what belongs to no single connection: history, queues of a hub, bodies of requests. Each
 * connection has limits of its own; this one is for all of them at once.
 *
 * From three quarters of the limit on, caches give back what is above it. If that is not enough the budget is short: servers refuse handshakes
 * with 503, and no receive queue is filled further before it is empty. Beyond the limit the holders with the most memory release theirs, until
 * seven eighths are left: a connection is ended with 1013.
 *
 * A message sent to many counts for each connection that has not written it, though they share its bytes: the count errs on the safe side.
 */
export class MemoryBudget {
  /** Bytes. */
  readonly limit: number;
  private total = 0;
  private highest = 0;
  private count = 0;
  private isShort = false;
  private ended = 0;
  /** Holders are releasing memory: what they report meanwhile asks for no more. */
  private releasing = false;
  /** Of those that hold something. */
  private first: MemoryHolder | undefined;
  /** Caches that hold something. */
  private readonly caches = new Set<Part>();

  /** `limit`: bytes, or Infinity. Throws INVALID_ARGUMENT. */
  constructor(limit: number) {
    if (!(limit === Infinity || (Number.isSafeInteger(limit) && limit > 0))) {
      throw protocolError(
        "INVALID_ARGUMENT",
        `a memory budget is bytes, at least 1, or Infinity, got ${String(limit)}`,
      );
    }
    this.limit = limit;
  }

  /** Returns what the budget counts at this moment. */
  get use(): MemoryUse {
    const { limit, total: held, highest: peak, count: holders, isShort: short, ended } = this;
    const parts: Record<string, number> = {};
    for (let each = this.first; each !== undefined; each = each.after) {
      if (each.name !== undefined) parts[each.name] = (parts[each.name] ?? 0) + each.held;
    }
    return { limit, held, peak, holders, short, ended, parts };
  }

  /** A part of this budget, under a name for the metrics. */
  part(name: string, options: MemoryPartOptions = {}): MemoryPart {
    return new Part(this, name, options);
  }

  /** Whether nearly all of the limit is held: handshakes are refused, and less is read. */
  get short(): boolean {
    return this.isShort;
  }

  /** Whether no more than half of it is held: enough to read ahead of readers that take nothing. */
  get ample(): boolean {
    return this.total <= this.limit / 2;
  }

  /** `holder` holds so many bytes now. Those that hold most may be asked to release theirs before it returns. */
  hold(holder: MemoryHolder, bytes: number): void {
    const had = holder.held;
    if (bytes === had) return;
    holder.held = bytes;
    if (had === 0) this.link(holder);
    else if (bytes === 0) this.unlink(holder);
    this.total += bytes - had;
    if (bytes > had) this.grown();
    else if (this.isShort && this.total <= this.limit * SHORT_UNTIL) this.isShort = false;
  }

  private grown(): void {
    if (this.total > this.highest) this.highest = this.total;
    if (this.total <= this.limit * SHORT_FROM) return;
    if (!this.releasing && this.caches.size > 0) this.trimCaches();
    if (this.total <= this.limit * SHORT_FROM) return;
    this.isShort = true;
    if (this.total > this.limit && !this.releasing) this.releaseLargest();
  }

  private trimCaches(): void {
    this.releasing = true;
    for (const cache of [...this.caches]) {
      const excess = this.total - this.limit * SHORT_FROM;
      if (excess <= 0) break;
      const step = Math.min(CACHE_STEP, this.limit * CACHE_SHARE, cache.held);
      this.ended += cache.release(Math.max(excess, step));
    }
    this.releasing = false;
  }

  private releaseLargest(): void {
    const all: MemoryHolder[] = [];
    for (let each = this.first; each !== undefined; each = each.after) all.push(each);
    all.sort((a, b) => b.held - a.held);
    // a listener that hears of an end may write to others
    this.releasing = true;
    for (const holder of all) {
      const excess = this.total - this.limit * (7 / 8);
      if (excess <= 0) break;
      this.ended += holder.release(excess);
    }
    this.releasing = false;
  }

  private link(holder: MemoryHolder): void {
    this.count++;
    holder.after = this.first;
    if (this.first !== undefined) this.first.before = holder;
    this.first = holder;
    if (holder instanceof Part && holder.isCache) this.caches.add(holder);
  }

  private unlink(holder: MemoryHolder): void {
    this.count--;
    const { before, after } = holder;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after !== undefined) after.before = before;
    holder.before = holder.after = undefined;
    if (holder instanceof Part && holder.isCache) this.caches.delete(holder);
  }
}

/**
 * Half of the memory that this process may have: the machine's, less where a container's limit is known, and less where V8's heap is
 * smaller (`--max-old-space-size`), since the texts that a hub keeps are on it.
 */
function halfOfMemory(): number {
  const constrained = process.constrainedMemory?.();
  const heap = getHeapStatistics().heap_size_limit;
  const known = [totalmem(), constrained ?? 0, heap].filter((bytes) => bytes > 0);
  return Math.floor(Math.min(...known) / 2);
}

/** The budget of all connections that are given no other. */
export const sharedMemoryBudget = new MemoryBudget(halfOfMemory());
