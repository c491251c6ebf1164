import type { Person } from "../chat/people.ts";

/** Above this number only the count is kept. */
export const MAX_LISTED = 500;

/** The people in a room: a requested list, and the joins and leaves since then. */
export class Presence {
  /** Whether a list has been received. Before that nothing is reported. */
  isKnown = false;
  private readonly people = new Map<string, Person>();
  /** Events since the list was requested. The list may be older or newer than each of them. */
  private since: { readonly joined: Map<string, Person>; readonly left: Set<string> } | undefined;
  /** Whether there are too many for a list. Then only the count is known. */
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
      // client IDs are not reused: one that has left does not return
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
    else if (this.people.size < MAX_LISTED) this.people.set(person.client, person);
    else this.answeredByCount(this.people.size + 1);
  }

  left(client: string): void {
    this.since?.left.add(client);
    if (this.counted === undefined) this.people.delete(client);
    else this.counted--;
  }

  /** Discards the list after a lost connection, because anyone may have joined or left. */
  forget(): void {
    this.isKnown = false;
  }

  get size(): number {
    return Math.max(0, this.counted ?? this.people.size);
  }

  /**
   * Returns the people, `first` at the front, the others by name. Empty if only the count is known.
   */
  list(first: string): Person[] {
    const rank = ({ client }: Person): number => (client === first ? 0 : 1);
    return [...this.people.values()].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  }
}
