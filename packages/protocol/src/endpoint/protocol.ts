import { invalidOption } from "../arguments.ts";
import { protocolError, WebSocketError } from "../errors.ts";
import { CLOSE_CODE } from "../frames/close-codes.ts";
import { type CloseReason, readClosePayload, writeClosePayload } from "../frames/close-payload.ts";
import { OPCODE } from "../frames/frame.ts";
import type { Data } from "../messages/data.ts";
import type { Message } from "../messages/message.ts";
import { PreparedMessage } from "../messages/prepared.ts";
import { type DeflateEvents, DeflateQueue, type OutgoingMessages } from "../deflate/deflate-queue.ts";
import { type IncomingMessages, type InflateEvents, InflateQueue } from "../deflate/inflate-queue.ts";
import type { MessageCodec } from "../deflate/message-codec.ts";
import { Liveness, noteReceived, receivedAtOf, startEnding, stopTimer } from "./liveness.ts";
import type { ProtocolConfig } from "./options.ts";
import { configOf, encode, encodeCompressed, encoderOf, phaseOf, setPhase } from "./outbound.ts";
import type { Closing, ProtocolSink } from "./sink.ts";
import { acquireReceiver, type Receiver, type ReceiverEvents, releaseReceiver } from "./receiver.ts";
import { after, PHASES, type StateEvent } from "./states.ts";

const NO_BYTES: Uint8Array = new Uint8Array(0);
const ANSWERED_AT_ONCE = 16 * 1024; // bytes of output up to which each ping is answered at once

/** What a receiver calls. Set by the class, because it calls private methods. */
let RECEIVED: Readonly<ReceiverEvents<Protocol>>;
/** What the queue of compressed messages calls. */
let INFLATED: Readonly<InflateEvents<Protocol>>;
/** What the queue of messages to compress calls. */
let DEFLATED: Readonly<DeflateEvents<Protocol>>;

/**
 * One WebSocket connection after its handshake, without I/O. Bytes go in through `receive` and come
 * out of `output`. Time goes in as an argument, in ms of any monotonic clock, and comes out of
 * `pollTimeout`. Nothing that a peer sends makes it throw. Wrong calls throw before anything is
 * changed.
 */
export class Protocol extends Liveness {
  /** Number of messages received, those included that still wait for their decompression. */
  messagesReceived = 0;
  readonly #sink: ProtocolSink;
  readonly #incoming: InflateQueue | undefined;
  readonly #outgoing: DeflateQueue | undefined;
  /** Only while a message or a part of a frame is in progress. */
  #receiver: Receiver | undefined;
  /** The peer's Close. */
  #received: CloseReason | undefined;
  /** The payload of the newest ping that was not answered yet. */
  #pendingPong: Uint8Array | undefined;
  /** The payload of the Close that waits to be sent. */
  #pendingClose = NO_BYTES;

  /**
   * `sink` gets messages, control frames and changes of the state. `codec`: what a codec factory
   * made of the negotiated extensions; required if the configuration has `compression`. Throws
   * INVALID_ARGUMENT.
   */
  constructor(config: ProtocolConfig, sink: ProtocolSink, codec?: MessageCodec) {
    super(config);
    this.#sink = sink;
    if (config.compression !== (codec !== undefined)) {
      throw invalidOption("the codec", config.compression ? "a MessageCodec" : "undefined without compression", codec);
    }
    if (codec === undefined) return;
    this.#incoming = new InflateQueue(encoderOf(this).memory, codec, config.maxMessageSize, INFLATED, this);
    this.#outgoing = new DeflateQueue(this, codec, config, DEFLATED, this);
  }

  /** Received messages that wait; undefined without compression. */
  get incoming(): IncomingMessages | undefined {
    return this.#incoming;
  }

  /** Messages that wait to be sent; undefined without compression. */
  get outgoing(): OutgoingMessages | undefined {
    return this.#outgoing;
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
   * Processes `chunk[start..end)`, the next bytes of the stream, which were received at `now`. It
   * neither keeps nor changes them. A violation ends the connection: see `error`. Returns the
   * offset after the last byte that was processed: `end`, or with `until` the end of the last frame
   * that begins before `until`. Throws INVALID_ARGUMENT.
   */
  receive(chunk: Uint8Array, now: number, start = 0, end: number = chunk?.length, until = end): number {
    if (!(chunk instanceof Uint8Array)) throw invalidOption("a chunk", "a Uint8Array", chunk);
    if (!(start >= 0 && end <= chunk.length)) {
      throw invalidOption("the range of a chunk", `within 0 to ${chunk.length}`, `${start} to ${end}`);
    }
    checkNow(now);
    if (end <= start) return end;
    noteReceived(this, now);
    if (!phaseOf(this).receives) return end;
    const receiver = (this.#receiver ??= acquireReceiver(encoderOf(this).memory, configOf(this), RECEIVED, this));
    const error = receiver.receive(chunk, start, end, until);
    const { position } = receiver;
    if (receiver.atRest) {
      this.#receiver = undefined;
      releaseReceiver(receiver);
    }
    if (error !== undefined) this.fail(error, now);
    return phaseOf(this).receives ? position : end;
  }

  /**
   * The peer ended its half of the stream at `now`. Output may still be written, and the stream has
   * to end by the time that `pollTimeout` returns. The state is `closed` as soon as no message is
   * being compressed. With `cause`, the stream has failed: as `streamClosed`.
   */
  receiveEnd(now: number, cause?: Error): void {
    if (cause !== undefined) return this.streamClosed(now, cause);
    checkNow(now);
    if (this.state === "closed") return;
    stopTimer(this); // the time for our half starts now
    startEnding(this, now);
    if (this.#outgoing?.isCompressing === true) {
      this.#enter("inputEnded");
      this.#outgoing.afterMessages(() => this.#streamEnded());
    } else this.#streamEnded();
  }

  /** The stream was closed at `now`, in both directions; because of `cause` if it failed. */
  streamClosed(now: number, cause?: Error): void {
    checkNow(now);
    stopTimer(this);
    if (this.state !== "closed") this.#streamEnded(cause ?? null);
  }

  /** `cause`: undefined while our half is open, null if the stream was closed without an error. */
  #streamEnded(cause?: Error | null): void {
    if (this.state === "closed") return;
    if (cause === undefined) this.#sendPendingClose();
    this.#enter("streamEnded");
    if (phaseOf(this) !== PHASES.closedCleanly) {
      this.error ??= protocolError("CONNECTION_LOST", cause?.message, cause ? { cause } : undefined);
    }
    this.#sink.onStateChange?.();
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
      message: (to, message) => {
        to.messagesReceived++;
        if (to.#incoming === undefined) to.#sink.onMessage(message);
        else to.#incoming.receive(message, false);
      },
      compressedMessage: (to, message) => {
        to.messagesReceived++;
        to.#incoming?.receive(message, true);
      },
      ping: (to, payload) => to.#receivePing(payload),
      pong: (to, payload) => to.#sink.onPong?.(payload),
      close: (to, payload) => to.#receiveClose(payload),
    });
    INFLATED = Object.freeze<InflateEvents<Protocol>>({
      message: (to, message) => to.#sink.onMessage(message),
      failed: (to, error) => to.#fail(error, undefined),
      reading: (to, on) => to.#sink.onReading?.(on),
      hasRoom: (to) => to.#sink.hasRoom?.() ?? true,
      overflows: (to) => to.#sink.overflows?.() ?? false,
    });
    DEFLATED = Object.freeze<DeflateEvents<Protocol>>({
      encode,
      encodeCompressed,
      sent: (to) => to.#sink.onOutput?.(),
      failed: (to, error) => to.#fail(error, undefined),
    });
  }

  #receivePing(payload: Uint8Array): void {
    // RFC 6455 §5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in
    // response, unless it already received a Close frame." §5.5.3: it "MAY elect to send a Pong
    // frame for only the most recently processed Ping frame".
    if (!phaseOf(this).closeSent) {
      this.#pendingPong = payload;
      // at once while little output waits; otherwise only the newest ping is answered
      if (this.inTransit === 0 && this.output.size < ANSWERED_AT_ONCE) this.#sendPong();
    }
    this.#sink.onPing?.(payload);
  }

  #receiveClose(payload: Uint8Array): void {
    const now = receivedAtOf(this);
    const close = readClosePayload(payload);
    if (close instanceof WebSocketError) {
      this.fail(close, now);
      return;
    }
    this.#received = close;
    // §5.5.1: "the endpoint MUST send a Close frame in response ... it typically echos the status
    // code it received."
    if (!phaseOf(this).closeSent) this.#pendingClose = payload.length <= 2 ? payload : payload.slice(0, 2);
    this.#enter("closeReceived");
    startEnding(this, now);
    this.#sink.onStateChange?.();
  }

  /**
   * Ends the connection at `now` because of an error. The peer gets the error's close code. Nothing
   * more is received. With `drain`, the peer gets what was written before as long as it accepts it;
   * without, it gets what it accepts in `closeTimeout`.
   */
  fail(error: WebSocketError, now: number, drain = false): void {
    this.#fail(error, now, drain);
  }

  #fail(error: WebSocketError, now: number | undefined, drain = false): void {
    if (this.state === "closed" || this.error !== undefined) return;
    this.error = error;
    if (!phaseOf(this).closeSent && error.closeCode !== undefined) {
      this.#pendingClose = new Uint8Array([error.closeCode >>> 8, error.closeCode]);
    }
    this.#enter(error.closeCode === undefined ? "aborted" : drain ? "failedBehindOutput" : "failed");
    startEnding(this, now);
    this.#sink.onStateChange?.();
  }

  /**
   * The caller destroys the stream at `now`, without a Close. Nothing more is received, the rest of
   * the current chunk included. You may call it within a method of the sink.
   */
  abort(now: number): void {
    if (this.state === "closed") return;
    this.#enter("aborted");
    this.#incoming?.close();
    startEnding(this, now);
  }

  // ---- out

  /**
   * Sends a message, compressed if the connection has compression and `compress` is not false.
   * Messages that are compressed asynchronously keep their order. Throws INVALID_ARGUMENT,
   * NOT_OPEN, WRITE_BUFFER_FULL or MESSAGE_IN_PROGRESS, with nothing sent.
   */
  override send(data: Data, compress = true): void {
    if (this.#outgoing === undefined) super.send(data);
    else this.#outgoing.send(data, compress);
  }

  /** Sends bytes as a message of the given type. Throws as `send`. */
  override sendPayload(type: "text" | "binary", payload: Uint8Array): void {
    if (this.#outgoing === undefined) super.sendPayload(type, payload);
    else this.#outgoing.send(new PreparedMessage(payload, { type }));
  }

  /**
   * Sends a received message and takes it over: it becomes unreadable, and its memory is recycled
   * once it is written. With compression, as `send`. Throws as `send`.
   */
  override transfer(message: Message): void {
    if (this.#outgoing === undefined) super.transfer(message);
    else this.#outgoing.send(message);
  }

  /**
   * Starts the closing handshake at `now`, after all messages that were sent before. Without a code
   * the Close has no payload. Does nothing if the handshake was started already. Throws
   * INVALID_ARGUMENT for a code or a reason that no Close can carry.
   */
  close(code: number | undefined, reason: string, now: number): void {
    if (phaseOf(this) !== PHASES.open) return void writeClosePayload(code, reason);
    this.holdClose(code, reason, now);
    if (this.#outgoing === undefined) this.releaseClose();
    else this.#outgoing.afterMessages(() => this.releaseClose());
  }

  /**
   * As `close`, but the Close waits until `releaseClose`: you have messages that are to be sent
   * before it. Send them in between.
   */
  holdClose(code: number | undefined, reason: string, now: number): void {
    const payload = writeClosePayload(code, reason);
    if (phaseOf(this) !== PHASES.open) return;
    this.#pendingClose = payload;
    this.#enter("closeHeld");
    startEnding(this, now);
  }

  /** Puts the Close of `holdClose` into the output, if it still waits. */
  releaseClose(): void {
    if (phaseOf(this) !== PHASES.closeHeld) return;
    this.#sendClose(this.#pendingClose);
    this.#sink.onStateChange?.();
  }

  /**
   * Puts pending Pong and Close frames into the output. Call it before you take the output, once
   * the last output is written and the application has had time to reply to what was received: what
   * it writes precedes the Close, as RFC 6455 §5.5.1 allows. They wait while messages are
   * decompressed, and a Close while messages are compressed.
   */
  flushControlFrames(): void {
    if (this.#incoming?.isBusy === true) return; // what is decompressed may be answered first
    if (this.#outgoing?.isCompressing === true && phaseOf(this).closePending && phaseOf(this).drains) {
      this.#enter("closeHeld");
      return;
    }
    this.#sendPong();
    this.#sendPendingClose();
  }

  /** Whether `flushControlFrames` has anything to do. */
  get hasPendingControlFrames(): boolean {
    return this.#pendingPong !== undefined || phaseOf(this).closePending;
  }

  /**
   * Whether the stream should be ended once the output is written. RFC 6455 §7.1.1: the server ends
   * it first; a client waits for that, until its deadline.
   */
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

  /** How the connection ended. The code is 1006 if no Close was received: RFC 6455 §7.1.5. */
  get closing(): Closing {
    const exchanged = phaseOf(this) === PHASES.closesExchanged || phaseOf(this) === PHASES.closedCleanly;
    const { code, reason } = this.#received ?? { code: CLOSE_CODE.ABNORMAL, reason: "" };
    return { code, reason, clean: exchanged && this.error === undefined, error: this.error };
  }
}

function checkNow(now: number): void {
  if (typeof now !== "number") throw invalidOption("now", "a number (ms)", now);
}
