import { type Data, Message } from "@tungstate/protocol";
import { asData, sizeOf } from "../connection/writing/message-data.ts";
import type { MessageData, WriteOptions } from "../connection/types.ts";
import type { OptionNames } from "../options/names.ts";

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

export interface OutboxEntry {
  readonly data: MessageData;
  readonly options: WriteOptions | undefined;
  /** Bytes that it counts for. */
  readonly cost: number;
}

const COST_OF_A_MESSAGE = 64; // bytes that a message of no length takes

/**
 * Returns a message in a form that can be kept, with its cost. Bytes are copied, because they
 * belong to the caller. Throws INVALID_ARGUMENT.
 */
export function outboxEntry(data: MessageData, options: WriteOptions | undefined): OutboxEntry {
  const kept = keep(data);
  return { data: kept, options, cost: sizeOf(kept) + COST_OF_A_MESSAGE };
}

/** The queued messages, in order. */
export class Outbox {
  /** Total cost in bytes. */
  size = 0;
  readonly limit: number;
  private entries: OutboxEntry[] = [];
  private first = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get count(): number {
    return this.entries.length - this.first;
  }

  fits(entry: OutboxEntry): boolean {
    return this.size + entry.cost <= this.limit;
  }

  push(entry: OutboxEntry): void {
    this.entries.push(entry);
    this.size += entry.cost;
  }

  peek(): OutboxEntry | undefined {
    return this.entries[this.first];
  }

  shift(): OutboxEntry | undefined {
    if (this.count === 0) return undefined;
    const entry = this.entries[this.first++];
    this.size -= entry.cost;
    if (this.first === this.entries.length || (this.first >= 1024 && this.first * 2 >= this.entries.length)) {
      this.entries.splice(0, this.first);
      this.first = 0;
    }
    return entry;
  }
}

function keep(given: unknown): Data {
  const data = asData(given);
  if (data instanceof Uint8Array) return new Uint8Array(data); // not `slice`, which is a view on a Buffer
  if (data instanceof Message) {
    data.copy(); // it may wait for long, and must not keep its chunk alive
    return data.share(); // and may be given up, by who writes it to another connection
  }
  return data;
}
