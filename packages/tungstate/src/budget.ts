import { protocolError } from "@tungstate/protocol";
import { totalmem } from "node:os";

/** What a budget counts at this moment, and has done. */
export interface MemoryUse {
  /** Bytes that may be held; Infinity for no limit. */
  readonly limit: number;
  /** Bytes that are held. */
  readonly held: number;
  /** The most that was held. */
  readonly peak: number;
  /** Connections that hold something. */
  readonly holders: number;
  /** Whether it is short: handshakes are refused, and inboxes are emptied before more is read into them. */
  readonly short: boolean;
  /** Connections that were ended because the limit was passed. */
  readonly ended: number;
}

/** A connection, to a budget. The first three are the budget's to change. */
export interface Holder {
  /** Bytes that it was last known to hold. */
  held: number;
  before: Holder | undefined;
  after: Holder | undefined;
  /** To end, and to let go of all it holds. */
  letGo(): void;
}

const SHORT_FROM = 3 / 4; // of the limit
const SHORT_UNTIL = 5 / 8; // of the limit; so that it does not flutter

/**
 * What many connections together may hold: messages in inboxes, fragments of messages that are not whole, what waits to be inflated or deflated, and
 * what waits to be written. Each connection has limits of its own; this one is for all of them at once.
 *
 * From three quarters of the limit on it is short: servers refuse handshakes with 503, and nobody's inbox is filled further before it is empty. Beyond
 * the limit the connections that hold most are ended with 1013, until seven eighths are left.
 *
 * A message sent to many counts for each connection that has not written it, though they share its bytes: it errs on the safe side.
 */
export class MemoryBudget {
  /** Bytes. */
  readonly limit: number;
  private total = 0;
  private highest = 0;
  private count = 0;
  private isShort = false;
  private ended = 0;
  private ending = false;
  /** Of those that hold something. */
  private first: Holder | undefined;

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

  get use(): MemoryUse {
    const { limit, total: held, highest: peak, count: holders, isShort: short, ended } = this;
    return { limit, held, peak, holders, short, ended };
  }

  get short(): boolean {
    return this.isShort;
  }

  /** `holder` holds so many bytes now. Those that hold most may be ended before it returns. */
  hold(holder: Holder, bytes: number): void {
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
    this.isShort = true;
    if (this.total > this.limit && !this.ending) this.endLargest();
  }

  private endLargest(): void {
    const all: Holder[] = [];
    for (let each = this.first; each !== undefined; each = each.after) all.push(each);
    all.sort((a, b) => b.held - a.held);
    // a listener that hears of an end may write to others
    this.ending = true;
    for (const holder of all) {
      if (this.total <= this.limit * (7 / 8)) break;
      this.ended++;
      holder.letGo();
      this.hold(holder, 0);
    }
    this.ending = false;
  }

  private link(holder: Holder): void {
    this.count++;
    holder.after = this.first;
    if (this.first !== undefined) this.first.before = holder;
    this.first = holder;
  }

  private unlink(holder: Holder): void {
    this.count--;
    const { before, after } = holder;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after !== undefined) after.before = before;
    holder.before = holder.after = undefined;
  }
}

/** Half of the memory that this process may have: the machine's, or less where a container's limit is known. */
function halfOfMemory(): number {
  const most = totalmem();
  const constrained = process.constrainedMemory?.();
  return Math.floor(Math.min(most, constrained !== undefined && constrained > 0 ? constrained : most) / 2);
}

/** The budget of all connections that are given no other. */
export const sharedMemoryBudget = new MemoryBudget(halfOfMemory());
