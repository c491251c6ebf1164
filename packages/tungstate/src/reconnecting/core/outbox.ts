import type { WriteOptions } from "../../connection/types.ts";
import type { OptionNames } from "../../options/names.ts";

/**
 * What happens to a message when the outbox is full. `reject`: it is refused with
 * WRITE_BUFFER_FULL. `drop-oldest`: the oldest messages are dropped, each with a `drop` event.
 * `wait`: `send` waits for room; `write`, which cannot wait, refuses it.
 */
export type OutboxPolicy = "reject" | "drop-oldest" | "wait";

/** Options of the outbox: the messages that wait for a connection, or for room in it. */
export interface OutboxOptions {
  /** Capacity in bytes; 64 are counted for each message on top of its payload. Default 1 MiB. */
  readonly size: number;
  /** What happens when it is full. Default `reject`. */
  readonly policy: OutboxPolicy;
}

export const OUTBOX_OPTIONS: OptionNames<OutboxOptions> = { size: true, policy: true };

/** A message in a form that can be kept. `D` is the data that the platform's connections send. */
export interface OutboxEntry<D> {
  readonly data: D;
  readonly options: WriteOptions | undefined;
  /** Bytes that it counts for. */
  readonly cost: number;
}

/** Bytes that a message counts for besides its payload. */
export const COST_OF_A_MESSAGE = 64;

/** The queued messages, in order. */
export class Outbox<D> {
  /** Total cost in bytes. */
  size = 0;
  readonly limit: number;
  #entries: OutboxEntry<D>[] = [];
  #first = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get count(): number {
    return this.#entries.length - this.#first;
  }

  fits(entry: OutboxEntry<D>): boolean {
    return this.size + entry.cost <= this.limit;
  }

  push(entry: OutboxEntry<D>): void {
    this.#entries.push(entry);
    this.size += entry.cost;
  }

  peek(): OutboxEntry<D> | undefined {
    return this.#entries[this.#first];
  }

  shift(): OutboxEntry<D> | undefined {
    if (this.count === 0) return undefined;
    const entry = this.#entries[this.#first++];
    this.size -= entry.cost;
    if (this.#first === this.#entries.length || (this.#first >= 1024 && this.#first * 2 >= this.#entries.length)) {
      this.#entries.splice(0, this.#first);
      this.#first = 0;
    }
    return entry;
  }
}
