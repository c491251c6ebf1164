import {
  CLOSE_CODE,
  type Data,
  giveBack,
  Message,
  PreparedMessage,
  Protocol,
  protocolError,
  type ProtocolSink,
  type Taken,
  WebSocketError,
} from "@tungstate/protocol";
import type { Road } from "./dial/dial.ts";
import type { TlsInfo } from "./tls/secure.ts";
import { type Deadlines, deadlinesOf, type Timed } from "./deadlines.ts";
import { Emitter } from "./emitter.ts";
import { type Flusher, flusherOf } from "./flusher.ts";
import { Inbox } from "./inbox.ts";
import { type ConnectionSettings, describe } from "./options.ts";
import { PendingPings } from "./pings.ts";
import { splitConnection } from "./split.ts";
import { sendInFragments } from "./fragments.ts";
import type { Transport, TransportSink } from "./transport/transport.ts";
import type {
  CloseInfo,
  ConnectionEvents,
  ConnectionState,
  ConnectionStats,
  MessageData,
  WebSocketConnection,
} from "./types.ts";

/** How the byte stream of a connection came about, as far as it is known. */
export interface Way {
  readonly road?: Road | undefined;
  readonly tls?: TlsInfo | undefined;
}

/** What a handshake has agreed on. */
export interface Agreed extends Way {
  readonly protocol: string;
  readonly extensions: string;
}

/** Whoever made a connection and keeps account of it. */
export interface ConnectionOwner {
  onConnectionClosed(connection: Connection): void;
  onHandlerError(error: unknown): void;
}

interface Waiter {
  resolve(): void;
  reject(error: WebSocketError): void;
}

/**
 * One protocol on one transport: the endpoint of both roles.
 *
 * Reading and writing know nothing of each other. Reading pauses the transport when the inbox is full, and only then; writing
 * goes on through one `flushNow`, which hands the output over whenever the transport is free.
 */
export class Connection
  extends Emitter<ConnectionEvents>
  implements WebSocketConnection, ProtocolSink, TransportSink, Timed
{
  readonly protocol: string;
  readonly extensions: string;
  readonly road: Road | undefined;
  readonly tls: TlsInfo | undefined;
  owner: ConnectionOwner | undefined;
  slot = Infinity; // as a Timed

  private readonly core: Protocol;
  private readonly transport: Transport;
  private readonly settings: ConnectionSettings;
  private readonly flusher: Flusher;
  private readonly deadlines: Deadlines;

  // reading
  private inbox: Inbox | undefined;
  private flowing = false;
  private readingPaused = false;
  private receiving = false;
  private early: Uint8Array | undefined;
  private reader: ((more: boolean) => void) | undefined;

  // writing
  private inFlight: Taken | undefined;
  private flushDue = false;
  private needDrain = false;
  private endSent = false;
  /** Messages that were written while one is being sent in fragments. */
  private held: { readonly data: Data[]; size: number } | undefined;
  private streamWaiter: Waiter | undefined;
  private roomWaiters: Waiter[] | undefined;
  private flushWaiters: Waiter[] | undefined;

  private pings: PendingPings | undefined;
  private over: CloseInfo | undefined;
  private errorTold = false;
  private closedPromise: Promise<CloseInfo> | undefined;
  private resolveClosed: ((info: CloseInfo) => void) | undefined;
  private messagesReceived = 0;
  private messagesSent = 0;
  private bytesReceived = 0;
  private bytesSent = 0;

  /** `early`: bytes that came behind the handshake. `greeting`: its last bytes, to be sent ahead of everything. */
  constructor(
    transport: Transport,
    settings: ConnectionSettings,
    agreed: Agreed,
    early: Uint8Array,
    greeting?: Uint8Array,
  ) {
    super();
    this.transport = transport;
    this.settings = settings;
    this.protocol = agreed.protocol;
    this.extensions = agreed.extensions;
    this.road = agreed.road;
    this.tls = agreed.tls;
    this.core = new Protocol(settings, this);
    this.flusher = flusherOf(settings.clock);
    this.deadlines = deadlinesOf(settings.clock);
    this.core.start(settings.clock.now());
    this.deadlines.watch(this);
    if (greeting !== undefined) {
      this.core.output.append(greeting);
      this.flushSoon();
    }
    transport.start(this);
    if (early.length > 0) {
      this.early = early;
      queueMicrotask(() => this.takeEarly());
    }
  }

  // ---- what it is

  get state(): ConnectionState {
    return this.over === undefined ? (this.core.state === "open" ? "open" : "closing") : "closed";
  }

  get bufferedAmount(): number {
    return this.core.output.size + this.core.inTransit + (this.held?.size ?? 0);
  }

  get localAddress(): string | undefined {
    return this.transport.localAddress;
  }

  get remoteAddress(): string | undefined {
    return this.transport.remoteAddress;
  }

  get stats(): ConnectionStats {
    const { messagesReceived, messagesSent, bytesReceived, bytesSent } = this;
    return { messagesReceived, messagesSent, bytesReceived, bytesSent };
  }

  get closed(): Promise<CloseInfo> {
    if (this.closedPromise === undefined) {
      const over = this.over;
      this.closedPromise =
        over === undefined ? new Promise((resolve) => (this.resolveClosed = resolve)) : Promise.resolve(over);
    }
    return this.closedPromise;
  }

  // ---- from the transport

  onBytes(chunk: Uint8Array, start: number, end: number): void {
    if (this.early !== undefined) this.takeEarly();
    if (this.over !== undefined) return;
    this.bytesReceived += end - start;
    this.receiving = true;
    this.core.receive(chunk, start, end);
    this.receiving = false;
    if (this.core.output.size > 0 || this.core.pongIsDue || this.core.wantsEnd) this.flushSoon();
  }

  private takeEarly(): void {
    const { early } = this;
    this.early = undefined;
    if (early !== undefined) this.onBytes(early, 0, early.length);
  }

  onEnd(): void {
    this.takeEarly();
    this.core.receiveEnd();
    this.flushNow();
    this.transport.end();
  }

  onClosed(cause?: Error): void {
    this.takeEarly();
    if (this.over !== undefined) return;
    this.core.receiveEnd(cause);
    this.finish();
  }

  onWritten(): void {
    const taken = this.inFlight;
    if (taken === undefined) return;
    this.inFlight = undefined;
    this.core.inTransit = 0;
    giveBack(taken);
    this.flushNow();
  }

  // ---- from the protocol

  onMessage(message: Message): void {
    this.messagesReceived++;
    if (this.flowing && (this.inbox === undefined || this.inbox.count === 0)) {
      this.emit("message", message);
      return;
    }
    this.inbox ??= new Inbox();
    if (this.inbox.size > this.settings.inboxSize) {
      // only the rest of a chunk, or what still comes after our own Close, gets here
      if (this.core.state !== "open") return;
    }
    this.inbox.push(message);
    this.reader?.(true);
    this.balance();
  }

  onCompressedMessage(): void {
    // impossible: RSV1 is refused while no extension is in use
  }

  onPing(payload: Uint8Array): void {
    this.emit("ping", payload);
  }

  onPong(payload: Uint8Array): void {
    this.pings?.answered(payload, this.settings.clock.now());
    this.emit("pong", payload);
  }

  onStateChange(): void {
    this.tellError();
    if (this.core.state !== "closing") return;
    this.core.startClosing(this.settings.clock.now());
    this.deadlines.watch(this);
    this.balance();
    this.flushSoon();
  }

  private tellError(): void {
    if (this.core.error === undefined || this.errorTold) return;
    this.errorTold = true;
    this.emit("error", this.core.error);
  }

  protected override onThrow(error: unknown): void {
    this.handlerFailed(error);
  }

  /** Code of the application threw: closes with 1011, and sees to it that somebody hears of it. */
  handlerFailed(error: unknown): void {
    if (this.owner !== undefined) this.owner.onHandlerError(error);
    else if (this.listenerCount("error") === 0) {
      process.emitWarning(error instanceof Error ? error : String(error), "TungstateHandlerWarning");
    }
    this.fail(
      protocolError("HANDLER_FAILED", error instanceof Error ? error.message : String(error), { cause: error }),
    );
  }

  /** Ends the connection for a reason of our own; its close code is told to the peer. */
  fail(error: WebSocketError): void {
    this.core.fail(error);
  }

  // ---- time

  get deadline(): number {
    return this.core.deadline;
  }

  onDeadline(now: number): void {
    this.core.readingPaused = this.readingPaused;
    if (this.core.handleTimeout(now)) this.flushSoon();
    else this.transport.destroy();
  }

  // ---- reading

  override on<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => void): this {
    super.on(event, listener);
    // begin behind this turn's other `on`s
    if (event === "message" && !this.flowing) queueMicrotask(() => this.resume());
    return this;
  }

  pause(): void {
    this.flowing = false;
  }

  resume(): void {
    if (this.listenerCount("message") === 0) return;
    this.flowing = true;
    while (this.flowing) {
      const message = this.inbox?.shift();
      if (message === undefined) break;
      this.emit("message", message);
    }
    this.balance();
  }

  /** Stops reading from the transport when the inbox is full, goes on when it is half empty. */
  private balance(): void {
    const size = this.inbox?.size ?? 0;
    if (this.readingPaused) {
      // a closing connection has to see the peer's Close; what does not fit the inbox any more is dropped
      if (size <= this.settings.inboxSize / 2 || this.core.state !== "open") {
        this.readingPaused = false;
        this.transport.resume();
      }
    } else if (size > this.settings.inboxSize && this.core.state === "open") {
      this.readingPaused = true;
      this.transport.pause();
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    while (await this.readable()) {
      for (let message = this.inbox?.shift(); message !== undefined; message = this.inbox?.shift()) {
        this.balance();
        yield message;
      }
    }
  }

  async *batches(): AsyncIterableIterator<readonly Message[]> {
    while (await this.readable()) {
      const batch = this.inbox?.drain() ?? [];
      this.balance();
      if (batch.length > 0) yield batch;
    }
  }

  /** Waits until there is a message; false if there will be none. */
  private readable(): Promise<boolean> | boolean {
    if (this.flowing) throw protocolError("INVALID_STATE", "the messages go to the listeners of the message event");
    if (this.inbox !== undefined && this.inbox.count > 0) return true;
    if (this.over !== undefined) return false;
    return new Promise((resolve) => {
      const before = this.reader;
      this.reader = (more) => {
        this.reader = undefined;
        before?.(more);
        resolve(more);
      };
    });
  }

  split(): { readable: ReadableStream<Message>; writable: WritableStream<MessageData> } {
    return splitConnection(this);
  }

  // ---- writing

  write(data: MessageData): boolean {
    const checked = typeof data === "string" || data instanceof Message ? data : asData(data);
    if (this.core.inMessage) return this.hold(checked);
    this.core.send(checked);
    this.messagesSent++;
    return this.afterWrite();
  }

  /** RFC 6455 §5.4 lets no message come between the fragments of another: it waits until `sendStream` is done. */
  private hold(data: Data): boolean {
    this.held ??= { data: [], size: 0 };
    const size = this.held.size + sizeOf(data);
    if (this.core.state !== "open") throw protocolError("NOT_OPEN");
    if (size > this.settings.maxWriteBufferSize)
      throw protocolError("WRITE_BUFFER_FULL", "behind a message in fragments");
    this.held.data.push(data);
    this.held.size = size;
    this.needDrain = true;
    return false;
  }

  async send(data: MessageData): Promise<void> {
    if (!this.write(data)) await this.room();
  }

  async sendStream(
    parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    type: "text" | "binary" = "binary",
  ): Promise<void> {
    this.messagesSent++;
    try {
      await sendInFragments(this.core, parts, type, () => (this.afterWrite() ? undefined : this.streamRoom()));
    } finally {
      const { held } = this;
      this.held = undefined;
      if (this.core.state === "open") for (const data of held?.data ?? []) this.write(data);
    }
  }

  private streamRoom(): Promise<void> {
    return new Promise((resolve, reject) => (this.streamWaiter = { resolve, reject }));
  }

  private afterWrite(): boolean {
    const { core, settings } = this;
    if (core.output.size >= settings.writeBufferSize) this.flushNow();
    else this.flushSoon();
    if (core.output.size + core.inTransit <= settings.writeBufferSize) return true;
    this.needDrain = true;
    return false;
  }

  /** Waits until no more than `writeBufferSize` bytes wait. */
  room(): Promise<void> {
    return new Promise((resolve, reject) => (this.roomWaiters ??= []).push({ resolve, reject }));
  }

  flush(): Promise<void> {
    if (this.bufferedAmount === 0) return Promise.resolve();
    return new Promise((resolve, reject) => (this.flushWaiters ??= []).push({ resolve, reject }));
  }

  private flushSoon(): void {
    if (this.flushDue || this.receiving) return; // the end of `onBytes` flushes
    this.flushDue = true;
    this.flusher.add(this);
  }

  /** Hands the output to the transport if it is free. */
  flushNow(): void {
    this.flushDue = false;
    if (this.inFlight !== undefined || this.over !== undefined) return;
    const { core } = this;
    core.answerPing();
    if (core.output.size > 0) {
      const taken = core.output.take();
      this.bytesSent += taken.size;
      if (!this.transport.write(taken.pieces)) {
        this.inFlight = taken;
        core.inTransit = taken.size;
        return;
      }
      giveBack(taken);
    }
    const { streamWaiter } = this;
    this.streamWaiter = undefined;
    streamWaiter?.resolve();
    if (this.held !== undefined) return; // there is more, behind the message in fragments
    const { roomWaiters, flushWaiters } = this;
    this.roomWaiters = this.flushWaiters = undefined;
    for (const waiter of roomWaiters ?? []) waiter.resolve();
    for (const waiter of flushWaiters ?? []) waiter.resolve();
    if (this.needDrain) {
      this.needDrain = false;
      this.emit("drain");
      if (core.output.size > 0) this.flushSoon();
    }
    if (core.wantsEnd && !this.endSent && core.output.size === 0) {
      this.endSent = true;
      this.transport.end();
    }
  }

  async ping(payload?: Uint8Array | string): Promise<number> {
    this.pings ??= new PendingPings();
    const bytes = this.pings.payload(payload);
    this.core.ping(bytes);
    this.flushSoon();
    return this.pings.wait(bytes, this.settings.clock.now());
  }

  // ---- the end

  close(code: number = CLOSE_CODE.NORMAL, reason = ""): Promise<CloseInfo> {
    this.core.close(code, reason, this.settings.clock.now());
    return this.closed;
  }

  terminate(): void {
    this.transport.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private finish(): void {
    const { core } = this;
    const info = core.closing;
    this.over = info;
    this.deadlines.forget(this);
    const lost = this.bufferedAmount > 0;
    this.held = undefined;
    core.output.clear();
    this.tellError();
    const error = info.error ?? protocolError("NOT_OPEN", "it was closed before all was written");
    this.streamWaiter?.reject(error);
    for (const waiter of this.roomWaiters ?? []) waiter.reject(error);
    for (const waiter of this.flushWaiters ?? []) {
      if (lost) waiter.reject(error);
      else waiter.resolve();
    }
    this.roomWaiters = this.flushWaiters = undefined;
    this.pings?.fail(error);
    this.reader?.(false);
    this.owner?.onConnectionClosed(this);
    this.emit("close", info);
    this.resolveClosed?.(info);
  }
}

function sizeOf(data: Data): number {
  if (typeof data === "string") return Buffer.byteLength(data);
  if (data instanceof Uint8Array) return data.length;
  return data instanceof Message ? data.size : data.frame.length;
}

function asData(data: unknown): Data {
  if (data instanceof Uint8Array || data instanceof PreparedMessage) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw protocolError(
    "INVALID_ARGUMENT",
    `a message is a string, an ArrayBuffer or a view of one, a Message or a PreparedMessage, got ${describe(data)}`,
  );
}
