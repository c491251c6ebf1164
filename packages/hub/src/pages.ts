import type { TimeSlices } from "./time-slices.ts";

/** What pages are written to. */
export interface PageRoom {
  /** Whether the connection takes more, and nothing waits for it. */
  readonly isFree: boolean;
}

interface Page {
  /** Neither throws nor rejects. */
  readonly make: () => Promise<void>;
  /** The session has ended, and the page with it. */
  readonly abandon: () => void;
}

/**
 * The pages that one session has asked for: replies and publications that are read from a store. They are made one at a time, each when the
 * connection takes more, so that a session never holds more than one page of what it has not read. When it ends, what is left is abandoned.
 */
export class Pages {
  private readonly room: PageRoom;
  private readonly slices: TimeSlices;
  private waiting: Page[] = [];
  /** A page is being made, or has its turn soon. */
  private isBusy = false;
  private isClosed = false;

  constructor(room: PageRoom, slices: TimeSlices) {
    this.room = room;
    this.slices = slices;
  }

  /** Calls `make` in its turn. Settles as it does; resolves where the session ends before. */
  run(make: () => Promise<void>): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.waiting.push({ make: () => make().then(resolve, reject), abandon: resolve });
      this.next();
    });
  }

  /** The connection takes more. */
  next(): void {
    if (this.isBusy || this.waiting.length === 0 || !this.room.isFree) return;
    this.isBusy = true;
    this.slices.add(() => this.make());
  }

  close(): void {
    const { waiting } = this;
    this.isClosed = true;
    this.waiting = [];
    for (const { abandon } of waiting) abandon();
  }

  private make(): Promise<void> | undefined {
    const page = this.room.isFree ? this.waiting.shift() : undefined;
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
