import { callError } from "@tungstate/protocol/internal";
import type { Gap } from "../reconnecting/core/types.ts";
import { Message } from "./message.ts";

/**
 * The received messages of all connections, in order, with the gaps between connections, until they
 * are read.
 */
export class Received {
  /** Payload bytes of the unread messages. */
  size = 0;
  readonly #emit: (message: Message) => void;
  #queue: (Message | Gap)[] = [];
  #first = 0; // index of the next one
  #listening = false;
  #paused = false;
  #delivering = false;
  #over = false;
  #wakers: (() => void)[] = [];

  constructor(emit: (message: Message) => void) {
    this.#emit = emit;
  }

  push(received: Message | Gap): void {
    if (this.#over) return;
    this.#queue.push(received);
    if (received instanceof Message) this.size += received.size;
    this.#deliver();
    this.#wake();
  }

  /** Whether there are listeners. */
  listen(listening: boolean): void {
    this.#listening = listening;
    this.#deliver();
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    this.#deliver();
  }

  /** No messages follow. `drop`: drops unread messages. */
  end(drop: boolean): void {
    this.#over = true;
    if (drop) this.drain();
    this.#wake();
  }

  /** Waits for something to read. Resolves with false at the end. */
  async readable(): Promise<boolean> {
    while (this.#queue.length === 0 && !this.#over) {
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
    if (this.#listening)
      throw callError("INVALID_STATE", "messages are delivered to the listeners of the message event");
    return this.#queue.length > 0;
  }

  take(): Message | Gap | undefined {
    const next = this.#queue[this.#first++];
    if (next instanceof Message) this.size -= next.size;
    // shifting the array for each message would take quadratic time
    if (this.#first >= this.#queue.length) this.drain();
    return next;
  }

  drain(): (Message | Gap)[] {
    const all = this.#queue.slice(this.#first);
    this.#queue = [];
    this.#first = this.size = 0;
    return all;
  }

  /** Yields the messages, each when it is asked for. */
  async *messages(): AsyncIterableIterator<Message> {
    while (await this.readable()) {
      const next = this.take();
      if (next instanceof Message) yield next;
    }
  }

  /** Yields all messages received so far as one array. */
  async *batches(): AsyncIterableIterator<readonly Message[]> {
    while (await this.readable()) {
      const batch = this.drain().filter((each) => each instanceof Message);
      if (batch.length > 0) yield batch;
    }
  }

  #deliver(): void {
    // a listener may pause, resume, or end it
    if (this.#delivering) return;
    this.#delivering = true;
    while (this.#listening && !this.#paused && this.#queue.length > 0) {
      const next = this.take();
      if (next instanceof Message) this.#emit(next);
    }
    this.#delivering = false;
  }

  #wake(): void {
    for (const waker of this.#wakers.splice(0)) waker();
  }
}
