import { protocolError, type WebSocketError } from "@tungstate/protocol";
import type { MessageData, WebSocketConnection, WriteOptions } from "../connection/types.ts";
import { DONE, failedCall, handled, notOpen, rejected } from "../schedule/promises.ts";
import { Outbox, type OutboxEntry, type OutboxOptions } from "./core/outbox.ts";
import { outboxEntry } from "./outbox-entry.ts";

export interface SendingHost {
  /** There is room again after a `write` that returned false. */
  onDrain(): void;
  /** A message will not be sent. */
  onDrop(data: MessageData): void;
}

interface Waiter {
  resolve(): void;
  reject(error: WebSocketError): void;
}

interface WaitingEntry extends Waiter {
  readonly entry: OutboxEntry<MessageData>;
}

/**
 * The writing half of a reconnecting connection. A message goes to the current connection while
 * that has room; otherwise it waits in the outbox, for a connection or for room. What a connection
 * can lose therefore stays small.
 */
export class Sending {
  readonly #policy: OutboxOptions["policy"];
  readonly #writeBufferSize: number;
  readonly #host: SendingHost;
  readonly #outbox: Outbox<MessageData>;
  #connection: WebSocketConnection | undefined;
  /** Whether the connection is full, until it emits `drain`. */
  #blocked = false;
  #needDrain = false;
  /** Why no message is accepted any more. */
  #over: WebSocketError | undefined;
  /** Policy `wait`: calls of `send` whose message has no room yet. */
  readonly #waiting: WaitingEntry[] = [];
  #roomWaiters: Waiter[] = [];
  #emptyWaiters: Waiter[] = [];
  /**
   * Messages given to this connection, and how many of them are known to be handed to its byte
   * stream.
   */
  #given = 0;
  #handedOver = 0;
  #tracking = false;

  constructor(options: OutboxOptions, writeBufferSize: number, host: SendingHost) {
    this.#policy = options.policy;
    this.#writeBufferSize = writeBufferSize;
    this.#host = host;
    this.#outbox = new Outbox(options.size);
  }

  get bufferedAmount(): number {
    return this.#outbox.size + (this.#connection?.bufferedAmount ?? 0);
  }

  // ---- connections come and go

  connected(connection: WebSocketConnection): void {
    this.#connection = connection;
    this.#blocked = false;
    this.#given = this.#handedOver = 0;
    this.#tracking = false;
    connection.on("drain", () => this.#unblock(connection));
    this.#pass();
  }

  /** The connection has ended. Returns how many messages it had not handed to its byte stream. */
  disconnected(): number {
    const lost = this.#given - this.#handedOver;
    this.#connection = undefined;
    this.#blocked = false;
    this.#given = this.#handedOver = 0;
    // callers that waited for a slow connection may continue: their next messages wait in the
    // outbox
    settle(this.#roomWaiters);
    return lost;
  }

  // ---- messages

  write(data: MessageData, options?: WriteOptions): boolean {
    if (this.#over !== undefined) return false;
    const free = this.#freeConnection();
    if (free !== undefined) return this.#give(free, data, options);
    const entry = outboxEntry(data, options);
    if (!this.#place(entry)) throw this.#full(entry);
    if (this.bufferedAmount <= this.#writeBufferSize) return true;
    this.#needDrain = true;
    return false;
  }

  /** Throws INVALID_ARGUMENT and INVALID_STATE; rejects with NOT_OPEN and WRITE_BUFFER_FULL. */
  send(data: MessageData, options?: WriteOptions): Promise<void> {
    if (this.#over !== undefined) return rejected(notOpen("it has ended", this.#over));
    try {
      const free = this.#freeConnection();
      if (free !== undefined) return this.#give(free, data, options) ? DONE : this.#room();
      const entry = outboxEntry(data, options);
      if (this.#place(entry)) return this.#connection === undefined ? DONE : this.#room();
      if (this.#policy !== "wait" || entry.cost > this.#outbox.limit) throw this.#full(entry);
      return handled(this.#wait(entry));
    } catch (error) {
      return failedCall(error);
    }
  }

  async #wait(entry: OutboxEntry<MessageData>): Promise<void> {
    await new Promise<void>((resolve, reject) => this.#waiting.push({ entry, resolve, reject }));
    if (this.#connection !== undefined) await this.#room();
  }

  /**
   * Resolves when nothing is queued, here or in the connection. Rejects as the connection does if
   * that loses something.
   */
  async flush(): Promise<void> {
    while (this.#outbox.count > 0 || this.#waiting.length > 0) await this.empty();
    if (this.#over !== undefined) throw notOpen("it has ended", this.#over);
    const connection = this.#connection;
    if (connection !== undefined && connection.bufferedAmount > 0) await connection.flush();
  }

  /** Resolves when the outbox is empty. */
  async empty(): Promise<void> {
    if (this.#over !== undefined) throw notOpen("it has ended", this.#over);
    if (this.#outbox.count === 0) return;
    await new Promise<void>((resolve, reject) => this.#emptyWaiters.push({ resolve, reject }));
  }

  /** Hands everything queued to the connection, then closes it. */
  close(connection: WebSocketConnection, code: number, reason: string): void {
    for (const waiter of this.#waiting.splice(0)) {
      this.#outbox.push(waiter.entry);
      waiter.resolve();
    }
    for (let entry = this.#outbox.shift(); entry !== undefined; entry = this.#outbox.shift()) {
      try {
        if (connection.state !== "open") this.#host.onDrop(entry.data);
        else this.#give(connection, entry.data, entry.options);
      } catch {
        this.#host.onDrop(entry.data); // more than the connection's maxWriteBufferSize
      }
    }
    settle(this.#emptyWaiters);
    void handled(connection.close(code, reason)); // a connector of the application may have made it
  }

  /** Nothing is sent any more, because of `error`. What is queued is dropped. */
  end(error: WebSocketError): void {
    this.#over = error;
    this.#connection = undefined;
    for (let entry = this.#outbox.shift(); entry !== undefined; entry = this.#outbox.shift()) {
      this.#host.onDrop(entry.data);
    }
    for (const waiter of [
      ...this.#waiting.splice(0),
      ...this.#roomWaiters.splice(0),
      ...this.#emptyWaiters.splice(0),
    ]) {
      waiter.reject(notOpen("it ended before all was written", error));
    }
  }

  // ----

  /** Returns the connection if a message may bypass the outbox. */
  #freeConnection(): WebSocketConnection | undefined {
    const connection = this.#connection;
    return connection?.state === "open" && !this.#blocked && this.#outbox.count === 0 ? connection : undefined;
  }

  #give(connection: WebSocketConnection, data: MessageData, options: WriteOptions | undefined): boolean {
    const more = connection.write(data, options);
    this.#given++;
    this.#track(connection);
    if (!more) this.#blocked = this.#needDrain = true;
    return more;
  }

  /** Tracks what was handed over, one `flush` at a time. */
  #track(connection: WebSocketConnection): void {
    if (this.#tracking) return;
    this.#tracking = true;
    const given = this.#given;
    connection.flush().then(
      () => {
        if (this.#connection !== connection) return;
        this.#tracking = false;
        this.#handedOver = given;
        if (this.#given > given) this.#track(connection);
      },
      () => undefined, // it has ended, which `disconnected` handles
    );
  }

  /** Puts a message into the outbox by its policy; returns false if there is no room. */
  #place(entry: OutboxEntry<MessageData>): boolean {
    const outbox = this.#outbox;
    const policy = this.#policy;
    if (policy === "drop-oldest" && entry.cost <= outbox.limit) {
      while (!outbox.fits(entry)) {
        const oldest = outbox.shift();
        if (oldest !== undefined) this.#host.onDrop(oldest.data);
      }
    }
    // after those that wait already, however small it is
    if (this.#waiting.length > 0 || !outbox.fits(entry)) return false;
    outbox.push(entry);
    return true;
  }

  #full({ cost }: OutboxEntry<MessageData>): WebSocketError {
    const { limit, size } = this.#outbox;
    const why =
      cost > limit ? `${cost} bytes are more than outbox.size` : `${size} of ${limit} bytes wait in the outbox`;
    return protocolError("WRITE_BUFFER_FULL", why);
  }

  #unblock(connection: WebSocketConnection): void {
    if (this.#connection !== connection) return;
    this.#blocked = false;
    this.#pass();
  }

  /** Moves queued messages to the connection while it has room. */
  #pass(): void {
    const connection = this.#connection;
    const outbox = this.#outbox;
    if (connection === undefined) return;
    while (!this.#blocked && connection.state === "open") {
      const entry = outbox.peek();
      if (entry === undefined) break;
      try {
        this.#give(connection, entry.data, entry.options);
      } catch {
        // an empty connection accepts one message of any size
        this.#blocked = true;
        connection.flush().then(
          () => this.#unblock(connection),
          () => undefined,
        );
        return;
      }
      outbox.shift();
      this.#admit();
    }
    if (outbox.count > 0) return;
    settle(this.#emptyWaiters);
    if (this.#blocked) return;
    settle(this.#roomWaiters);
    if (this.#needDrain) {
      this.#needDrain = false;
      this.#host.onDrain();
    }
  }

  /** Policy `wait`: lets waiting calls place their messages. */
  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#outbox.fits(next.entry); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#outbox.push(next.entry);
      next.resolve();
    }
  }

  /** Resolves when messages may go directly to the connection, or when there is none any more. */
  #room(): Promise<void> {
    if (this.#connection === undefined || this.#freeConnection() !== undefined) return DONE;
    return handled(new Promise((resolve, reject) => this.#roomWaiters.push({ resolve, reject })));
  }
}

function settle(waiters: Waiter[]): void {
  for (const waiter of waiters.splice(0)) waiter.resolve();
}
