/** Who is here, as far as they have said so: everybody repeats it, and is gone when that stops. */

/** How often a page says that it is here. Browsers let a page in the background act once a minute at worst. */
export const BEACON_MS = 40_000;

/** How long that holds: one beacon may be lost. */
const HOLDS_MS = 130_000;

/** Beyond this many nobody is added: whoever invents clients can't fill the memory. */
const MOST = 1_000;

export interface Person {
  readonly client: string;
  readonly name: string;
}

export class People {
  private readonly until = new Map<string, { readonly name: string; readonly until: number }>();

  /** Whether that changes what `list` gives. */
  seen(client: string, name: string, now: number): boolean {
    const before = this.until.get(client);
    if (before === undefined && this.until.size >= MOST) return false;
    this.until.set(client, { name, until: now + HOLDS_MS });
    return before?.name !== name;
  }

  left(client: string): boolean {
    return this.until.delete(client);
  }

  /** Forgets those who have said nothing for too long. */
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
