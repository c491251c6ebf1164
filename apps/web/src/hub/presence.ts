import type { Person } from "../chat/people.ts";

/** Of more people than that only the number is known. */
export const MOST_LISTED = 500;

/** Who is in a room: a list that was asked for, and what came and went since then. */
export class Presence {
  /** There has been a list: until then nothing that is known is worth telling. */
  isKnown = false;
  private readonly people = new Map<string, Person>();
  /** What happened since the list was asked for: the list may be older or newer than each of these. */
  private since: { readonly joined: Map<string, Person>; readonly left: Set<string> } | undefined;
  /** More than are worth a list: only their number is known. */
  private counted: number | undefined;

  asked(): void {
    this.since = { joined: new Map(), left: new Set() };
  }

  answered(people: readonly Person[]): void {
    const { joined, left } = this.since ?? { joined: new Map<string, Person>(), left: new Set<string>() };
    this.since = this.counted = undefined;
    this.isKnown = true;
    this.people.clear();
    for (const person of [...people, ...joined.values()]) {
      // a client id comes only once: who has left does not come again
      if (!left.has(person.client)) this.people.set(person.client, person);
    }
  }

  answeredByCount(count: number): void {
    this.since = undefined;
    this.isKnown = true;
    this.people.clear();
    this.counted = count;
  }

  joined(person: Person): void {
    this.since?.joined.set(person.client, person);
    if (this.counted !== undefined) this.counted++;
    else if (this.people.size < MOST_LISTED) this.people.set(person.client, person);
    else this.answeredByCount(this.people.size + 1);
  }

  left(client: string): void {
    this.since?.left.add(client);
    if (this.counted === undefined) this.people.delete(client);
    else this.counted--;
  }

  /** There was no connection: anybody may have come or gone. */
  forget(): void {
    this.isKnown = false;
  }

  get size(): number {
    return Math.max(0, this.counted ?? this.people.size);
  }

  /** `first` first, the others by name; empty if only their number is known. */
  list(first: string): Person[] {
    const rank = ({ client }: Person): number => (client === first ? 0 : 1);
    return [...this.people.values()].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  }
}
