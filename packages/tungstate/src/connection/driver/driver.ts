import { checkClose, type HeaderFields, type Message, WebSocketError } from "@tungstate/protocol";
import type { BroadcastQueue } from "../../broadcast/broadcast-queue.ts";
import { endpointError } from "../../errors.ts";
import { describe } from "../../options/describe.ts";
import { failedCall, notOpen } from "../../schedule/promises.ts";
import { reportHandlerError } from "../../schedule/report.ts";
import type { Transport, TransportSink } from "../../transport/transport.ts";
import { publishClose, publishError } from "../channels.ts";
import type { BudgetEntry } from "../memory-ledger.ts";
import type { ConnectionSettings } from "../options.ts";
import { PendingPings } from "../pings.ts";
import { Backlog } from "../reading/backlog.ts";
import type { CloseInfo, ConnectionEvents, MessageData, WebSocketConnection, WriteOptions } from "../types.ts";
import { Intake } from "./intake.ts";
import type { Agreed } from "./link.ts";

/** What the connections of one server share. */
export interface Membership {
  readonly owner: ConnectionOwner;
  /** Their broadcasts. */
  readonly broadcasts: BroadcastQueue;
}

/** What is notified of connections. */
export interface ConnectionOwner {
  onConnectionClosed(driver: Driver): void;
  onHandlerError(error: unknown): void;
}

/**
 * Drives one protocol on one transport, for both roles. The public `Connection` is a thin object
 * on top of it: users never see this one.
 *
 * The two halves, `Reading` and `Writing`, do not know each other: a slow reader never stops a
 * writer, nor the other way round.
 */
export class Driver extends Intake implements TransportSink, BudgetEntry {
  /** The object that users have. */
  readonly connection: WebSocketConnection;
  // as a BudgetEntry
  held = 0;
  before: BudgetEntry | undefined;
  after: BudgetEntry | undefined;
  private membership: Membership | undefined;
  private pings: PendingPings | undefined;
  /** Whether it was ended because memory is low, and is no longer counted. */
  private givenUp = false;
  private errorNotified = false;
  /** The promise of `closed`, created on demand. */
  private end: { readonly promise: Promise<CloseInfo>; readonly resolve: (info: CloseInfo) => void } | undefined;

  /**
   * `publish` makes the public object. `headers`: header fields of the peer's handshake. `early`:
   * bytes received after the handshake. `greeting`: the last part of the handshake, of characters
   * up to U+00FF, which is sent first.
   */
  constructor(
    publish: (driver: Driver) => WebSocketConnection,
    transport: Transport,
    settings: ConnectionSettings,
    agreed: Agreed,
    headers: HeaderFields,
    early: Uint8Array,
    greeting?: string,
  ) {
    super(transport, settings, agreed, headers);
    this.connection = publish(this);
    this.core.start(settings.clock.now());
    this.settings.deadlines.watch(this);
    if (greeting !== undefined) {
      this.core.output.appendLatin1(greeting);
      this.writing.flushSoon();
    }
    transport.start(this);
    if (early.length > 0) {
      this.backlog = new Backlog();
      this.backlog.bytes = early;
      this.backlog.isQueued = true;
      queueMicrotask(() => this.onTurn());
    }
  }

  /** Joins a server: it gets what is broadcast from now on. */
  join(membership: Membership): void {
    this.membership = membership;
    this.cursor = membership.broadcasts.count;
  }

  protected get broadcasts(): BroadcastQueue | undefined {
    return this.membership?.broadcasts;
  }

  get closed(): Promise<CloseInfo> {
    if (this.end === undefined) {
      let resolve: (info: CloseInfo) => void = () => undefined;
      const promise = new Promise<CloseInfo>((resolver) => (resolve = resolver));
      this.end = { promise, resolve };
      if (this.over !== undefined) resolve(this.over);
    }
    return this.end.promise;
  }

  // ---- from the transport

  onEnd(): void {
    if (this.isBehindBytes(() => this.onEnd())) return;
    this.catchUp();
    this.core.receiveEnd(this.settings.clock.now());
    this.endInTime();
    this.writing.flushNow();
  }

  onClosed(cause?: Error): void {
    if (this.isBehindBytes(() => this.onClosed(cause))) return;
    if (this.over !== undefined) return;
    this.core.streamClosed(this.settings.clock.now(), cause);
    // messages before an orderly end are still delivered while the reader has room
    if (this.incoming === undefined) this.finish();
    else this.incoming.whenIdle(() => this.finish());
  }

  onWritten(): void {
    this.catchUp();
    this.writing.onWritten();
  }

  // ---- from the protocol

  onPing(payload: Uint8Array): void {
    this.emit("ping", payload);
  }

  onPong(payload: Uint8Array): void {
    this.pings?.answered(payload, this.settings.clock.now());
    this.emit("pong", payload);
  }

  onStateChange(): void {
    this.notifyError();
    if (this.core.state !== "closing") return;
    this.endInTime();
    this.balance();
    this.writing.flushSoon();
  }

  private notifyError(): void {
    if (this.core.error === undefined || this.errorNotified) return;
    this.errorNotified = true;
    publishError(this.connection, this.core.error);
    this.emit("error", this.core.error);
  }

  /** Ends the connection with an error of this end. The peer gets its close code. */
  fail(error: WebSocketError): void {
    this.catchUp(); // earlier broadcasts precede the Close
    this.failNow(error);
  }

  /** As `fail`, without broadcasts that are not encoded yet. */
  failNow(error: WebSocketError): void {
    // an error of the application is no fault of the peer, which gets what was written before
    this.core.fail(error, this.settings.clock.now(), error.code === "HANDLER_FAILED");
  }

  /** As `fail`, for the application, which gets no more messages, pings or pongs. */
  endFor(error: WebSocketError): void {
    this.silence();
    this.fail(error);
  }

  private silence(): void {
    this.silenceListeners();
    this.reading.stop();
    this.incoming?.close();
  }

  /** Whether an error of a handler only says that this connection has ended. */
  excuses(error: unknown): boolean {
    return this.state !== "open" && error instanceof WebSocketError && error.code === "NOT_OPEN";
  }

  /** A function of the application threw: closes with 1011, and reports the error. */
  handlerFailed(error: unknown): void {
    if (this.excuses(error)) return;
    const willBeTold = this.core.error === undefined && this.core.state !== "closed" && this.listenerCount("error") > 0;
    this.silence();
    if (this.membership !== undefined) this.membership.owner.onHandlerError(error);
    else if (!willBeTold) reportHandlerError(error);
    this.fail(
      endpointError("HANDLER_FAILED", error instanceof Error ? error.message : describe(error), { cause: error }),
    );
  }

  // ---- memory

  countHeld(): void {
    const { core, reading, writing, incoming } = this;
    const unread = this.backlog?.bytes.length ?? 0;
    const held = core.pendingSize + reading.countHeld() + writing.kept + (incoming?.memorySize ?? 0) + unread;
    if (held !== this.held && this.over === undefined && !this.givenUp) this.settings.memory.hold(this, held);
  }

  /** The budget is exceeded: ends the connection and releases its memory. */
  release(): number {
    const waits = this.writing.bufferedAmount;
    const { limit } = this.settings.memory;
    this.givenUp = true;
    this.fail(endpointError("OUT_OF_BUDGET", `of ${limit} bytes this one held ${this.held}`));
    this.reading.stop();
    this.incoming?.close();
    // the rest would stay in memory until the peer has read it
    if (waits > LITTLE) this.transport.destroy();
    this.settings.memory.hold(this, 0);
    return 1;
  }

  // ---- reading

  override on<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this {
    super.on(event, listener);
    if (event === "message") this.reading.resumeSoon();
    return this;
  }

  override off<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this {
    super.off(event, listener);
    if (event === "message" && !this.hasMessageListeners()) this.reading.listenersGone();
    return this;
  }

  pause(): void {
    this.reading.pause();
  }

  resume(): void {
    this.reading.resume();
  }

  messages(): AsyncIterableIterator<Message> {
    return this.reading.messages();
  }

  batches(): AsyncIterableIterator<readonly Message[]> {
    return this.reading.batches();
  }

  // ---- writing

  write(data: MessageData, options: WriteOptions | undefined): boolean {
    this.catchUp();
    return this.writing.write(data, options);
  }

  send(data: MessageData, options: WriteOptions | undefined): Promise<void> {
    this.catchUp();
    return this.writing.send(data, options);
  }

  /** Waits until no more than `writeBufferSize` bytes wait. */
  room(): Promise<void> {
    this.catchUp();
    return this.writing.room();
  }

  sendStream(
    parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    type: "text" | "binary",
  ): Promise<void> {
    this.catchUp();
    return this.writing.sendStream(parts, type);
  }

  flush(): Promise<void> {
    this.catchUp();
    return this.writing.flush();
  }

  ping(payload: Uint8Array | string | undefined): Promise<number> {
    this.pings ??= new PendingPings();
    const bytes = this.pings.payload(payload);
    this.catchUp();
    try {
      this.core.ping(bytes);
    } catch (error) {
      return failedCall(error);
    }
    this.writing.flushSoon();
    return this.pings.wait(bytes, this.settings.clock.now());
  }

  // ---- the end

  /** Without a code, the Close has no payload. */
  close(code: number | undefined, reason: string): Promise<CloseInfo> {
    checkClose(code, reason);
    this.catchUp();
    this.writing.close(code, reason);
    if (this.core.state === "open") this.endInTime(); // the Close waits
    return this.closed;
  }

  terminate(): void {
    this.terminated = true;
    this.silence();
    this.core.abort(this.settings.clock.now());
    this.transport.destroy();
  }

  private finish(): void {
    if (this.over !== undefined) return;
    const info = this.core.closing;
    this.over = info;
    this.settings.deadlines.forget(this);
    this.notifyError();
    this.writing.end(info.error);
    this.pings?.fail(notOpen("it ended before the pong came", info.error));
    if (this.incoming === undefined) this.reading.end();
    else this.incoming.whenEmpty(() => this.endReading());
    this.settings.memory.hold(this, 0);
    this.membership?.owner.onConnectionClosed(this);
    publishClose(this.connection, info);
    this.emit("close", info);
    this.end?.resolve(info);
  }

  /** The connection is closed, and no message waits for its decompression. */
  private endReading(): void {
    this.incoming?.close();
    this.agreed.codec?.close();
    this.reading.end();
  }
}

const LITTLE = 16 * 1024; // bytes; what a socket takes without its peer reading
