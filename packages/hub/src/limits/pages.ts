import type { Clock } from "../schedule/clock.ts";
import type { Allowance } from "./rate-limit.ts";
import type { TimeSlices } from "../schedule/time-slices.ts";

/** Steps that a page made outside of time slices counts for: see TimeSlices. */
const PAGE_WEIGHT = 4;

/** The session that pages are for. */
export interface PageReader {
  /** `isFree`: the connection accepts data, and its queue is empty. */
  readonly outbox: { readonly isFree: boolean; hold(): void; release(): void };
  readonly allowance: Allowance;
}

interface Page {
  /** Neither throws nor rejects. */
  readonly make: () => Promise<void>;
  /** Called when the session ends before the page is made. */
  readonly abandon: () => void;
}

/**
 * The pages that one session has requested: replies and publications that are read from a store.
 * They are made one at a time, each when the connection accepts data, so that a session never holds
 * more than one unread page. When the session ends, the rest is abandoned.
 */
export class Pages {
  private readonly reader: PageReader;
  private readonly slices: TimeSlices;
  private readonly clock: Clock;
  /** Undefined: none. Most sessions read one page, if any. */
  private waiting: Page[] | undefined;
  /** Whether a page is being made, or is about to be. */
  private isBusy = false;
  private isClosed = false;
  private stopTimer: (() => void) | undefined;

  constructor(reader: PageReader, slices: TimeSlices, clock: Clock) {
    this.reader = reader;
    this.slices = slices;
    this.clock = clock;
  }

  /** Calls `make` in its turn. Settles as it does; resolves if the session ends before. */
  run(make: () => Promise<void>): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    if (this.begins()) return this.makeNow(make);
    return new Promise((resolve, reject) => {
      (this.waiting ??= []).push({ make: () => make().then(resolve, reject), abandon: resolve });
      this.next();
    });
  }

  /** Whether a page may be made at once. */
  private begins(): boolean {
    const { reader, slices } = this;
    if (this.isBusy || this.waiting !== undefined || !reader.outbox.isFree) return false;
    return reader.allowance.delay(this.clock.now()) === 0 && slices.begins(PAGE_WEIGHT);
  }

  private async makeNow(make: () => Promise<void>): Promise<void> {
    this.isBusy = true;
    try {
      await make();
    } finally {
      this.slices.ended();
      this.isBusy = false;
      this.next();
    }
  }

  /** The connection accepts data, or the cost is paid. */
  next(): void {
    if (this.isBusy || this.waiting === undefined || !this.reader.outbox.isFree) return;
    this.isBusy = true;
    const delay = this.reader.allowance.delay(this.clock.now());
    if (delay === 0) {
      this.reader.outbox.hold();
      this.slices.add(() => this.make());
      return;
    }
    this.stopTimer = this.clock.after(delay, () => {
      this.isBusy = false;
      this.next();
    });
  }

  close(): void {
    const { waiting = [] } = this;
    this.isClosed = true;
    this.waiting = undefined;
    this.stopTimer?.();
    for (const { abandon } of waiting) abandon();
  }

  private make(): Promise<void> | undefined {
    this.reader.outbox.release();
    const page = this.reader.outbox.isFree ? this.waiting?.shift() : undefined;
    if (this.waiting?.length === 0) this.waiting = undefined;
    if (page === undefined) {
      this.isBusy = false; // `next` is called when there is room
      return undefined;
    }
    return page.make().then(() => {
      this.isBusy = false;
      this.next();
    });
  }
}
