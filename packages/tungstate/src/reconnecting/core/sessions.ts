import { callError } from "@tungstate/protocol/internal";
import type { ReadableConnection } from "./connection.ts";
import type { Gap } from "./types.ts";

/** One connection, as readers see it. */
interface Session<M> {
  readonly connection: ReadableConnection<M>;
  /** The gap before it, until a reader got it. */
  gap: Gap | undefined;
  ended: boolean;
}

/** `M` is the platform's type of messages. */
export interface SessionsHost<M> {
  emitMessage(message: M): void;
  hasMessageListeners(): boolean;
}

/**
 * The reading half of a reconnecting connection: the messages of one connection after those of the
 * last. They stay in the receive queue of their connection until they are read, so back pressure
 * reaches each server. A connection that has ended is kept until it is read, but only one: unread
 * messages of earlier ones are dropped and counted in the gap.
 */
export class Sessions<M> {
  private readonly host: SessionsHost<M>;
  private readonly queue: Session<M>[] = []; // those that have ended, then the current one
  private readonly attached = new WeakSet<ReadableConnection<M>>();
  private flowing = false;
  /** By a call of `pause`: a new listener does not end it. */
  private paused = false;
  private delivering = false;
  private over = false;
  private stopped = false;
  private wakers: (() => void)[] = [];

  constructor(host: SessionsHost<M>) {
    this.host = host;
  }

  add(connection: ReadableConnection<M>, gap: Gap | undefined): void {
    this.queue.push({ connection, gap, ended: false });
    this.wake();
    this.flow();
  }

  ended(connection: ReadableConnection<M>): void {
    const session = this.queue.find((each) => each.connection === connection);
    if (session !== undefined) session.ended = true;
    this.flow();
    const [oldest, next] = this.queue;
    if (oldest?.ended === true && next?.ended === true) this.discard(oldest, next);
  }

  /** No other connection follows. */
  end(): void {
    this.over = true;
    this.wake();
  }

  /**
   * Drops unread messages, and all that follow: listeners are not called any more, and iterations
   * end.
   */
  stop(): void {
    this.stopped = this.over = true;
    this.flowing = false;
    // they have ended, and only have unread messages
    for (const { connection, ended } of this.queue.splice(0)) if (ended) connection.terminate();
    this.wake();
  }

  // ---- listeners

  pause(): void {
    this.paused = true;
    this.hold();
  }

  resume(): void {
    this.paused = false;
    this.begin();
  }

  /** The first listener was added: deliver after the other `on` calls of this tick. */
  resumeSoon(): void {
    if (!this.flowing) queueMicrotask(() => this.begin());
  }

  /** The last listener was removed: messages wait for the next one, or for an iteration. */
  listenersGone(): void {
    if (this.flowing) this.hold();
  }

  private hold(): void {
    this.flowing = false;
    this.queue[0]?.connection.pause();
  }

  private begin(): void {
    if (this.paused || this.stopped || !this.host.hasMessageListeners()) return;
    this.flowing = true;
    // a listener that pauses and resumes leaves the next message to the loop that called it
    if (this.delivering) this.queue[0]?.connection.resume();
    else this.flow();
  }

  private flow(): void {
    this.delivering = true;
    this.deliver();
    this.delivering = false;
  }

  private deliver(): void {
    while (this.flowing) {
      const [session] = this.queue;
      if (session === undefined) return;
      const { connection } = session;
      if (!this.attached.has(connection)) {
        this.attached.add(connection);
        connection.on("message", (message) => this.host.emitMessage(message));
      }
      connection.resume();
      // a listener may have paused, and then more may be left
      if (!this.flowing || !session.ended) return;
      this.leave(session);
    }
  }

  // ---- iterations

  async *withGaps(): AsyncIterableIterator<M | Gap> {
    for (let session = await this.head(); session !== undefined; session = await this.head()) {
      const { gap } = session;
      if (gap !== undefined) {
        session.gap = undefined; // before the reader continues: it may stop here
        yield gap;
      }
      for await (const message of session.connection) {
        if (this.stopped) return;
        yield message;
      }
      this.leave(session);
    }
  }

  async *messages(): AsyncIterableIterator<M> {
    for (let session = await this.head(); session !== undefined; session = await this.head()) {
      for await (const message of session.connection) {
        if (this.stopped) return;
        yield message;
      }
      this.leave(session);
    }
  }

  async *batches(): AsyncIterableIterator<readonly M[]> {
    for (let session = await this.head(); session !== undefined; session = await this.head()) {
      for await (const batch of session.connection.batches()) {
        if (this.stopped) return;
        yield batch;
      }
      this.leave(session);
    }
  }

  /** Returns the connection to read from; undefined if there is none left and none follows. */
  private async head(): Promise<Session<M> | undefined> {
    while (this.queue.length === 0 && !this.over && !this.flowing) {
      await new Promise<void>((resolve) => this.wakers.push(resolve));
    }
    if (this.flowing)
      throw callError(
        "INVALID_STATE",
        "messages are delivered to the listeners of the message event: remove them to read in another way",
      );
    return this.queue[0];
  }

  /** Its messages were read. Another reader may have noticed that first. */
  private leave(session: Session<M>): void {
    if (this.queue[0] === session) this.queue.shift();
  }

  private discard(oldest: Session<M>, next: Session<M>): void {
    this.leave(oldest);
    const count = async (): Promise<void> => {
      let unread = 0;
      for await (const batch of oldest.connection.batches()) unread += batch.length;
      if (next.gap !== undefined) next.gap = { ...next.gap, unread: next.gap.unread + unread };
    };
    // another reader has read it after all
    count().catch(() => undefined);
  }

  private wake(): void {
    for (const waker of this.wakers.splice(0)) waker();
  }
}
