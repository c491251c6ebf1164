import type { Person } from "../chat/people.ts";

/** Interval of typing indicators, and how long one is valid, in ms. */
export const SAY_EVERY_MS = 3_000;
const HOLDS_MS = 6_000;
const MAX_PEOPLE = 50; // maximum number of people

/** The people who announced recently that they are typing. */
export class Typing {
  private readonly until = new Map<string, { readonly name: string; readonly until: number }>();

  typing({ client, name }: Person, now: number): void {
    if (this.until.size < MAX_PEOPLE || this.until.has(client)) this.until.set(client, { name, until: now + HOLDS_MS });
  }

  /** Removes a person who sent a message, left, or deleted the text. */
  stopped(client: string): void {
    this.until.delete(client);
  }

  clear(): void {
    this.until.clear();
  }

  /** Returns when the next entry expires. */
  next(): number | undefined {
    const times = [...this.until.values()].map(({ until }) => until);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  names(now: number): string[] {
    for (const [client, { until }] of this.until) if (until <= now) this.until.delete(client);
    return [...this.until.values()].map(({ name }) => name);
  }
}
