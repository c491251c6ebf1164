import { CLOSE_CODE, type HeaderFields, type Message, protocolError, type WebSocketError } from "@tungstate/protocol";
import { endpointError } from "../../errors.ts";
import { NOWHERE, type Timed } from "../../schedule/deadlines.ts";
import type { ScheduledReader } from "../../schedule/read-scheduler.ts";
import type { Transport } from "../../transport/transport.ts";
import { publishMessage } from "../channels.ts";
import { Ending } from "../ending.ts";
import type { ConnectionSettings } from "../options.ts";
import { Backlog } from "../reading/backlog.ts";
import { DataRate } from "../reading/data-rate.ts";
import { HostWatch } from "../reading/host-watch.ts";
import { Reading, type ReadingHost } from "../reading/reading.ts";
import type { WebSocketConnection } from "../types.ts";
import { type Agreed, Link } from "./link.ts";

/**
 * Reads the transport: passes bytes to the protocol when it is the connection's turn, stops reading
 * while there is no room, and has the deadlines of the connection.
 */
export abstract class Intake extends Link implements ReadingHost, ScheduledReader, Timed {
  slot = NOWHERE; // as a Timed
  protected readonly reading: Reading;
  private readingPaused = false;
  /** Whether `settle` will be called at the end of this tick. */
  private settleDue = false;
  /** From when nothing was read for the first time. */
  private hostWatch: HostWatch | undefined;
  /** While bytes that were read wait for their turn. The transport is paused. */
  protected backlog: Backlog | undefined;
  /** While the stream has to end. */
  private ending: Ending | undefined;
  /** While a message is in progress. */
  private dataRate: DataRate | undefined;
  /** Whether `terminate` was called. A destroyed stream may still have chunks. */
  protected terminated = false;

  constructor(transport: Transport, settings: ConnectionSettings, agreed: Agreed, headers: HeaderFields) {
    super(transport, settings, agreed, headers);
    this.reading = new Reading(this);
  }

  /** The object that users have. */
  abstract readonly connection: WebSocketConnection;
  abstract fail(error: WebSocketError): void;

  // ---- bytes

  onBytes(chunk: Uint8Array, start: number, end: number): void {
    if (this.over !== undefined || this.terminated) return;
    // a paused stream may still have chunks, too
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
    // `onReading` continues with them. If only the reader has no room, they are processed: they are
    // no more than one read, and control frames may be among them
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

  /** Whether `end`, the end of the stream, has to wait for bytes that wait for their turn. */
  protected isBehindBytes(end: () => void): boolean {
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

  /**
   * Whether messages are wanted: not after our own Close, but all that precede the peer's, which
   * may have waited for their decompression.
   */
  isOpen(): boolean {
    return this.core.state === "open" || this.core.closing.code !== CLOSE_CODE.ABNORMAL;
  }

  /**
   * The tick in which messages were received has ended. What still waits is moved out of memory
   * that it shares with other connections.
   */
  settle(): void {
    this.settleDue = false;
    this.reading.settle();
    this.incoming?.endTick();
    this.countHeld();
  }

  // ---- back pressure

  /**
   * Stops reading from the transport while there is no room. A connection that is closing reads on,
   * because it has to receive the peer's Close.
   */
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

  /** Nothing is read, so neither a pong nor the end of the stream is noticed: asks the system. */
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

  /** Whether nothing is read until the application takes a message. */
  private get isDeaf(): boolean {
    return this.readingPaused && this.reading.exhausted && this.over === undefined;
  }

  // ---- time

  get deadline(): number {
    if (this.over !== undefined) return Infinity; // messages may still be read
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

  /** A message is in progress, or reading resumes in the middle of one. */
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

  /** The stream has to end: within `closeTimeout` from now, or from when output was last sent. */
  protected endInTime(): void {
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

  /**
   * Gives the peer time while output leaves. One write may take the transport long, so its progress
   * is checked at intervals.
   */
  private lookAtOutput(ending: Ending, now: number): void {
    const { bytesLeft, bytesSent, isUnfinished, isCompressing } = this.writing;
    if (ending.look(bytesLeft) || isCompressing) {
      this.core.outputSent(isUnfinished ? now : now + ending.timeInSystem(bytesSent, now));
    }
    ending.next(now, isUnfinished);
  }
}
