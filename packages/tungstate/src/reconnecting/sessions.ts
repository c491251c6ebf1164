import { type Message, protocolError } from "@tungstate/protocol";
import type { WebSocketConnection } from "../connection/types.ts";
import type { Gap } from "./core/types.ts";

/** One connection, as readers see it. */
interface Session {
  readonly connection: WebSocketConnection;
  /** The gap before it, until a reader got it. */
  gap: Gap | undefined;
  ended: boolean;
}

export interface SessionsHost {
  emitMessage(message: Message): void;
  hasMessageListeners(): boolean;
}

/**
 * The reading half of a reconnecting connection: the messages of one connection after those of the
 * last. They stay in the receive queue of their connection until they are read, so back pressure
 * reaches each server. A connection that has ended is kept until it is read, but only one: unread
 * messages of earlier ones are dropped and counted in the gap.
 */
export class Sessions {
  readonly #host: SessionsHost;
  readonly #queue: Session[] = []; // those that have ended, then the current one
  readonly #attached = new WeakSet<WebSocketConnection>();
  #flowing = false;
  /** By a call of `pause`: a new listener does not end it. */
  #paused = false;
  #delivering = false;
  #over = false;
  #stopped = false;
  #wakers: (() => void)[] = [];

  constructor(host: SessionsHost) {
    this.#host = host;
  }

  add(connection: WebSocketConnection, gap: Gap | undefined): void {
    this.#queue.push({ connection, gap, ended: false });
    this.#wake();
    this.#flow();
  }

  ended(connection: WebSocketConnection): void {
    const session = this.#queue.find((each) => each.connection === connection);
    if (session !== undefined) session.ended = true;
    this.#flow();
    const [oldest, next] = this.#queue;
    if (oldest?.ended === true && next?.ended === true) this.#discard(oldest, next);
  }

  /** No other connection follows. */
  end(): void {
    this.#over = true;
    this.#wake();
  }

  /**
   * Drops unread messages, and all that follow: listeners are not called any more, and iterations
   * end.
   */
  stop(): void {
    this.#stopped = this.#over = true;
    this.#flowing = false;
    // they have ended, and only have unread messages
    for (const { connection, ended } of this.#queue.splice(0)) if (ended) connection.terminate();
    this.#wake();
  }

  // ---- listeners

  pause(): void {
    this.#paused = true;
    this.#hold();
  }

  resume(): void {
    this.#paused = false;
    this.#begin();
  }

  /** The first listener was added: deliver after the other `on` calls of this tick. */
  resumeSoon(): void {
    if (!this.#flowing) queueMicrotask(() => this.#begin());
  }

  /** The last listener was removed: messages wait for the next one, or for an iteration. */
  listenersGone(): void {
    if (this.#flowing) this.#hold();
  }

  #hold(): void {
    this.#flowing = false;
    this.#queue[0]?.connection.pause();
  }

  #begin(): void {
    if (this.#paused || this.#stopped || !this.#host.hasMessageListeners()) return;
    this.#flowing = true;
    // a listener that pauses and resumes leaves the next message to the loop that called it
    if (this.#delivering) this.#queue[0]?.connection.resume();
    else this.#flow();
  }

  #flow(): void {
    this.#delivering = true;
    this.#deliver();
    this.#delivering = false;
  }

  #deliver(): void {
    while (this.#flowing) {
      const [session] = this.#queue;
      if (session === undefined) return;
      const { connection } = session;
      if (!this.#attached.has(connection)) {
        this.#attached.add(connection);
        connection.on("message", (message) => this.#host.emitMessage(message));
      }
      connection.resume();
      // a listener may have paused, and then more may be left
      if (!this.#flowing || !session.ended) return;
      this.#leave(session);
    }
  }

  // ---- iterations

  async *withGaps(): AsyncIterableIterator<Message | Gap> {
    for (let session = await this.#head(); session !== undefined; session = await this.#head()) {
      const { gap } = session;
      if (gap !== undefined) {
        session.gap = undefined; // before the reader continues: it may stop here
        yield gap;
      }
      for await (const message of session.connection) {
        if (this.#stopped) return;
        yield message;
      }
      this.#leave(session);
    }
  }

  async *messages(): AsyncIterableIterator<Message> {
    for (let session = await this.#head(); session !== undefined; session = await this.#head()) {
      for await (const message of session.connection) {
        if (this.#stopped) return;
        yield message;
      }
      this.#leave(session);
    }
  }

  async *batches(): AsyncIterableIterator<readonly Message[]> {
    for (let session = await this.#head(); session !== undefined; session = await this.#head()) {
      for await (const batch of session.connection.batches()) {
        if (this.#stopped) return;
        yield batch;
      }
      this.#leave(session);
    }
  }

  /** Returns the connection to read from; undefined if there is none left and none follows. */
  async #head(): Promise<Session | undefined> {
    while (this.#queue.length === 0 && !this.#over && !this.#flowing) {
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
    if (this.#flowing)
      throw protocolError(
        "INVALID_STATE",
        "messages are delivered to the listeners of the message event: remove them to read in another way",
      );
    return this.#queue[0];
  }

  /** Its messages were read. Another reader may have noticed that first. */
  #leave(session: Session): void {
    if (this.#queue[0] === session) this.#queue.shift();
  }

  #discard(oldest: Session, next: Session): void {
    this.#leave(oldest);
    const count = async (): Promise<void> => {
      let unread = 0;
      for await (const batch of oldest.connection.batches()) unread += batch.length;
      if (next.gap !== undefined) next.gap = { ...next.gap, unread: next.gap.unread + unread };
    };
    // another reader has read it after all
    count().catch(() => undefined);
  }

  #wake(): void {
    for (const waker of this.#wakers.splice(0)) waker();
  }
}
