import type { WebSocketError } from "@tungstate/protocol";
import { callError } from "@tungstate/protocol/internal";
import type { WriteOptions } from "../../connection/types.ts";
import { DONE, failedCall, handled, notOpen, rejected } from "../../schedule/promises.ts";
import type { WritableConnection } from "./connection.ts";
import { Outbox, type OutboxEntry, type OutboxOptions } from "./outbox.ts";

/** How data is kept in the outbox. `D` is the data that the platform's connections send. */
export interface SendingSettings<D> {
  readonly outbox: OutboxOptions;
  readonly writeBufferSize: number;
  /** Returns a message in a form that can be kept, with its cost. Throws INVALID_ARGUMENT. */
  entry(data: D, options: WriteOptions | undefined): OutboxEntry<D>;
}

export interface SendingHost<D> {
  /** There is room again after a `write` that returned false. */
  onDrain(): void;
  /** A message will not be sent. */
  onDrop(data: D): void;
}

interface Waiter {
  resolve(): void;
  reject(error: WebSocketError): void;
}

interface WaitingEntry<D> extends Waiter {
  readonly entry: OutboxEntry<D>;
}

/**
 * The writing half of a reconnecting connection. A message goes to the current connection while
 * that has room; otherwise it waits in the outbox, for a connection or for room. What a connection
 * can lose therefore stays small.
 */
export class Sending<D> {
  private readonly settings: SendingSettings<D>;
  private readonly host: SendingHost<D>;
  private readonly outbox: Outbox<D>;
  private connection: WritableConnection<D> | undefined;
  /** Whether the connection is full, until it emits `drain`. */
  private blocked = false;
  private needDrain = false;
  /** Why no message is accepted any more. */
  private over: WebSocketError | undefined;
  /** Policy `wait`: calls of `send` whose message has no room yet. */
  private readonly waiting: WaitingEntry<D>[] = [];
  private roomWaiters: Waiter[] = [];
  private emptyWaiters: Waiter[] = [];
  /**
   * Messages given to this connection, and how many of them are known to be handed to its byte
   * stream.
   */
  private given = 0;
  private handedOver = 0;
  private tracking = false;

  constructor(settings: SendingSettings<D>, host: SendingHost<D>) {
    this.settings = settings;
    this.host = host;
    this.outbox = new Outbox(settings.outbox.size);
  }

  get bufferedAmount(): number {
    return this.outbox.size + (this.connection?.bufferedAmount ?? 0);
  }

  // ---- connections come and go

  connected(connection: WritableConnection<D>): void {
    this.connection = connection;
    this.blocked = false;
    this.given = this.handedOver = 0;
    this.tracking = false;
    connection.on("drain", () => this.unblock(connection));
    this.pass();
  }

  /** The connection has ended. Returns how many messages it had not handed to its byte stream. */
  disconnected(): number {
    const lost = this.given - this.handedOver;
    this.connection = undefined;
    this.blocked = false;
    this.given = this.handedOver = 0;
    // callers that waited for a slow connection may continue: their next messages wait in the
    // outbox
    this.settle("roomWaiters");
    return lost;
  }

  // ---- messages

  write(data: D, options?: WriteOptions): boolean {
    if (this.over !== undefined) return false;
    const free = this.freeConnection();
    if (free !== undefined) return this.give(free, data, options);
    const entry = this.settings.entry(data, options);
    if (!this.place(entry)) throw this.full(entry);
    if (this.bufferedAmount <= this.settings.writeBufferSize) return true;
    this.needDrain = true;
    return false;
  }

  /** Throws INVALID_ARGUMENT and INVALID_STATE; rejects with NOT_OPEN and WRITE_BUFFER_FULL. */
  send(data: D, options?: WriteOptions): Promise<void> {
    if (this.over !== undefined) return rejected(notOpen("it has ended", this.over));
    try {
      const free = this.freeConnection();
      if (free !== undefined) return this.give(free, data, options) ? DONE : this.room();
      const entry = this.settings.entry(data, options);
      if (this.place(entry)) return this.connection === undefined ? DONE : this.room();
      if (this.settings.outbox.policy !== "wait" || entry.cost > this.outbox.limit) throw this.full(entry);
      return handled(this.wait(entry));
    } catch (error) {
      return failedCall(error);
    }
  }

  private async wait(entry: OutboxEntry<D>): Promise<void> {
    await new Promise<void>((resolve, reject) => this.waiting.push({ entry, resolve, reject }));
    if (this.connection !== undefined) await this.room();
  }

  /**
   * Resolves when nothing is queued, here or in the connection. Rejects as the connection does if
   * that loses something.
   */
  async flush(): Promise<void> {
    while (this.outbox.count > 0 || this.waiting.length > 0) await this.empty();
    if (this.over !== undefined) throw notOpen("it has ended", this.over);
    const { connection } = this;
    if (connection !== undefined && connection.bufferedAmount > 0) await connection.flush();
  }

  /** Resolves when the outbox is empty. */
  async empty(): Promise<void> {
    if (this.over !== undefined) throw notOpen("it has ended", this.over);
    if (this.outbox.count === 0) return;
    await new Promise<void>((resolve, reject) => this.emptyWaiters.push({ resolve, reject }));
  }

  /** Hands everything queued to the connection, then closes it. */
  close(connection: WritableConnection<D>, code: number, reason: string): void {
    for (const waiter of this.waiting.splice(0)) {
      this.outbox.push(waiter.entry);
      waiter.resolve();
    }
    for (let entry = this.outbox.shift(); entry !== undefined; entry = this.outbox.shift()) {
      try {
        if (connection.state !== "open") this.host.onDrop(entry.data);
        else this.give(connection, entry.data, entry.options);
      } catch {
        this.host.onDrop(entry.data); // more than the connection's maxWriteBufferSize
      }
    }
    this.settle("emptyWaiters");
    void handled(connection.close(code, reason)); // a connector of the application may have made it
  }

  /** Nothing is sent any more, because of `error`. What is queued is dropped. */
  end(error: WebSocketError): void {
    this.over = error;
    this.connection = undefined;
    for (let entry = this.outbox.shift(); entry !== undefined; entry = this.outbox.shift()) {
      this.host.onDrop(entry.data);
    }
    for (const waiter of [...this.waiting.splice(0), ...this.roomWaiters.splice(0), ...this.emptyWaiters.splice(0)]) {
      waiter.reject(notOpen("it ended before all was written", error));
    }
  }

  // ----

  /** Returns the connection if a message may bypass the outbox. */
  private freeConnection(): WritableConnection<D> | undefined {
    const { connection } = this;
    return connection?.state === "open" && !this.blocked && this.outbox.count === 0 ? connection : undefined;
  }

  private give(connection: WritableConnection<D>, data: D, options: WriteOptions | undefined): boolean {
    const more = connection.write(data, options);
    this.given++;
    this.track(connection);
    if (!more) this.blocked = this.needDrain = true;
    return more;
  }

  /** Tracks what was handed over, one `flush` at a time. */
  private track(connection: WritableConnection<D>): void {
    if (this.tracking) return;
    this.tracking = true;
    const given = this.given;
    connection.flush().then(
      () => {
        if (this.connection !== connection) return;
        this.tracking = false;
        this.handedOver = given;
        if (this.given > given) this.track(connection);
      },
      () => undefined, // it has ended, which `disconnected` handles
    );
  }

  /** Puts a message into the outbox by its policy; returns false if there is no room. */
  private place(entry: OutboxEntry<D>): boolean {
    const { outbox } = this;
    const { policy } = this.settings.outbox;
    if (policy === "drop-oldest" && entry.cost <= outbox.limit) {
      while (!outbox.fits(entry)) {
        const oldest = outbox.shift();
        if (oldest !== undefined) this.host.onDrop(oldest.data);
      }
    }
    // after those that wait already, however small it is
    if (this.waiting.length > 0 || !outbox.fits(entry)) return false;
    outbox.push(entry);
    return true;
  }

  private full({ cost }: OutboxEntry<D>): WebSocketError {
    const { limit, size } = this.outbox;
    const why =
      cost > limit ? `${cost} bytes are more than outbox.size` : `${size} of ${limit} bytes wait in the outbox`;
    return callError("WRITE_BUFFER_FULL", why);
  }

  private unblock(connection: WritableConnection<D>): void {
    if (this.connection !== connection) return;
    this.blocked = false;
    this.pass();
  }

  /** Moves queued messages to the connection while it has room. */
  private pass(): void {
    const { connection, outbox } = this;
    if (connection === undefined) return;
    while (!this.blocked && connection.state === "open") {
      const entry = outbox.peek();
      if (entry === undefined) break;
      try {
        this.give(connection, entry.data, entry.options);
      } catch {
        // an empty connection accepts one message of any size
        this.blocked = true;
        connection.flush().then(
          () => this.unblock(connection),
          () => undefined,
        );
        return;
      }
      outbox.shift();
      this.admit();
    }
    if (outbox.count > 0) return;
    this.settle("emptyWaiters");
    if (this.blocked) return;
    this.settle("roomWaiters");
    if (this.needDrain) {
      this.needDrain = false;
      this.host.onDrain();
    }
  }

  /** Policy `wait`: lets waiting calls place their messages. */
  private admit(): void {
    for (let next = this.waiting[0]; next !== undefined && this.outbox.fits(next.entry); next = this.waiting[0]) {
      this.waiting.shift();
      this.outbox.push(next.entry);
      next.resolve();
    }
  }

  /** Resolves when messages may go directly to the connection, or when there is none any more. */
  private room(): Promise<void> {
    if (this.connection === undefined || this.freeConnection() !== undefined) return DONE;
    return handled(new Promise((resolve, reject) => this.roomWaiters.push({ resolve, reject })));
  }

  private settle(which: "roomWaiters" | "emptyWaiters"): void {
    for (const waiter of this[which].splice(0)) waiter.resolve();
  }
}
