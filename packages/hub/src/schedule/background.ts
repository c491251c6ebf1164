/** Work that nobody waits for: its errors are told, and the end of the hub waits for it. */
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

  /** Resolves when all that is under way, and what it leads to, has come to its end. */
  async settled(): Promise<void> {
    while (this.underWay.size > 0) await Promise.all(this.underWay);
  }
}
