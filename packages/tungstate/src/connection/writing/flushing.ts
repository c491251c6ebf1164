import type { OutgoingMessages, Protocol, Taken, WebSocketError } from "@tungstate/protocol";
import { DONE, notOpen, rejected } from "../../schedule/promises.ts";
import type { Transport } from "../../transport/transport.ts";
import type { ConnectionSettings } from "../options.ts";
import type { HeldMessages } from "./held-messages.ts";
import { Waiters } from "./waiters.ts";

export interface WritingHost {
  /** The transport has accepted output, and the stream has to end in time. */
  onOutputSent(): void;
  /** Waiting output was written, after a `write` that returned false. */
  emitDrain(): void;
  /** Ends the connection with an error. */
  failNow(error: WebSocketError): void;
  /** `kept` has changed. */
  countHeld(): void;
}

/**
 * Bytes that the transport may take in one tick before the writer is told to wait for the end of
 * the tick. Otherwise a loop that writes to a peer that reads as fast would block the event loop.
 */
export const TICK_LIMIT = 1024 * 1024;

/**
 * Hands the output of a protocol to a transport: one write at a time, and at most one per
 * event-loop tick unless `writeBufferSize` is reached before. Wakes callers that wait.
 */
export abstract class Flushing {
  // fields of `canWriteFrames` first, so that they are on one cache line
  private flushDue = false;
  private inFlight: Taken | undefined;
  /** Nothing more is sent: a Close was sent, or the connection is closed. */
  private notWritable = false;
  /** Messages that wait for their compression. */
  protected readonly outgoing: OutgoingMessages | undefined;
  /** Messages that wait for the end of a message in fragments, and the Close after them. */
  protected held: HeldMessages | undefined;
  /** Callers that wait for the transport, or for the end of a message in fragments. */
  protected waiters: Waiters | undefined;
  messagesSent = 0;
  bytesSent = 0;
  protected readonly transport: Transport;

  protected readonly core: Protocol;
  protected readonly settings: ConnectionSettings;
  protected readonly host: WritingHost;
  /** Bytes that the transport accepted in this tick. */
  protected passed = 0;
  /** Bytes that remained after the last flush. */
  kept = 0;
  protected needDrain = false;
  private endSent = false;
  protected over = false;

  constructor(core: Protocol, transport: Transport, settings: ConnectionSettings, host: WritingHost) {
    this.core = core;
    this.outgoing = core.outgoing;
    this.transport = transport;
    this.settings = settings;
    this.host = host;
  }

  get bufferedAmount(): number {
    return this.core.output.size + this.core.inTransit + this.heldSize;
  }

  /** Bytes of messages that wait before they are encoded. */
  protected get heldSize(): number {
    return this.outgoing === undefined ? (this.held?.size ?? 0) : this.outgoing.heldSize;
  }

  /** Bytes that the system, or the stream, has accepted. */
  get bytesLeft(): number {
    return this.bytesSent - this.transport.unsent;
  }

  /** Whether something has to be sent before the stream can end. */
  get isUnfinished(): boolean {
    return this.bufferedAmount > 0 || this.core.writable;
  }

  /** Whether messages wait for compression, and not for a source of parts. */
  get isCompressing(): boolean {
    return this.outgoing?.isCompressing === true;
  }

  /**
   * Whether messages are accepted: no Close was sent, and the stream is not closed, which the
   * protocol learns a little later.
   */
  get writable(): boolean {
    return this.core.accepts && !this.transport.closed;
  }

  /**
   * Whether frames of a broadcast can go to the transport at once. Reads few fields: other pending
   * output has requested a flush.
   */
  get canWriteFrames(): boolean {
    if (this.flushDue || this.inFlight !== undefined || this.notWritable || this.outgoing !== undefined) return false;
    if (this.held !== undefined || this.waiters?.hasStreams === true) return false;
    return !this.transport.closed;
  }

  /**
   * Hands frames of a broadcast to the transport. Returns false if they wait. Only when
   * `canWriteFrames`.
   */
  writeFrames(frames: Uint8Array, count: number): boolean {
    this.messagesSent += count;
    const size = frames.length;
    this.bytesSent += size;
    if (this.transport.write(frames)) return true;
    this.inFlight = { pieces: frames, size, blocks: [], recycled: undefined };
    this.core.inTransit = size;
    if (!this.hasRoom) this.needDrain = true;
    this.flushSoon(); // the flush counts it
    return false;
  }

  /** Whether more than `writeBufferSize` bytes wait, with `more` added. */
  isBehind(more: number): boolean {
    return this.bufferedAmount + more > this.settings.writeBufferSize;
  }

  /** Requests a flush. Returns false if more than `writeBufferSize` bytes wait. */
  protected afterWrite(): boolean {
    const { core, settings } = this;
    this.flushSoon(); // waiters are notified then, not within the caller's call
    // not before: replies to the messages of one read share a system call
    if (core.output.size >= settings.writeBufferSize) this.pass();
    if (this.hasRoom && this.passed <= TICK_LIMIT) return true;
    this.needDrain = true;
    return false;
  }

  /** Waits until no more than `writeBufferSize` bytes wait. Rejects with NOT_OPEN. */
  room(): Promise<void> {
    if (!this.writable) return rejected(this.notOpen());
    return (this.waiters ??= new Waiters()).forRoom();
  }

  protected notOpen(): WebSocketError {
    return notOpen(this.over ? "it is closed" : "it is closing", this.core.error);
  }

  /**
   * Waits until the transport has taken everything. Rejects with NOT_OPEN when the connection ends
   * before; and when nothing waits and nothing can be written any more: a loop that writes, and
   * flushes where `write` returns false, would never end otherwise.
   */
  flush(): Promise<void> {
    if (this.bufferedAmount === 0) {
      if (!this.writable) return rejected(this.notOpen());
      if (this.passed <= TICK_LIMIT) return DONE;
    }
    return (this.waiters ??= new Waiters()).forFlush();
  }

  flushSoon(): void {
    if (this.flushDue) return;
    this.flushDue = true;
    this.settings.flusher.add(this);
  }

  /** The end of the tick: sends what was written and pending control frames. */
  flushNow(): void {
    this.flushDue = false;
    if (this.over) return;
    if (this.inFlight === undefined) {
      this.core.flushControlFrames();
      this.pass();
    }
    this.passed = 0;
    if (!this.core.writable) this.notWritable = true;
    this.tell();
    const kept = this.bufferedAmount;
    if (kept === this.kept) return;
    this.kept = kept;
    this.host.countHeld();
  }

  /** Hands the output to the transport if no write is in progress. */
  private pass(): void {
    if (this.inFlight !== undefined || this.over) return;
    const { core } = this;
    if (core.output.size > 0) {
      const taken = core.output.take();
      this.bytesSent += taken.size;
      if (this.transport.write(taken.pieces)) {
        this.passed += taken.size;
        this.core.output.release(taken);
        if (core.isEnding) this.host.onOutputSent();
      } else {
        this.inFlight = taken;
        core.inTransit = taken.size;
      }
    }
    if (this.inFlight === undefined) this.endIfWanted();
  }

  /**
   * The transport has completed a write. Waiters are notified at the end of the tick: a stream may
   * report several writes within one.
   */
  onWritten(): void {
    const taken = this.inFlight;
    if (taken === undefined) return;
    this.inFlight = undefined;
    this.core.inTransit = 0;
    this.passed += taken.size;
    this.core.output.release(taken);
    if (this.over) return;
    if (this.core.isEnding) this.host.onOutputSent();
    this.core.flushControlFrames();
    this.pass();
    this.flushSoon();
  }

  private get hasRoom(): boolean {
    return !this.isBehind(0);
  }

  /** Whether messages wait for a message in fragments or for compression. */
  private get holds(): boolean {
    return this.held !== undefined || this.outgoing?.busy === true;
  }

  /**
   * Notifies waiters. While the transport has accepted enough, the next output may fill up during a
   * write.
   */
  private tell(): void {
    const { waiters } = this;
    if (waiters !== undefined && this.inFlight === undefined && this.core.output.size === 0) waiters.wakeStream();
    if (this.holds || !this.hasRoom) return;
    if (waiters !== undefined) {
      if (this.bufferedAmount === 0) waiters.wakeFlush();
      waiters.wakeRoom();
    }
    if (this.needDrain) {
      this.needDrain = false;
      this.host.emitDrain();
    }
  }

  /** Ends our half of the stream if all output is written and both Closes were exchanged. */
  private endIfWanted(): void {
    const { core } = this;
    if (!core.shouldEndStream || this.endSent || core.output.size > 0) return;
    this.endSent = true;
    this.transport.end();
  }

  /** The connection has ended, because of `cause` if it failed. Remaining output is lost. */
  end(cause: WebSocketError | undefined): void {
    const lost = this.bufferedAmount > 0;
    const { waiters } = this;
    this.over = this.notWritable = true;
    this.kept = 0;
    this.outgoing?.close();
    this.held = this.waiters = undefined;
    this.core.output.clear();
    this.core.inTransit = 0;
    waiters?.end(notOpen(lost ? "it ended before all was written" : "it has ended", cause), lost);
  }
}
