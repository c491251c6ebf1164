import type { SharedMessage } from "./connection.ts";

/** Counts the memory of queues. */
export interface QueueAccount {
  added(message: SharedMessage): void;
  removed(message: SharedMessage): void;
}

/** Number of empty slots at the front after which the array is cut. */
const CUT_AT = 1024;

/** What happened to an added message. */
export type Queued = "queued" | "dropped" | "full";

/**
 * The queue of one connection, bounded in bytes. If a message does not fit, its `whenFull` decides:
 * the oldest droppable messages are dropped, or the queue is full.
 */
export class SendQueue {
  /** Number of messages dropped or replaced so far. */
  dropped = 0;
  private readonly limit: number;
  private readonly account: QueueAccount | undefined;
  /** Undefined: dropped, replaced or sent. */
  private messages: (SharedMessage | undefined)[] = [];
  private head = 0;
  /** No message before this index may be dropped. */
  private dropFrom = 0;
  /** Index of the message of each key; created on demand. */
  private byKey: Map<string, number> | undefined;
  private waitingBytes = 0;

  /** `limit` in bytes. */
  constructor(limit: number, account?: QueueAccount) {
    this.limit = limit;
    this.account = account;
  }

  get bytes(): number {
    return this.waitingBytes;
  }

  add(message: SharedMessage): Queued {
    if (message.whenFull === "conflate") this.replace(message.key);
    if (this.waitingBytes + message.size > this.limit) {
      if (message.whenFull !== "drop-oldest") return "full";
      this.makeRoom(message.size);
      if (this.waitingBytes + message.size > this.limit) {
        this.dropped++;
        return "dropped";
      }
    }
    if (message.whenFull === "conflate") (this.byKey ??= new Map()).set(message.key, this.messages.length);
    this.messages.push(message);
    this.waitingBytes += message.size;
    this.account?.added(message);
    return "queued";
  }

  /** Returns the next message; undefined if the queue is empty. */
  take(): SharedMessage | undefined {
    while (this.head < this.messages.length) {
      const message = this.remove(this.head++);
      if (message === undefined) continue;
      if (message.whenFull === "conflate") this.byKey?.delete(message.key);
      if (this.head >= CUT_AT && this.head * 2 >= this.messages.length) this.cut();
      return message;
    }
    this.clear();
    return undefined;
  }

  clear(): void {
    for (let at = this.head; at < this.messages.length; at++) this.remove(at);
    this.messages = [];
    this.head = 0;
    this.dropFrom = 0;
    this.byKey = undefined;
    this.waitingBytes = 0;
  }

  private replace(key: string): void {
    const index = this.byKey?.get(key);
    if (index === undefined) return;
    this.remove(index);
    this.dropped++;
  }

  private makeRoom(size: number): void {
    let at = Math.max(this.dropFrom, this.head);
    for (; at < this.messages.length && this.waitingBytes + size > this.limit; at++) {
      if (this.messages[at]?.whenFull !== "drop-oldest") continue;
      this.remove(at);
      this.dropped++;
    }
    this.dropFrom = at;
  }

  private remove(index: number): SharedMessage | undefined {
    const message = this.messages[index];
    if (message === undefined) return undefined;
    this.messages[index] = undefined;
    this.waitingBytes -= message.size;
    this.account?.removed(message);
    return message;
  }

  /** Removes the empty slots at the front. */
  private cut(): void {
    this.messages = this.messages.slice(this.head);
    this.dropFrom = Math.max(this.dropFrom - this.head, 0);
    if (this.byKey !== undefined) {
      for (const [key, index] of this.byKey) this.byKey.set(key, index - this.head);
    }
    this.head = 0;
  }
}
