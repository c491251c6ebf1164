/**
 * The people present. Each page repeats its announcement; when announcements stop, the person is
 * removed.
 */

/**
 * Interval of a page's announcements in ms. Browsers run background pages at least once a minute.
 */
export const BEACON_MS = 40_000;

/** How long an announcement is valid in ms. One may be lost. */
const HOLDS_MS = 130_000;

/** Maximum number of people, so that invented clients cannot fill the memory. */
const MAX_PEOPLE = 1_000;

export interface Person {
  readonly client: string;
  readonly name: string;
}

export class People {
  private readonly until = new Map<string, { readonly name: string; readonly until: number }>();

  /** Returns whether the result of `list` changes. */
  seen(client: string, name: string, now: number): boolean {
    const before = this.until.get(client);
    if (before === undefined && this.until.size >= MAX_PEOPLE) return false;
    this.until.set(client, { name, until: now + HOLDS_MS });
    return before?.name !== name;
  }

  left(client: string): boolean {
    return this.until.delete(client);
  }

  /** Removes people whose announcement has expired. */
  expire(now: number): boolean {
    let changed = false;
    for (const [client, { until }] of this.until) if (until <= now) changed = this.until.delete(client) || changed;
    return changed;
  }

  clear(): void {
    this.until.clear();
  }

  get size(): number {
    return this.until.size;
  }

  list(): Person[] {
    return [...this.until].map(([client, { name }]) => ({ client, name }));
  }
}
