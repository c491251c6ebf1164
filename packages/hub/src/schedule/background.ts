/** Work that no caller awaits: its errors are reported, and the end of the hub waits for it. */
export class Background {
  readonly onError: (error: unknown) => void;
  private readonly underWay = new Set<Promise<void>>();

  constructor(onError: (error: unknown) => void) {
    this.onError = onError;
  }

  add(work: Promise<unknown>): void {
    const done = work.then(
      () => void this.underWay.delete(done),
      (error: unknown) => {
        this.underWay.delete(done);
        this.onError(error);
      },
    );
    this.underWay.add(done);
  }

  /** Resolves when all work under way has ended, including what it has started. */
  async settled(): Promise<void> {
    while (this.underWay.size > 0) await Promise.all(this.underWay);
  }
}
