import type { Person } from "../chat/people.ts";

/** How often it is said that somebody goes on typing, and how long that holds. */
export const SAY_EVERY_MS = 3_000;
const HOLDS_MS = 6_000;
const MOST = 50; // beyond whom nobody is added

/** Who is typing, as far as they have said so lately. */
export class Typing {
  private readonly until = new Map<string, { readonly name: string; readonly until: number }>();

  typing({ client, name }: Person, now: number): void {
    if (this.until.size < MOST || this.until.has(client)) this.until.set(client, { name, until: now + HOLDS_MS });
  }

  /** Has said it, or gone, or thought better of it. */
  stopped(client: string): void {
    this.until.delete(client);
  }

  clear(): void {
    this.until.clear();
  }

  /** When the next one is to be forgotten. */
  next(): number | undefined {
    const times = [...this.until.values()].map(({ until }) => until);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  names(now: number): string[] {
    for (const [client, { until }] of this.until) if (until <= now) this.until.delete(client);
    return [...this.until.values()].map(({ name }) => name);
  }
}
