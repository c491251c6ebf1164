/** What was written here and has not come back yet: since everything comes back, it has not reached the others either. */

/** How often a message is sent before it is given up: something about it may be what ends the connection. */
const MOST_TRIES = 3;

/** How many may wait. */
const MOST_WAITING = 50;

export interface Unsent {
  readonly id: string;
  readonly text: string;
}

export class Outbox {
  private readonly waiting = new Map<string, { readonly text: string; tries: number }>();

  get full(): boolean {
    return this.waiting.size >= MOST_WAITING;
  }

  add(id: string, text: string): void {
    this.waiting.set(id, { text, tries: 0 });
  }

  /** All that waits, oldest first. */
  list(): Unsent[] {
    return [...this.waiting].map(([id, { text }]) => ({ id, text }));
  }

  /** It came back. False: it is not one of those that wait. */
  confirm(id: string): boolean {
    return this.waiting.delete(id);
  }

  /** It is about to be sent. */
  tried(id: string): void {
    const entry = this.waiting.get(id);
    if (entry !== undefined) entry.tries++;
  }

  /** With a new connection: what to send (again), oldest first, and what is given up. */
  again(): { readonly send: readonly Unsent[]; readonly givenUp: readonly string[] } {
    const send: Unsent[] = [];
    const givenUp: string[] = [];
    for (const [id, { text, tries }] of this.waiting) {
      if (tries < MOST_TRIES) send.push({ id, text });
      else givenUp.push(id);
    }
    for (const id of givenUp) this.waiting.delete(id);
    return { send, givenUp };
  }
}
