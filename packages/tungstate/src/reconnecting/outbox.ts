import { type Data, Message } from "@tungstate/protocol";
import { asData, sizeOf } from "../connection/writing/message-data.ts";
import type { MessageData, WriteOptions } from "../connection/types.ts";
import type { OptionNames } from "../options/names.ts";

/**
 * What happens to a message that the outbox has no room for: `reject` refuses it with WRITE_BUFFER_FULL; `drop-oldest` drops the
 * oldest ones, each with a `drop` event; `wait` lets `send` wait for room (`write`, which can't wait, refuses it).
 */
export type OutboxPolicy = "reject" | "drop-oldest" | "wait";

/** Messages that wait for a connection, or for a slow one to take more. */
export interface OutboxOptions {
  /** Bytes that may wait; 64 are counted for each message on top of its own. Default 1 MiB. */
  readonly size: number;
  /** Default `reject`. */
  readonly policy: OutboxPolicy;
}

export const OUTBOX_OPTIONS: OptionNames<OutboxOptions> = { size: true, policy: true };

export interface OutboxEntry {
  readonly data: MessageData;
  readonly options: WriteOptions | undefined;
  /** What it counts for. */
  readonly cost: number;
}

const COST_OF_A_MESSAGE = 64; // bytes that a message of no length takes

/** A message as it can be kept, with what it counts for. Bytes are copied: they are the caller's. Throws INVALID_ARGUMENT. */
export function outboxEntry(data: MessageData, options: WriteOptions | undefined): OutboxEntry {
  const kept = keep(data);
  return { data: kept, options, cost: sizeOf(kept) + COST_OF_A_MESSAGE };
}

/** The messages that wait, in order. */
export class Outbox {
  /** The cost of all of them. */
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
  if (data instanceof Uint8Array) return new Uint8Array(data); // not `slice`, which on a Buffer is a view
  if (data instanceof Message) {
    data.copy(); // it may wait for long, and must not keep what it came with alive
    return data.share(); // and may be given up, by who writes it to another connection
  }
  return data;
}
