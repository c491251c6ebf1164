import {
  checkClose,
  CLOSE_CODE,
  type HeaderFields,
  type IncomingMessages,
  type Message,
  type MessageCodec,
  type PreparedMessage,
  Protocol,
  protocolError,
  type ProtocolSink,
  WebSocketError,
} from "@tungstate/protocol";
import type { BudgetEntry } from "./memory-ledger.ts";
import { NOWHERE, type Timed } from "../schedule/deadlines.ts";
import { publishClose, publishError, publishMessage } from "./channels.ts";
import { ConnectionEmitter } from "./connection-emitter.ts";
import { reportHandlerError } from "../schedule/report.ts";
import { Ending } from "./ending.ts";
import type { BroadcastQueue, Subscriber } from "../broadcast/broadcast-queue.ts";
import { type ConnectionSettings } from "./options.ts";
import { packHeaders, unpackHeaders } from "./packed-headers.ts";
import { PendingPings } from "./pings.ts";
import { failedCall, notOpen } from "../schedule/promises.ts";
import { Backlog } from "./reading/backlog.ts";
import { DataRate } from "./reading/data-rate.ts";
import { HostWatch } from "./reading/host-watch.ts";
import { Reading, type ReadingHost } from "./reading/reading.ts";
import type { ScheduledReader } from "../schedule/read-scheduler.ts";
import type { Transport, TransportSink } from "../transport/transport.ts";
import type {
  CloseInfo,
  ConnectionEvents,
  ConnectionState,
  ConnectionStats,
  MessageData,
  WebSocketConnection,
  WriteOptions,
} from "./types.ts";
import { Writing, type WritingHost } from "./writing/writing.ts";
import { describe } from "../options/describe.ts";
import type { Route } from "../transport/route.ts";
import type { TlsInfo } from "../transport/tls-info.ts";
import { endpointError } from "../errors.ts";

/** How the byte stream of a connection came about, as far as it is known. */
export interface Way {
  readonly route?: Route | undefined;
  readonly tls?: TlsInfo | undefined;
}

/** What a handshake has agreed on. */
export interface Agreed extends Way {
  readonly protocol: string;
  readonly extensions: string;
  /** Where permessage-deflate is in use. */
  readonly codec?: MessageCodec | undefined;
}

/** What the connections of one server share. */
export interface Membership {
  readonly owner: ConnectionOwner;
  /** What all of them are sent. */
  readonly broadcasts: BroadcastQueue;
}

/** Keeps account of connections. */
export interface ConnectionOwner {
  onConnectionClosed(driver: Driver): void;
  onHandlerError(error: unknown): void;
}

/**
 * Drives one protocol on one transport, for both roles. The public `Connection` is a thin object on top of it: users never see this one.
 *
 * The two halves, `Reading` and `Writing`, do not know each other. A slow reader therefore never stops a writer, nor the other way round.
 */
export class Driver
  extends ConnectionEmitter
  implements ProtocolSink, TransportSink, ReadingHost, WritingHost, Timed, BudgetEntry, ScheduledReader, Subscriber
{
  cursor = 0; // as a Subscriber
  private membership: Membership | undefined;
  private readonly writing: Writing;

  /** The object that users have. */
  readonly connection: WebSocketConnection;
  slot = NOWHERE; // as a Timed
  // as a BudgetEntry
  held = 0;
  before: BudgetEntry | undefined;
  after: BudgetEntry | undefined;

  private readonly core: Protocol;
  private readonly transport: Transport;
  readonly settings: ConnectionSettings;
  private readonly reading: Reading;
  private readonly agreed: Agreed;
  /** Packed until they are read. */
  private head: string | HeaderFields;
  readonly incoming: IncomingMessages | undefined;
  private readingPaused = false;
  /** `settle` will be called at the end of this tick. */
  private settleDue = false;
  /** From when nothing was read for the first time, however long the reader takes nothing. */
  private hostWatch: HostWatch | undefined;
  /** While bytes that were read wait for their turn. The transport is paused. */
  private backlog: Backlog | undefined;
  private pings: PendingPings | undefined;
  /** While the stream has to end. */
  private ending: Ending | undefined;
  /** While a message is in flight. */
  private dataRate: DataRate | undefined;
  /** Whether it was ended because memory is low, and is not counted any more. */
  private givenUp = false;
  private terminated = false;
  private over: CloseInfo | undefined;
  private errorNotified = false;
  /** The promise of `closed`, created on demand. */
  private end: { readonly promise: Promise<CloseInfo>; readonly resolve: (info: CloseInfo) => void } | undefined;
  private bytesReceived = 0;

  /**
   * `headers`: those that the peer's handshake had. `early`: bytes that came behind the handshake. `greeting`: its last part, of characters up to U+00FF, to be sent
   * ahead of everything. `publish`: makes the public object.
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
    super();
    this.connection = publish(this);
    this.transport = transport;
    this.settings = settings;
    this.agreed = agreed;
    this.head = packHeaders(headers);
    const { codec } = agreed;
    this.core = new Protocol(
      codec === undefined ? settings.protocol : (settings.deflate?.protocol ?? settings.protocol),
      this,
      codec,
    );
    this.incoming = this.core.incoming;
    this.reading = new Reading(this);
    this.writing = new Writing(this.core, transport, settings, this);
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

  // ---- what it is

  get protocol(): string {
    return this.agreed.protocol;
  }

  get extensions(): string {
    return this.agreed.extensions;
  }

  get headers(): HeaderFields {
    if (typeof this.head === "string") this.head = unpackHeaders(this.head);
    return this.head;
  }

  get route(): Route | undefined {
    return this.agreed.route;
  }

  get tls(): TlsInfo | undefined {
    return this.agreed.tls;
  }

  get state(): ConnectionState {
    if (this.over !== undefined) return "closed";
    return this.core.state === "open" && this.writing.writable ? "open" : "closing";
  }

  get bufferedAmount(): number {
    const { bufferedAmount, writable } = this.writing;
    if (this.membership === undefined || !writable) return bufferedAmount;
    const { broadcasts } = this.membership;
    return bufferedAmount + broadcasts.pendingSize(this, this.settings.maxWriteBufferSize - bufferedAmount);
  }

  get localAddress(): string | undefined {
    return this.transport.localAddress;
  }

  get remoteAddress(): string | undefined {
    return this.transport.remoteAddress;
  }

  get stats(): ConnectionStats {
    const { bytesReceived, core } = this;
    const { messagesReceived } = core;
    const { bytesSent, writable } = this.writing;
    const messagesSent =
      this.writing.messagesSent + (writable ? (this.membership?.broadcasts.pendingCount(this) ?? 0) : 0);
    return { messagesReceived, messagesSent, bytesReceived, bytesSent };
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

  onBytes(chunk: Uint8Array, start: number, end: number): void {
    if (this.over !== undefined || this.terminated) return; // a stream that was destroyed may still have chunks
    // a stream that was paused may still have chunks, too
    if (this.backlog !== undefined) return this.defer(Buffer.concat([this.backlog.bytes, chunk.subarray(start, end)]));
    const at = this.settings.readScheduler.process(this, chunk, start, end);
    if (at < end) this.defer(new Uint8Array(chunk.subarray(at, end)));
  }

  /** Keeps bytes until a later tick: see ReadScheduler. */
  private defer(bytes: Uint8Array, then?: () => void): void {
    this.backlog ??= new Backlog();
    this.backlog.bytes = bytes;
    if (then !== undefined) this.backlog.addEnd(then);
    this.transport.pause();
    this.countHeld();
    this.backlog.awaitTurn(this.settings.readScheduler, this);
  }

  onTurn(): void {
    const { backlog } = this;
    if (backlog === undefined) return;
    backlog.isQueued = false;
    // `setReading` continues with them. Where only the reader has no room they are processed: no more than one read, and control frames among it
    if (this.isDecompressing && backlog.then === undefined) return;
    this.backlog = undefined;
    const { bytes, then } = backlog;
    const at = this.settings.readScheduler.process(this, bytes, 0, bytes.length);
    if (at < bytes.length && this.over === undefined && !this.terminated) {
      this.defer(bytes.subarray(at), then);
      return;
    }
    this.countHeld();
    if (then !== undefined) then();
    else if (!this.readingPaused) this.transport.resume();
  }

  /** Whether `end`, the end of the stream, waits for bytes that wait for their turn. */
  private isBehindBytes(end: () => void): boolean {
    if (this.backlog === undefined || this.terminated) return false;
    this.backlog.addEnd(end);
    this.backlog.awaitTurn(this.settings.readScheduler, this);
    return true;
  }

  processBytes(chunk: Uint8Array, start: number, end: number, until: number): number {
    if (this.over !== undefined || this.terminated) return end;
    this.bytesReceived += end - start;
    const { flusher } = this.settings;
    flusher.reading = this.writing;
    const { incoming } = this;
    const at = this.core.receive(chunk, flusher.now(), start, end, until);
    this.bytesReceived -= end - at;
    if (incoming !== undefined && incoming.heldSize > 0) this.reading.measure();
    this.countHeld();
    if (!this.settleDue && (this.reading.isUnsettled || incoming?.isUnsettled === true)) {
      this.settleDue = true;
      flusher.settleAtEnd(this);
    }
    if (this.dataRate === undefined && this.core.midMessage) this.watchDataRate();
    const ends = this.core.hasPendingControlFrames || this.core.shouldEndStream;
    if (ends) flusher.holdAll();
    if (ends || this.core.output.size > 0) this.writing.flushSoon();
    flusher.wasRead();
    return at;
  }

  onEnd(): void {
    if (this.isBehindBytes(() => this.onEnd())) return;
    this.catchUp();
    this.core.receiveEnd(this.settings.clock.now());
    this.endInTime();
    this.writing.flushNow();
  }

  /** The stream has to end: within `closeTimeout` from now, or from when output was last sent. */
  private endInTime(): void {
    const { clock, closeTimeout, deadlines } = this.settings;
    const now = clock.now();
    // the core counted from the beginning of this tick, which may be long ago
    if (this.ending === undefined) this.core.outputSent(now);
    this.ending ??= new Ending(now, this.writing.bytesLeft, closeTimeout);
    deadlines.watch(this);
  }

  onOutputSent(): void {
    if (this.ending !== undefined) this.lookAtOutput(this.ending, this.settings.clock.now());
  }

  /** Gives the peer time as long as output leaves. A transport may take long for one write and say nothing meanwhile, so it is looked at now and then. */
  private lookAtOutput(ending: Ending, now: number): void {
    const { bytesLeft, bytesSent, isUnfinished, isCompressing } = this.writing;
    if (ending.look(bytesLeft) || isCompressing) {
      this.core.outputSent(isUnfinished ? now : now + ending.timeInSystem(bytesSent, now));
    }
    ending.next(now, isUnfinished);
  }

  onClosed(cause?: Error): void {
    if (this.isBehindBytes(() => this.onClosed(cause))) return;
    if (this.over !== undefined) return;
    this.core.streamClosed(this.settings.clock.now(), cause);
    // what came before an orderly end is still delivered, as far as the reader has room
    if (this.incoming === undefined) this.finish();
    else this.incoming.whenIdle(() => this.finish());
  }

  onWritten(): void {
    this.catchUp();
    this.writing.onWritten();
  }

  // ---- from the protocol

  onMessage(message: Message): void {
    publishMessage(this.connection, message);
    this.reading.receive(message);
  }

  hasRoom(): boolean {
    return this.reading.hasRoom;
  }

  overflows(): boolean {
    return this.reading.overflows;
  }

  onOutput(): void {
    this.writing.flushSoon();
  }

  private get isDecompressing(): boolean {
    return this.incoming?.isBusy === true;
  }

  onReading(on: boolean): void {
    if (this.over !== undefined) return; // earlier messages may still be decompressed
    if (on) this.writing.flushSoon();
    this.reading.measure();
    this.countHeld();
    this.balance();
    if (on) this.backlog?.awaitTurn(this.settings.readScheduler, this);
  }

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

  /** Ends the connection for a reason of our own; its close code is told to the peer. */
  fail(error: WebSocketError): void {
    this.catchUp(); // what was broadcast before goes ahead of the Close
    this.failNow(error);
  }

  /** As `fail`, without what was broadcast and is not encoded yet. */
  failNow(error: WebSocketError): void {
    // after an error of the application the peer gets what was written before: it did nothing wrong
    this.core.fail(error, this.settings.clock.now(), error.code === "HANDLER_FAILED");
  }

  /** As `fail`, where it is the application that ends the connection: it gets no more messages, pings or pongs. */
  endFor(error: WebSocketError): void {
    this.silence();
    this.fail(error);
  }

  private silence(): void {
    this.silenceListeners();
    this.reading.stop();
    this.incoming?.close();
  }

  /** Whether an error of a handler says only that this connection has ended: then the handler did nothing wrong. */
  excuses(error: unknown): boolean {
    return this.state !== "open" && error instanceof WebSocketError && error.code === "NOT_OPEN";
  }

  /** Code of the application threw: closes with 1011, and reports the error. */
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

  // ---- time

  get deadline(): number {
    if (this.over !== undefined) return Infinity; // it may be read to the end still
    const { ending, dataRate } = this;
    return Math.min(
      this.core.pollTimeout(),
      this.reading.checkAt,
      ending?.at ?? Infinity,
      dataRate?.checkAt ?? Infinity,
    );
  }

  onDeadline(now: number): void {
    if (this.dataRate !== undefined && now >= this.dataRate.checkAt) this.checkDataRate(this.dataRate);
    if (now >= this.reading.checkAt) this.reading.check(now);
    if (this.ending !== undefined && now >= this.ending.at) this.lookAtOutput(this.ending, now);
    if (!this.core.handleTimeout(now, !this.readingPaused)) return this.transport.destroy();
    this.writing.flushSoon();
    if (this.hostWatch !== undefined) this.checkHost(this.hostWatch);
  }

  /** A message is in flight, or reading goes on in the middle of one. */
  private watchDataRate(): void {
    const { minDataRate, clock, deadlines } = this.settings;
    if (minDataRate === undefined || this.over !== undefined) return;
    this.dataRate = new DataRate(clock.now() + minDataRate.interval, this.bytesReceived, this.core.messagesReceived);
    deadlines.watch(this);
  }

  private checkDataRate(rate: DataRate): void {
    const { minDataRate } = this.settings;
    this.dataRate = undefined;
    if (minDataRate === undefined || !this.core.midMessage) return;
    const bytes = rate.bytesSince(this.bytesReceived);
    // a paused connection receives nothing, which is not the peer's fault
    const isExcused = this.readingPaused || rate.hasCompleted(this.core.messagesReceived);
    if (isExcused || bytes >= minDataRate.bytes) this.watchDataRate();
    else this.fail(endpointError("MESSAGE_TOO_SLOW", `${bytes} bytes in ${minDataRate.interval} ms`));
  }

  // ---- memory

  /** The tick in which messages came has ended: what still waits has to keep no memory of other connections alive. */
  settle(): void {
    this.settleDue = false;
    this.reading.settle();
    this.incoming?.endTick();
    this.countHeld();
  }

  countHeld(): void {
    const { core, reading, writing, incoming } = this;
    const unread = this.backlog?.bytes.length ?? 0;
    const held = core.pendingSize + reading.countHeld() + writing.kept + (incoming?.memorySize ?? 0) + unread;
    if (held !== this.held && this.over === undefined && !this.givenUp) this.settings.memory.hold(this, held);
  }

  /** The budget is exceeded: ends the connection, and all that it holds. */
  release(): number {
    const waits = this.writing.bufferedAmount;
    const { limit } = this.settings.memory;
    this.givenUp = true;
    this.fail(endpointError("OUT_OF_BUDGET", `of ${limit} bytes this one held ${this.held}`));
    this.reading.stop();
    this.incoming?.close();
    // what is left would not leave the memory before the peer has read it
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

  /** Whether messages are wanted: not behind a Close of our own, but all that came before the peer's, which may have waited to be inflated. */
  isOpen(): boolean {
    return this.core.state === "open" || this.core.closing.code !== CLOSE_CODE.ABNORMAL;
  }

  /** Stops reading from the transport while there is no room for more. A connection that is closing has to see the peer's Close. */
  balance(): void {
    if (this.over !== undefined) return;
    const pause = this.isDecompressing || (this.reading.full && this.core.state === "open");
    if (pause && this.reading.exhausted) this.watchHost();
    if (pause !== this.readingPaused) this.pauseReading(pause);
    this.settings.deadlines.watch(this);
  }

  private pauseReading(pause: boolean): void {
    this.readingPaused = pause;
    if (pause) {
      this.transport.pause();
      return;
    }
    if (this.dataRate !== undefined) this.watchDataRate();
    this.core.resumeReading(this.settings.clock.now());
    if (this.backlog === undefined) this.transport.resume();
    else this.backlog.awaitTurn(this.settings.readScheduler, this);
  }

  /** Nothing is read, so that neither a pong nor the end of the stream would be seen. */
  private watchHost(): void {
    const { heartbeat, clock } = this.settings;
    if (heartbeat !== undefined) this.hostWatch ??= new HostWatch(this.transport, heartbeat, clock);
  }

  private checkHost(watch: HostWatch): void {
    if (!this.isDeaf) return watch.reset();
    watch.check((unanswered) => {
      if (!this.isDeaf || this.core.state !== "open") return;
      const detail = `the host of the peer did not answer ${unanswered} times in a row`;
      this.failNow(protocolError("HEARTBEAT_TIMEOUT", detail));
      this.transport.destroy();
    });
  }

  /** Whether nothing is read before the reader takes something. */
  private get isDeaf(): boolean {
    return this.readingPaused && this.reading.exhausted && this.over === undefined;
  }

  // ---- what all connections of a server get

  /** Joins a server: it gets what is broadcast from now on. */
  join(membership: Membership): void {
    this.membership = membership;
    this.cursor = membership.broadcasts.count;
  }

  /** What all were sent goes ahead of what this one is sent now. */
  private catchUp(): void {
    const { membership } = this;
    if (membership !== undefined && this.cursor < membership.broadcasts.count) membership.broadcasts.catchUp(this);
  }

  canWriteFrames(): boolean {
    return this.writing.canWriteFrames;
  }

  writeFrames(frames: Uint8Array, count: number): boolean {
    return this.writing.writeFrames(frames, count);
  }

  writeMessage(message: PreparedMessage): void {
    if (this.core.error !== undefined || !this.writing.writable) return;
    try {
      this.writing.write(message);
    } catch (error) {
      // nothing else is wrong with it but, maybe, that it is compressed and this connection has no compression
      const full = error instanceof WebSocketError && error.code === "WRITE_BUFFER_FULL";
      // at once: nothing may come behind a message that is missing
      this.failNow(endpointError(full ? "SLOW_CONSUMER" : "HANDLER_FAILED", undefined, { cause: error }));
    }
  }

  isBehind(more: number): boolean {
    return this.state === "open" && this.writing.isBehind(more);
  }

  // ---- writing

  emitDrain(): void {
    this.emit("drain");
  }

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

  /** The connection is over, and nothing waits to be inflated. */
  private endReading(): void {
    this.incoming?.close();
    this.agreed.codec?.close();
    this.reading.end();
  }
}

const LITTLE = 16 * 1024; // bytes; what a socket takes without its peer reading
