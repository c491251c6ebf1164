/**
 * Own messages that have not come back. The server returns every message, so they have not reached
 * others either.
 */

/**
 * Attempts to send a message before it is given up. The message may be what ends the connection.
 */
const MAX_ATTEMPTS = 3;

/** Maximum number of queued messages. */
const MAX_QUEUED = 50;

export interface Unsent {
  readonly id: string;
  readonly text: string;
}

export class Outbox {
  private readonly waiting = new Map<string, { readonly text: string; tries: number }>();

  get full(): boolean {
    return this.waiting.size >= MAX_QUEUED;
  }

  add(id: string, text: string): void {
    this.waiting.set(id, { text, tries: 0 });
  }

  /** All queued messages, oldest first. */
  list(): Unsent[] {
    return [...this.waiting].map(([id, { text }]) => ({ id, text }));
  }

  /** Removes a message that came back. Returns false if it was not queued. */
  confirm(id: string): boolean {
    return this.waiting.delete(id);
  }

  /** Records that the message is being sent. */
  tried(id: string): void {
    const entry = this.waiting.get(id);
    if (entry !== undefined) entry.tries++;
  }

  /**
   * Called with a new connection. Returns the messages to send, oldest first, and those given up.
   */
  again(): { readonly send: readonly Unsent[]; readonly givenUp: readonly string[] } {
    const send: Unsent[] = [];
    const givenUp: string[] = [];
    for (const [id, { text, tries }] of this.waiting) {
      if (tries < MAX_ATTEMPTS) send.push({ id, text });
      else givenUp.push(id);
    }
    for (const id of givenUp) this.waiting.delete(id);
    return { send, givenUp };
  }
}
