import type { PreparedMessage } from "@tungstate/protocol";
import type { Flusher } from "../schedule/flusher.ts";

/** A connection that is given what all are given. */
export interface Subscriber {
  /** How many of a feed's messages it has had. The feed's to change. */
  fed: number;
  /** Whether nothing but `passOn` is needed. */
  isClear(): boolean;
  /** Hands over `frames`, which are `count` messages, as they are. False if they wait. */
  passOn(frames: Uint8Array, count: number): boolean;
  /** Encodes a message behind everything else. */
  feed(message: PreparedMessage): void;
  /** Whether it is open, and more than `writeBufferSize` waits, with `more` bytes on top. */
  isBehind(more: number): boolean;
}

export interface BroadcastQueueSettings {
  readonly flusher: Flusher;
  readonly writeBufferSize: number;
  readonly maxFrameSize: number;
}

/**
 * Of so many connections the state is looked at before the first of them is written to: a processor waits for the memory of several at once, but a
 * system call in between makes it wait for each.
 */
const LOOKED_AHEAD = 16;

/**
 * Messages for all connections of a server. Each of a thousand connections is visited once in a turn instead of once for each message, and gets all
 * that the turn brought in one write; for most of them that is the very same bytes. A connection that has something of its own to write meanwhile catches
 * up first, so that all comes in the order in which it was written.
 */
export class BroadcastQueue {
  /** How many messages there were in all. */
  count = 0;
  private readonly followers: Iterable<Subscriber>;
  private readonly settings: BroadcastQueueSettings;
  /** Those that somebody may not have had; number `first` and on. */
  private messages: PreparedMessage[] = [];
  private first = 0;
  /** Bytes in them. */
  private size = 0;
  private due = false;
  /** Who had more than `writeBufferSize` waiting when everybody was last visited. */
  private behind = new Set<Subscriber>();

  constructor(followers: Iterable<Subscriber>, settings: BroadcastQueueSettings) {
    this.followers = followers;
    this.settings = settings;
  }

  /** Adds a message, for all followers but `except`. Returns how many are known to have more than `writeBufferSize` waiting. */
  add(message: PreparedMessage, except: Subscriber | undefined): number {
    if (except !== undefined) {
      this.catchUp(except);
      except.fed++;
    }
    this.count++;
    this.messages.push(message);
    this.size += message.frame.length;
    if (!this.due) {
      this.due = true;
      this.settings.flusher.addFeed(this);
    }
    if (this.size * 2 >= this.settings.writeBufferSize) this.distribute(); // by halves, as `write` does
    let slow = 0;
    for (const each of this.behind) if (each !== except && each.isBehind(this.size)) slow++;
    return slow;
  }

  // What a follower does may call code of the application, which may come back to any of these at once: so each message counts as had before it is given.

  /** Gives a connection what it has not had. */
  catchUp(follower: Subscriber): void {
    if (follower.fed < this.first) follower.fed = this.first; // it has ended before
    while (follower.fed < this.count) {
      const message = this.messages[follower.fed++ - this.first];
      if (message !== undefined) follower.feed(message);
    }
  }

  /** Messages that a subscriber has not had. */
  pendingCount(follower: Subscriber): number {
    return this.count - Math.max(follower.fed, this.first);
  }

  /** Uncompressed bytes of the messages that a subscriber has not had, as far as they fit into `room` bytes. */
  pendingSize(follower: Subscriber, room: number): number {
    let size = 0;
    for (let at = Math.max(follower.fed, this.first); at < this.count; at++) {
      const next = size + (this.messages[at - this.first]?.frame.length ?? 0);
      if (next > room) break;
      size = next;
    }
    return size;
  }

  /** Gives everybody what they have not had. */
  distribute(): void {
    this.due = false;
    const { messages, first, count } = this;
    if (messages.length === 0) return;
    const frames = messages.every((message) => this.isSameForAll(message)) ? joined(messages) : undefined;
    this.behind = new Set();
    let clear: Subscriber[] = [];
    for (const follower of this.followers) {
      if (frames === undefined || follower.fed !== first || !follower.isClear()) {
        this.catchUp(follower);
        if (follower.isBehind(0)) this.behind.add(follower);
      } else if (clear.push(follower) === LOOKED_AHEAD) {
        this.pass(clear, frames, first, count);
        clear = [];
      }
    }
    if (frames !== undefined) this.pass(clear, frames, first, count);
    if (this.first !== first) return; // somebody came here meanwhile, and everybody has had all of these
    // there may be more meanwhile
    this.messages = this.messages.slice(count - first);
    this.first = count;
    this.size = this.messages.reduce((size, { frame }) => size + frame.length, 0);
  }

  /** A follower that has ended is let go. */
  forget(follower: Subscriber): void {
    this.behind.delete(follower);
  }

  private pass(followers: readonly Subscriber[], frames: Uint8Array, first: number, count: number): void {
    for (const follower of followers) {
      if (follower.fed === first && follower.isClear()) {
        follower.fed = count;
        if (follower.passOn(frames, count - first)) continue;
      } else this.catchUp(follower);
      if (follower.isBehind(0)) this.behind.add(follower);
    }
  }

  /** Whether all connections without compression get the same frame. */
  private isSameForAll(message: PreparedMessage): boolean {
    return !message.compressed && message.payload.length <= this.settings.maxFrameSize;
  }
}

function joined(messages: readonly PreparedMessage[]): Uint8Array {
  const [only] = messages;
  return messages.length === 1 && only !== undefined ? only.frame : Buffer.concat(messages.map(({ frame }) => frame));
}
