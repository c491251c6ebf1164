import type { PreparedMessage } from "@tungstate/protocol";
import type { Flusher } from "../schedule/flusher.ts";

/** A connection that gets broadcasts. */
export interface Subscriber {
  /** Number of messages of the queue that it has had. Only the queue changes it. */
  cursor: number;
  /** Whether `writeFrames` may be called: nothing else waits to be written. */
  canWriteFrames(): boolean;
  /** Writes `frames`, which are `count` encoded messages. Returns false if they wait. */
  writeFrames(frames: Uint8Array, count: number): boolean;
  /** Encodes a message and writes it behind everything else. */
  writeMessage(message: PreparedMessage): void;
  /**
   * Whether it is open and would have more than `writeBufferSize` waiting with `more` bytes on top.
   */
  isBehind(more: number): boolean;
}

export interface BroadcastQueueSettings {
  readonly flusher: Flusher;
  readonly writeBufferSize: number;
  readonly maxFrameSize: number;
}

/**
 * The state of this many connections is checked before the first of them is written to. The
 * processor then loads the memory of several at once; with a system call in between it would load
 * one after the other.
 */
const LOOKAHEAD = 16;

/**
 * Messages that wait for all subscribers. A subscriber that has other output waiting gets each of
 * them by itself.
 */
const MAX_MESSAGES = 512;

/**
 * Messages for all connections of a server. Each connection is visited once per event-loop tick and
 * gets the messages of that tick in one write. Most connections are written the same bytes. A
 * connection that writes something of its own first catches up, so that messages keep the order in
 * which they were written.
 */
export class BroadcastQueue {
  /** Number of messages so far. */
  count = 0;
  private readonly subscribers: Iterable<Subscriber>;
  private readonly settings: BroadcastQueueSettings;
  /** Messages that a subscriber may not have had, from number `first` on. */
  private messages: PreparedMessage[] = [];
  private first = 0;
  /** Bytes of `messages`. */
  private size = 0;
  private due = false;
  /** Subscribers that had more than `writeBufferSize` waiting when all were last visited. */
  private behind = new Set<Subscriber>();

  constructor(subscribers: Iterable<Subscriber>, settings: BroadcastQueueSettings) {
    this.subscribers = subscribers;
    this.settings = settings;
  }

  /**
   * Adds a message for all subscribers but `except`. Returns how many are known to have more than
   * `writeBufferSize` waiting.
   */
  add(message: PreparedMessage, except: Subscriber | undefined): number {
    if (except !== undefined) {
      this.catchUp(except);
      except.cursor++;
    }
    this.count++;
    this.messages.push(message);
    this.size += message.frame.length;
    if (!this.due) {
      this.due = true;
      this.settings.flusher.addBroadcasts(this);
    }
    // by halves, as `write` does; many small ones at once, so that their cost is seen by who shares
    // out the tick
    if (this.size * 2 >= this.settings.writeBufferSize || this.messages.length >= MAX_MESSAGES) this.distribute();
    let slow = 0;
    for (const each of this.behind) if (each !== except && each.isBehind(this.size)) slow++;
    return slow;
  }

  // A subscriber may call code of the application, which may re-enter these methods: the cursor is
  // advanced before each write.

  /** Writes to a subscriber the messages that it has not had. */
  catchUp(subscriber: Subscriber): void {
    // it ended before the last distribution
    if (subscriber.cursor < this.first) subscriber.cursor = this.first;
    while (subscriber.cursor < this.count) {
      const message = this.messages[subscriber.cursor++ - this.first];
      if (message !== undefined) subscriber.writeMessage(message);
    }
  }

  /** Messages that a subscriber has not had. */
  pendingCount(subscriber: Subscriber): number {
    return this.count - Math.max(subscriber.cursor, this.first);
  }

  /**
   * Uncompressed bytes of the messages that a subscriber has not had, as far as they fit into
   * `room` bytes.
   */
  pendingSize(subscriber: Subscriber, room: number): number {
    let size = 0;
    for (let at = Math.max(subscriber.cursor, this.first); at < this.count; at++) {
      const next = size + (this.messages[at - this.first]?.frame.length ?? 0);
      if (next > room) break;
      size = next;
    }
    return size;
  }

  /** Writes to all subscribers the messages that they have not had. */
  distribute(): void {
    this.due = false;
    const { messages, first, count } = this;
    if (messages.length === 0) return;
    const frames = messages.every((message) => this.isSameForAll(message)) ? joined(messages) : undefined;
    this.behind = new Set();
    let ready: Subscriber[] = [];
    for (const subscriber of this.subscribers) {
      if (frames === undefined || subscriber.cursor !== first || !subscriber.canWriteFrames()) {
        this.catchUp(subscriber);
        if (subscriber.isBehind(0)) this.behind.add(subscriber);
      } else if (ready.push(subscriber) === LOOKAHEAD) {
        this.writeAll(ready, frames, first, count);
        ready = [];
      }
    }
    if (frames !== undefined) this.writeAll(ready, frames, first, count);
    if (this.first !== first) return; // re-entered: all have had these messages
    // callbacks may have added messages
    this.messages = this.messages.slice(count - first);
    this.first = count;
    this.size = this.messages.reduce((size, { frame }) => size + frame.length, 0);
  }

  /** Removes a subscriber that has ended. */
  forget(subscriber: Subscriber): void {
    this.behind.delete(subscriber);
  }

  private writeAll(subscribers: readonly Subscriber[], frames: Uint8Array, first: number, count: number): void {
    for (const subscriber of subscribers) {
      if (subscriber.cursor === first && subscriber.canWriteFrames()) {
        subscriber.cursor = count;
        if (subscriber.writeFrames(frames, count - first)) continue;
      } else this.catchUp(subscriber);
      if (subscriber.isBehind(0)) this.behind.add(subscriber);
    }
  }

  /** Whether all connections without compression get the same frame for a message. */
  private isSameForAll(message: PreparedMessage): boolean {
    return !message.compressed && message.payload.length <= this.settings.maxFrameSize;
  }
}

function joined(messages: readonly PreparedMessage[]): Uint8Array {
  const [only] = messages;
  return messages.length === 1 && only !== undefined ? only.frame : Buffer.concat(messages.map(({ frame }) => frame));
}
