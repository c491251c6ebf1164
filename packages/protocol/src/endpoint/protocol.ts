import { invalidOption } from "../arguments.ts";
import { protocolError, WebSocketError } from "../errors.ts";
import { CLOSE_CODE } from "../frames/close-codes.ts";
import { type CloseReason, readClosePayload, writeClosePayload } from "../frames/close-payload.ts";
import { OPCODE } from "../frames/frame.ts";
import type { Message } from "../messages/message.ts";
import type { Heartbeat, ProtocolConfig } from "./options.ts";
import { configOf, encoderOf, Outbound, phaseOf, setPhase } from "./outbound.ts";
import { acquireReceiver, type Receiver, type ReceiverEvents, releaseReceiver } from "./receiver.ts";
import { after, PHASES, type StateEvent } from "./states.ts";

/** How a connection ended, as far as the protocol knows. RFC 6455 §7.1.5, §7.1.6. */
export interface Closing {
  /** The peer's close code: 1005 if its Close has none, 1006 if no Close came. */
  readonly code: number;
  /** The peer's reason, "" for none. */
  readonly reason: string;
  /** Whether a Close was sent and received, and nothing failed. */
  readonly clean: boolean;
  /** The error that ended the connection, if any. */
  readonly error: WebSocketError | undefined;
}

/** Callbacks that a protocol calls within its methods. Only `onMessage` is required. */
export interface ProtocolSink {
  /** A message was received. */
  onMessage(message: Message): void;
  /** A message that is still compressed was received. Only with `compression`. */
  onCompressedMessage?(message: Message): void;
  /** A ping was received. Its pong is sent without your help. */
  onPing?(payload: Uint8Array): void;
  /** A pong was received. */
  onPong?(payload: Uint8Array): void;
  /** The state is now `closing` or `closed`. */
  onStateChange?(): void;
}

const EMPTY = new Uint8Array(0);
const ANSWERED_AT_ONCE = 16 * 1024; // bytes of output up to which each ping is answered at once

/** Where a receiver passes what it has read for a protocol. Set by the class, whose private methods it calls. */
let RECEIVED: Readonly<ReceiverEvents<Protocol>>;

/**
 * One WebSocket connection after its handshake, without I/O. Bytes go in through `receive` and come out of `output`. Time goes in as an
 * argument, in ms of any monotonic clock, and comes out of `pollTimeout`. Nothing that a peer sends makes it throw. Wrong calls throw
 * before anything is changed.
 */
export class Protocol extends Outbound {
  /** The error that ended the connection, if any. */
  error: WebSocketError | undefined;
  readonly #sink: ProtocolSink;
  /** Only while a message or a part of a frame is in progress. */
  #receiver: Receiver | undefined;
  /** The peer's Close. */
  #received: CloseReason | undefined;
  /** The payload of the newest ping that was not answered yet. */
  #pendingPong: Uint8Array | undefined;
  /** The payload of the Close that waits to be sent. */
  #pendingClose: Uint8Array = EMPTY;
  /** Whether the rest of what the peer sends is ignored. */
  #discards = false;
  /** When `handleTimeout` is to be called. */
  #deadline = Infinity;
  /** When bytes last came. */
  #receivedAt = 0;
  /** When the peer has to have answered a ping; Infinity while no answer is pending. Any byte is an answer. */
  #answerBy = Infinity;
  #paused = false;
  /** Since when the stream is to end. */
  #endingSince: number | undefined;
  /** Whether output that the peer accepts moves the deadline of closing. */
  #patient = true;

  /** `sink` gets messages, control frames and changes of the state. */
  constructor(config: ProtocolConfig, sink: ProtocolSink) {
    super(config);
    this.#sink = sink;
  }

  /** Bytes in the output, in transit and of an incomplete message. */
  get heldSize(): number {
    return this.output.size + this.inTransit + this.pendingSize;
  }

  /** Bytes kept of an incomplete message. */
  get pendingSize(): number {
    return this.#receiver?.pendingSize ?? 0;
  }

  /** Whether a message has begun, be it only with its header, and is incomplete. */
  get midMessage(): boolean {
    return this.#receiver?.midMessage ?? false;
  }

  // ---- in

  /**
   * Processes `chunk[start..end)`, the next bytes of the stream, which came at `now`. Borrows them: it neither keeps nor changes them. A violation ends the
   * connection: see `error`. Returns the offset behind the last byte that it has processed: `end`, or with `until` the end of the last frame that begins
   * before `until`. Throws INVALID_ARGUMENT.
   */
  receive(chunk: Uint8Array, now: number, start = 0, end: number = chunk?.length, until = end): number {
    if (!(chunk instanceof Uint8Array)) throw invalidOption("a chunk", "a Uint8Array", chunk);
    if (!(start >= 0 && end <= chunk.length)) {
      throw invalidOption("the range of a chunk", `within 0 to ${chunk.length}`, `${start} to ${end}`);
    }
    if (typeof now !== "number") throw invalidOption("now", "a number (ms)", now);
    if (end <= start) return end;
    this.#receivedAt = now;
    this.#answerBy = Infinity;
    if (!this.#receives) return end;
    const receiver = (this.#receiver ??= acquireReceiver(encoderOf(this).memory, configOf(this), RECEIVED, this));
    const error = receiver.receive(chunk, start, end, until);
    const { position } = receiver;
    if (receiver.atRest) {
      this.#receiver = undefined;
      releaseReceiver(receiver);
    }
    if (error !== undefined) this.fail(error, now);
    return this.#receives ? position : end;
  }

  /**
   * Ignores all further bytes of the peer, the rest of the current chunk included, and drops what was kept of a message. You may call it
   * within a method of the sink.
   */
  stopReceiving(): void {
    this.#discards = true;
    this.#dropReceiver();
  }

  /**
   * The peer ended its half of the stream at `now`, or the stream failed with `cause`. After an orderly end, output may still be
   * written: until the time that `pollTimeout` returns.
   */
  receiveEnd(now: number, cause?: Error): void {
    if (typeof now !== "number") throw invalidOption("now", "a number (ms)", now);
    if (this.state === "closed") return;
    if (cause === undefined) this.#sendPendingClose(); // our half may still be open
    this.#enter("streamEnded");
    this.#deadline = Infinity;
    if (cause === undefined && this.output.size + this.inTransit > 0) this.startEnding(now);
    if (phaseOf(this) !== PHASES.closedCleanly) {
      this.error ??= protocolError("CONNECTION_LOST", cause?.message, cause === undefined ? undefined : { cause });
    }
    this.#sink.onStateChange?.();
  }

  get #receives(): boolean {
    return phaseOf(this).receives && !this.#discards;
  }

  #enter(event: StateEvent): void {
    const phase = after(phaseOf(this), event);
    setPhase(this, phase);
    if (!phase.receives) this.#dropReceiver();
  }

  #dropReceiver(): void {
    this.#receiver?.stop();
    this.#receiver = undefined;
  }

  static {
    RECEIVED = Object.freeze<ReceiverEvents<Protocol>>({
      message: (to, message) => to.#sink.onMessage(message),
      compressedMessage: (to, message) => to.#sink.onCompressedMessage?.(message),
      ping: (to, payload) => to.#receivePing(payload),
      pong: (to, payload) => to.#sink.onPong?.(payload),
      close: (to, payload) => to.#receiveClose(payload),
    });
  }

  #receivePing(payload: Uint8Array): void {
    // RFC 6455 §5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it already
    // received a Close frame." §5.5.3: it "MAY elect to send a Pong frame for only the most recently processed Ping frame".
    if (!phaseOf(this).closeSent) {
      this.#pendingPong = payload;
      // at once while that is cheap; while the peer does not read, only the newest
      if (this.inTransit === 0 && this.output.size < ANSWERED_AT_ONCE) this.#sendPong();
    }
    this.#sink.onPing?.(payload);
  }

  #receiveClose(payload: Uint8Array): void {
    const now = this.#receivedAt;
    const close = readClosePayload(payload);
    if (close instanceof WebSocketError) {
      this.fail(close, now);
      return;
    }
    this.#received = close;
    // §5.5.1: "the endpoint MUST send a Close frame in response ... it typically echos the status code it received."
    if (!phaseOf(this).closeSent) this.#pendingClose = payload.length <= 2 ? payload : payload.slice(0, 2);
    this.#enter("closeReceived");
    this.startEnding(now);
    this.#sink.onStateChange?.();
  }

  /**
   * Ends the connection at `now` because of an error. The peer is sent the error's close code; nothing more is received. With `drain`, the peer gets
   * what was written before as long as it accepts it; without, it gets what it accepts in `closeTimeout`.
   */
  fail(error: WebSocketError, now: number, drain = false): void {
    if (this.state === "closed" || this.error !== undefined) return;
    this.error = error;
    this.#patient = drain;
    if (!phaseOf(this).closeSent && error.closeCode !== undefined) {
      this.#pendingClose = new Uint8Array([error.closeCode >>> 8, error.closeCode]);
    }
    this.#enter(error.closeCode === undefined ? "aborted" : "failed");
    this.startEnding(now);
    this.#sink.onStateChange?.();
  }

  // ---- out

  /**
   * Starts the closing handshake at `now`. Without a code the Close has no payload. Does nothing when the handshake was started already. Throws
   * INVALID_ARGUMENT for a code or a reason that no Close can carry.
   */
  close(code: number | undefined, reason: string, now: number): void {
    const payload = writeClosePayload(code, reason);
    if (this.state !== "open") return;
    this.#sendClose(payload);
    this.startEnding(now);
    this.#sink.onStateChange?.();
  }

  /**
   * Puts pending Pong and Close frames into the output. Call it before you take the output, once the last take is written and the
   * application has had time to reply to what came: what it writes precedes the Close, as RFC 6455 §5.5.1 allows.
   */
  flushControlFrames(): void {
    this.#sendPong();
    this.#sendPendingClose();
  }

  /** Whether `flushControlFrames` has anything to do. */
  get hasPendingControlFrames(): boolean {
    return this.#pendingPong !== undefined || phaseOf(this).closePending;
  }

  /**
   * Whether a Close is pending that has to follow everything that was written before: the peer sent one, or `fail` was called with `drain`. Delay
   * `flushControlFrames` while you still compress messages.
   */
  get closeWaitsForOutput(): boolean {
    return phaseOf(this).closePending && this.#patient;
  }

  /** Whether the stream should be ended once the output is written. RFC 6455 §7.1.1: the server ends it first; a client waits for that, bounded by its deadline. */
  get shouldEndStream(): boolean {
    const { streamEndsAt } = phaseOf(this);
    return streamEndsAt === "both" || streamEndsAt === configOf(this).role;
  }

  #sendPong(): void {
    const payload = this.#pendingPong;
    if (payload === undefined) return;
    this.#pendingPong = undefined;
    if (!phaseOf(this).closeSent) encoderOf(this).control(this.output, OPCODE.PONG, payload);
  }

  #sendPendingClose(): void {
    if (phaseOf(this).closePending) this.#sendClose(this.#pendingClose);
  }

  #sendClose(payload: Uint8Array): void {
    this.#sendPong();
    encoderOf(this).control(this.output, OPCODE.CLOSE, payload);
    this.#enter("closeSent");
  }

  // ---- time

  /** Starts the heartbeat, if the configuration has one. */
  start(now: number): void {
    const { heartbeat } = configOf(this);
    if (heartbeat === undefined) return;
    this.#receivedAt = now;
    this.#deadline = now + heartbeat.interval;
  }

  /** Returns the time at which to call `handleTimeout`; Infinity for never. Ask again after each call of another method. */
  pollTimeout(): number {
    return this.#deadline;
  }

  /**
   * The stream has to end: sets the deadline, in any state. Call it if you delay a Close, or the end of your half of the stream, until
   * you have compressed what is to be sent before it. A second call changes nothing.
   */
  startEnding(now: number): void {
    if (this.#endingSince !== undefined && this.#deadline !== Infinity) return;
    this.#endingSince ??= now;
    this.#setEnd(now, this.#endingSince);
  }

  /** Whether the stream has to end by the time that `pollTimeout` returns. */
  get isEnding(): boolean {
    return this.#endingSince !== undefined;
  }

  /**
   * The system has accepted output at `now`. While the stream has to end, `closeTimeout` counts from there, up to `maxCloseTime` in all, so that a peer gets what
   * was written before the Close as long as it accepts it. Changes nothing where the connection has failed.
   */
  outputSent(now: number): void {
    const endingSince = this.#endingSince;
    if (endingSince === undefined || this.#deadline === Infinity) return;
    if (this.#patient) this.#setEnd(now, endingSince);
  }

  #setEnd(now: number, since: number): void {
    const { closeTimeout, maxCloseTime } = configOf(this);
    this.#deadline = Math.min(now + closeTimeout, since + maxCloseTime);
  }

  /** Whether the caller reads no bytes at the moment. */
  get readingPaused(): boolean {
    return this.#paused;
  }

  /**
   * The caller reads no bytes until `resumeReading`. Silence then does not mean that the peer is dead: pings are still sent, since writing to a peer
   * that has gone fails, but a missing answer does not end the connection.
   */
  pauseReading(): void {
    this.#paused = true;
  }

  /** The caller reads again. The answer to a ping may be among what it reads, so the peer has `heartbeat.timeout` from now on. */
  resumeReading(now: number): void {
    if (!this.#paused) return;
    this.#paused = false;
    const { heartbeat } = configOf(this);
    if (heartbeat === undefined || this.state !== "open" || this.isEnding || this.#answerBy === Infinity) return;
    this.#answerBy = now + heartbeat.timeout;
    this.#deadline = Math.min(this.#answerBy, now + heartbeat.interval);
  }

  /** Call it at the time that `pollTimeout` returned. False: destroy the stream at once. */
  handleTimeout(now: number): boolean {
    if (now < this.#deadline) return true;
    this.#deadline = Infinity;
    if (this.#endingSince !== undefined) {
      const done = phaseOf(this) === PHASES.closesExchanged && this.inTransit === 0;
      if (!done) this.error ??= this.#tooLate(now - this.#endingSince);
      this.#enter("timedOut"); // the stream that a pending Close would have gone to is destroyed
      return false;
    }
    const { heartbeat } = configOf(this);
    if (this.state === "closed" || heartbeat === undefined) return true;
    return this.#beat(now, heartbeat);
  }

  #tooLate(after: number): WebSocketError {
    const { maxCloseTime } = configOf(this);
    return protocolError("CLOSE_TIMEOUT", after >= maxCloseTime ? `maxCloseTime is ${maxCloseTime} ms` : undefined);
  }

  /** One step of the heartbeat of an open connection. False: the peer is dead. */
  #beat(now: number, { interval, timeout }: Heartbeat): boolean {
    if (now >= this.#answerBy) {
      if (!this.#paused) {
        const silence = Math.round(now - this.#receivedAt);
        this.error = protocolError("HEARTBEAT_TIMEOUT", `nothing came for ${silence} ms`);
        return false;
      }
      // The first ping to a peer that has gone brings a reset, upon which writing another one fails.
      this.#answerBy = Infinity;
      this.#sendPing();
      this.#deadline = now + interval;
      return true;
    }
    const pingAt = this.#receivedAt + interval;
    if (this.#answerBy === Infinity && now >= pingAt) {
      this.#answerBy = now + timeout;
      this.#sendPing();
    }
    // a peer that answers at once is pinged again after `interval`, however long `timeout` is
    this.#deadline = this.#answerBy === Infinity ? pingAt : Math.min(this.#answerBy, now + interval);
    return true;
  }

  /** While the peer does not accept what was written before, another ping tells nothing more. */
  #sendPing(): void {
    if (this.output.size + this.inTransit === 0 || !this.#paused)
      encoderOf(this).control(this.output, OPCODE.PING, EMPTY);
  }

  /** How the connection ended. 1006 where no Close came: RFC 6455 §7.1.5. */
  get closing(): Closing {
    const exchanged = phaseOf(this) === PHASES.closesExchanged || phaseOf(this) === PHASES.closedCleanly;
    const { code, reason } = this.#received ?? { code: CLOSE_CODE.ABNORMAL, reason: "" };
    return { code, reason, clean: exchanged && this.error === undefined, error: this.error };
  }
}
