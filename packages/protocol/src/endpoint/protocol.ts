import { CLOSE_CODE, isSendableCloseCode, MAX_CLOSE_REASON_BYTES } from "../frames/close-codes.ts";
import { protocolError, type WebSocketError } from "../errors.ts";
import { MAX_CONTROL_PAYLOAD, MAX_HEADER_SIZE, OPCODE } from "../frames/frame.ts";
import { invalidArgument } from "../arguments.ts";
import type { Message } from "../messages/message.ts";
import { type Heartbeat, type ProtocolConfig, senderOf } from "./options.ts";
import { Output } from "./output.ts";
import { PreparedMessage } from "../messages/prepared.ts";
import { acquireReceiver, type Receiver, type ReceiverSink, releaseReceiver } from "./receiver.ts";
import type { Data, Sender } from "./sender.ts";
import { checkUtf8, decodeUtf8, utf8Length, UTF8_START, writeUtf8 } from "../bytes/utf8.ts";

/** How a connection ended, as far as the protocol knows. RFC 6455 §7.1.5, §7.1.6. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
  readonly clean: boolean;
  readonly error: WebSocketError | undefined;
}

export interface ProtocolSink {
  onMessage(message: Message): void;
  /** A message that is still compressed. Only with `compression`. */
  onCompressedMessage(message: Message): void;
  /** A ping came; its pong goes out by itself. */
  onPing(payload: Uint8Array): void;
  onPong(payload: Uint8Array): void;
  /** The state has become `closing` or `closed`. Look at `state`, `error` and `wantsEnd`. */
  onStateChange(): void;
}

/**
 * - `open`: messages go both ways.
 * - `closing`: a Close frame was sent or is due (see `answer`); or an error has ended it of which a Close would not tell.
 * - `closed`: the byte stream is over.
 *
 * | in state | event | next | and |
 * |---|---|---|---|
 * | open | close() | closing | Close goes out; what the peer sends until its Close is still delivered |
 * | open | Close comes | closing | the same code goes back by answer(); then a server wants the end of the stream |
 * | open | violation, fail() | closing | the error's Close goes out by answer(), then the end of the stream is wanted; what comes is dropped |
 * | closing | Close comes, the first | closing | a server wants the end of the stream; what comes is dropped |
 * | closing | violation, fail() | closing | the first error is kept; what comes is dropped; end of the stream wanted |
 * | open, closing | stream ends | closed | clean if Closes went both ways and nothing failed |
 */
export type ProtocolState = "open" | "closing" | "closed";

const EMPTY = new Uint8Array(0);
/** Errors after which the peer gets what was written before, as it does ahead of any Close: it did nothing wrong. */
const NO_FAILURES: ReadonlySet<string> = new Set(["HANDLER_FAILED", "CONNECTION_LOST"]);
const ANSWERED_AT_ONCE = 16 * 1024; // bytes of output up to which each ping is answered in its place

/**
 * One WebSocket connection behind its handshake, without I/O: bytes go in by `receive`, come out of `output`; time goes in by
 * `start` and `handleTimeout`, and comes out as `deadline`. Nothing that a peer sends makes it throw; what
 * a caller does wrong does, before anything is changed.
 */
export class Protocol implements ReceiverSink {
  readonly output: Output;
  state: ProtocolState = "open";
  /** Why the connection fails, if it does. */
  error: WebSocketError | undefined;
  /** The time, in ms on the caller's clock, at which `handleTimeout` is to be called; Infinity for never. */
  deadline = Infinity;
  /** Bytes that the caller has taken from the output and not written yet; they count against maxWriteBufferSize. */
  inTransit = 0;

  private readonly options: ProtocolConfig;
  private readonly sink: ProtocolSink;
  private readonly sender: Sender;
  /** While a message, or a part of a frame, is under way. */
  private receiver: Receiver | undefined;
  private closeSent = false;
  private received: { code: number; reason: string } | undefined;
  /** The payload of the newest ping that was not answered yet. */
  private pongDue: Uint8Array | undefined;
  /** The payload of the Close that is to be sent in answer to what came. */
  private closeDue: Uint8Array | undefined;
  /** When bytes last came; Infinity for bytes that came without a time. */
  private receivedAt = 0;
  /** When the peer has to have answered a ping; Infinity while none waits for an answer. Any byte is an answer. */
  private answerBy = Infinity;
  private paused = false;
  private stopped = false;
  /** Since when the stream is to end. */
  private endingSince: number | undefined;

  constructor(config: ProtocolConfig, sink: ProtocolSink) {
    this.sender = senderOf(config);
    this.output = new Output(this.sender.memory);
    this.options = config;
    this.sink = sink;
  }

  /** Bytes held: what waits in the output and what came of unfinished messages. */
  get heldSize(): number {
    return this.output.size + this.inTransit + this.pendingSize;
  }

  /** Bytes held of a message that has not come to its end. */
  get pendingSize(): number {
    return this.receiver?.pendingSize ?? 0;
  }

  /** Whether a message has begun to come, be it only its header, and is not whole yet. */
  get midMessage(): boolean {
    return this.receiver?.midMessage ?? false;
  }

  // ---- in

  /**
   * Takes bytes of the stream. They are borrowed for the call: not kept, not changed. `now` is for the heartbeat: without it, bytes count as received when
   * `handleTimeout` is called next, and a ping is sent up to one interval late.
   */
  receive(chunk: Uint8Array, start = 0, end = chunk?.length, now = Infinity): void {
    if (!(chunk instanceof Uint8Array)) throw invalidArgument("a chunk", "a Uint8Array", chunk);
    if (!(start >= 0 && end <= chunk.length)) {
      throw invalidArgument("the part of a chunk", `0 to ${chunk.length} at most`, `${start} to ${end}`);
    }
    if (end <= start) return;
    this.receivedAt = now;
    this.answerBy = Infinity;
    if (this.stopped) return;
    const receiver = (this.receiver ??= acquireReceiver(this.sender.memory, this.options, this));
    const error = receiver.receive(chunk, start, end);
    if (receiver.atRest) {
      this.receiver = undefined;
      releaseReceiver(receiver);
    }
    if (error !== undefined) this.fail(error);
  }

  /**
   * Takes nothing more from the peer, from inside a call of the sink too: the rest of the chunk in hand is dropped, and so is what was kept of a message. It
   * happens by itself when a Close has come, when the connection fails, and at the end of the stream.
   */
  stopReceiving(): void {
    this.stopped = true;
    this.receiver?.stop();
    this.receiver = undefined;
  }

  /** The peer has ended its half of the stream, or the stream broke (`cause`). */
  receiveEnd(cause?: Error): void {
    if (this.state === "closed") return;
    if (this.closeDue !== undefined && cause === undefined) this.sendClose(this.closeDue); // our half may still be open
    this.closeDue = undefined;
    this.state = "closed";
    this.stopReceiving();
    this.deadline = Infinity;
    if (this.received === undefined || !this.closeSent) {
      this.error ??= protocolError("CONNECTION_LOST", cause?.message, cause === undefined ? undefined : { cause });
    }
    this.sink.onStateChange();
  }

  // The receiver calls the next five.

  onMessage(message: Message): void {
    this.sink.onMessage(message);
  }

  onCompressedMessage(message: Message): void {
    this.sink.onCompressedMessage(message);
  }

  onPong(payload: Uint8Array): void {
    this.sink.onPong(payload);
  }

  onPing(payload: Uint8Array): void {
    // RFC 6455 §5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it already
    // received a Close frame." §5.5.3: it "MAY elect to send a Pong frame for only the most recently processed Ping frame".
    if (!this.closeSent) {
      this.pongDue = payload;
      // at once while that is cheap; while the peer does not read, only the newest
      if (this.inTransit === 0 && this.output.size < ANSWERED_AT_ONCE) this.sendPong();
    }
    this.sink.onPing(payload);
  }

  onClose(payload: Uint8Array): void {
    this.stopReceiving(); // §5.5.1: nothing follows a Close
    if (payload.length === 1) return this.fail(protocolError("INVALID_CLOSE_PAYLOAD"));
    let code: number = CLOSE_CODE.NO_STATUS;
    let reason = "";
    if (payload.length >= 2) {
      code = (payload[0] << 8) | payload[1];
      if (!isSendableCloseCode(code)) return this.fail(protocolError("INVALID_CLOSE_CODE", `${code}`));
      // §5.5.1: the reason is "UTF-8-encoded data"
      if (checkUtf8(payload, 2, payload.length, UTF8_START) !== UTF8_START) {
        return this.fail(protocolError("INVALID_UTF8", "in the reason of a Close"));
      }
      reason = decodeUtf8(payload, 2, payload.length);
    }
    this.received = { code, reason };
    // §5.5.1: "the endpoint MUST send a Close frame in response ... it typically echos the status code it received."
    if (!this.closeSent) this.closeDue = payload.length <= 2 ? payload : payload.slice(0, 2);
    this.state = "closing";
    this.sink.onStateChange();
  }

  /** Ends the connection because of an error: tells the peer by the error's close code, and takes nothing more from it. */
  fail(error: WebSocketError): void {
    if (this.state === "closed" || this.error !== undefined) return;
    this.error = error;
    this.stopReceiving();
    if (!this.closeSent && error.closeCode !== undefined) {
      this.closeDue = new Uint8Array([error.closeCode >>> 8, error.closeCode]);
    }
    this.state = "closing";
    this.sink.onStateChange();
  }

  // ---- out

  /**
   * Encodes one message into the output. Throws INVALID_ARGUMENT, NOT_OPEN, WRITE_BUFFER_FULL or MESSAGE_IN_PROGRESS, with
   * nothing sent.
   */
  send(data: Data): void {
    this.checkOpen();
    if (data instanceof PreparedMessage && data.compressed) this.checkCompression();
    if (this.output.size + this.inTransit > 0) this.checkRoom(data);
    this.sender.message(this.output, data);
  }

  /** Sends a received message and parts with it: it can't be read any more, and its memory serves others once it is written. */
  transfer(message: Message): void {
    this.checkOpen();
    if (this.output.size + this.inTransit > 0) this.checkRoom(message);
    this.sender.transfer(this.output, message);
  }

  /** Sends a payload that says nothing of its type itself; `compressed` if it was deflated for this connection. */
  sendPayload(type: "text" | "binary", payload: Uint8Array, compressed = false): void {
    this.checkOpen();
    if (compressed) this.checkCompression();
    if (this.output.size + this.inTransit > 0) this.checkRoom(payload);
    this.sender.payloadOf(this.output, type, payload, compressed);
  }

  /** Begins a message in fragments; until its last one no other message can be sent. Control frames can. */
  beginMessage(type: "text" | "binary", compressed = false): void {
    this.checkOpen();
    if (compressed) this.checkCompression();
    this.sender.begin(this.output, type, compressed);
  }

  sendFragment(payload: Uint8Array, last: boolean): void {
    this.checkOpen();
    if (this.output.size + this.inTransit > 0) this.checkRoom(payload);
    this.sender.fragment(this.output, payload, last);
  }

  get inMessage(): boolean {
    return this.output.inMessage;
  }

  ping(payload: Uint8Array = EMPTY): void {
    this.control(OPCODE.PING, "a ping's payload", payload);
  }

  /** An unasked-for pong (RFC 6455 §5.5.3). Pings are answered without it. */
  pong(payload: Uint8Array = EMPTY): void {
    this.control(OPCODE.PONG, "a pong's payload", payload);
  }

  private control(opcode: number, what: string, payload: Uint8Array): void {
    if (!(payload instanceof Uint8Array)) throw invalidArgument(what, "a Uint8Array", payload);
    // §5.5: "All control frames MUST have a payload length of 125 bytes or less"
    if (payload.length > MAX_CONTROL_PAYLOAD) {
      throw invalidArgument(what, `at most ${MAX_CONTROL_PAYLOAD} bytes`, payload.length);
    }
    this.checkOpen();
    if (this.output.size + this.inTransit > 0) this.checkRoom(payload);
    this.sender.control(this.output, opcode, payload);
  }

  /** Starts the closing handshake; without a code the Close has no payload. Does nothing when it has been started already. */
  close(code: number | undefined, reason: string, now: number): void {
    const length = checkClose(code, reason);
    if (this.state !== "open") return;
    let payload = EMPTY;
    if (code !== undefined) {
      payload = new Uint8Array(2 + length);
      payload[0] = code >>> 8;
      payload[1] = code;
      writeUtf8(reason, payload, 2);
    }
    this.sendClose(payload);
    this.state = "closing";
    this.startClosing(now);
    this.sink.onStateChange();
  }

  /**
   * Puts into the output what is due in answer to what came: a Pong, a Close. To be called before the output is taken, once the
   * last take is written and whoever got the messages that came has had the time to answer them: what they write goes ahead of the
   * Close, as RFC 6455 §5.5.1 allows.
   */
  answer(): void {
    this.sendPong();
    if (this.closeDue !== undefined) this.sendClose(this.closeDue);
  }

  /** Whether `answer` has something to do. */
  get answerIsDue(): boolean {
    return this.pongDue !== undefined || this.closeDue !== undefined;
  }

  /**
   * Whether the stream should be ended as soon as the output is written. RFC 6455 §7.1.1: the server closes first; a client waits
   * for it, which its deadline bounds.
   */
  get wantsEnd(): boolean {
    if (this.state === "open" || this.closeDue !== undefined) return false;
    return (
      this.state === "closed" ||
      this.error !== undefined ||
      (this.received !== undefined && this.options.role === "server")
    );
  }

  /** Whether messages can be sent: there is no Close in the output yet. */
  get writable(): boolean {
    return this.state === "open" || this.closeDue !== undefined;
  }

  private sendPong(): void {
    const payload = this.pongDue;
    if (payload === undefined) return;
    this.pongDue = undefined;
    if (!this.closeSent) this.sender.control(this.output, OPCODE.PONG, payload);
  }

  private sendClose(payload: Uint8Array): void {
    this.sendPong();
    this.sender.control(this.output, OPCODE.CLOSE, payload);
    this.closeSent = true;
    this.closeDue = undefined;
  }

  private checkOpen(): void {
    if (!this.writable) throw protocolError("NOT_OPEN", `its state is "${this.state}"`);
  }

  /** RFC 7692 §6.1: without the extension, RSV1 means nothing and must not be set. */
  private checkCompression(): void {
    if (!this.options.compression) throw protocolError("INVALID_ARGUMENT", "this connection has no compression");
  }

  /** Whether `send` and its like would take this, as far as maxWriteBufferSize goes. */
  hasRoom(data: Data): boolean {
    const waiting = this.output.size + this.inTransit;
    return (
      waiting === 0 ||
      waiting + this.sender.encodedSize(this.sender.payloadSize(data)) <= this.options.maxWriteBufferSize
    );
  }

  private checkRoom(data: Data): void {
    const limit = this.options.maxWriteBufferSize;
    const waiting = this.output.size + this.inTransit;
    // how long a text is at most is known without looking through it
    const most = typeof data === "string" ? 3 * data.length : this.sender.payloadSize(data);
    if (most <= this.options.maxFrameSize && waiting + most + MAX_HEADER_SIZE <= limit) return;
    const size = this.sender.encodedSize(this.sender.payloadSize(data));
    if (waiting + size > limit) {
      throw protocolError("WRITE_BUFFER_FULL", `${waiting} bytes wait, ${size} more would pass ${limit}`);
    }
  }

  // ---- time

  /** Starts the heartbeat. */
  start(now: number): void {
    const heartbeat = this.options.heartbeat;
    if (heartbeat === undefined) return;
    this.receivedAt = now;
    this.deadline = now + heartbeat.interval;
  }

  /** Sets the deadline by which the stream has to end. To be called when the state has become `closing`; a second call changes nothing. */
  startClosing(now: number): void {
    if (this.state === "closing") this.startEnding(now);
  }

  /**
   * As `startClosing`, in any state: where a Close has to wait for what is still to be sent, and where the peer has ended its half of the stream while
   * output waits.
   */
  startEnding(now: number): void {
    if (this.endingSince !== undefined && this.deadline !== Infinity) return;
    this.endingSince ??= now;
    this.setEnd(now, this.endingSince);
  }

  /** Whether the stream has to end by `deadline`. */
  get isEnding(): boolean {
    return this.endingSince !== undefined;
  }

  /**
   * To be called when the system has taken output while the stream has to end: `closeTimeout` counts from there, up to `maxCloseTime` in all, so that a peer gets
   * what was written before the Close as long as it takes it. Changes nothing where the connection has failed: then the peer gets what it takes in `closeTimeout`.
   */
  outputSent(now: number): void {
    const { endingSince } = this;
    if (endingSince === undefined || this.deadline === Infinity) return;
    if (this.error === undefined || NO_FAILURES.has(this.error.code)) this.setEnd(now, endingSince);
  }

  private setEnd(now: number, since: number): void {
    const { closeTimeout, maxCloseTime } = this.options;
    this.deadline = Math.min(now + closeTimeout, since + maxCloseTime);
  }

  /** Whether the caller reads no bytes at the moment. */
  get readingPaused(): boolean {
    return this.paused;
  }

  /**
   * The caller reads no more bytes until `resumeReading`. Silence then does not say that the peer is dead: pings are still sent, since writing to a peer
   * that has gone fails, but the connection does not end for want of an answer.
   */
  pauseReading(): void {
    this.paused = true;
  }

  /** The caller reads again. The answer to a ping may be among what came meanwhile, so the peer has `heartbeat.timeout` from now on. May move `deadline`. */
  resumeReading(now: number): void {
    if (!this.paused) return;
    this.paused = false;
    const heartbeat = this.options.heartbeat;
    if (heartbeat === undefined || this.state !== "open" || this.isEnding || this.answerBy === Infinity) return;
    this.answerBy = now + heartbeat.timeout;
    this.deadline = Math.min(this.answerBy, now + heartbeat.interval);
  }

  /** To be called when `deadline` has passed. Returns false when the stream is to be destroyed at once. */
  handleTimeout(now: number): boolean {
    if (now < this.deadline) return true;
    this.deadline = Infinity;
    if (this.endingSince !== undefined) {
      const done = this.received !== undefined && this.closeSent && this.inTransit === 0;
      this.error ??= done ? undefined : this.tooLate(now - this.endingSince);
      this.closeDue = undefined; // the stream that it would have gone to is destroyed
      return false;
    }
    const heartbeat = this.options.heartbeat;
    if (this.state === "closed" || heartbeat === undefined) return true;
    return this.beat(now, heartbeat);
  }

  private tooLate(after: number): WebSocketError {
    const { maxCloseTime } = this.options;
    return protocolError("CLOSE_TIMEOUT", after >= maxCloseTime ? `maxCloseTime is ${maxCloseTime} ms` : undefined);
  }

  /** One step of the heartbeat of an open connection. False: the peer is dead. */
  private beat(now: number, { interval, timeout }: Heartbeat): boolean {
    if (this.receivedAt > now) this.receivedAt = now;
    if (now >= this.answerBy) {
      if (!this.paused) {
        const silence = Math.round(now - this.receivedAt);
        this.error = protocolError("HEARTBEAT_TIMEOUT", `nothing came for ${silence} ms`);
        return false;
      }
      // The first ping to a peer that has gone brings a reset, upon which writing another one fails.
      this.answerBy = Infinity;
      this.sendPing();
      this.deadline = now + interval;
      return true;
    }
    const pingAt = this.receivedAt + interval;
    if (this.answerBy === Infinity && now >= pingAt) {
      this.answerBy = now + timeout;
      this.sendPing();
    }
    // a peer that answers at once is pinged again after `interval`, however long `timeout` is
    this.deadline = this.answerBy === Infinity ? pingAt : Math.min(this.answerBy, now + interval);
    return true;
  }

  /** While the peer does not take what was written before, another ping tells nothing more. */
  private sendPing(): void {
    if (this.output.size + this.inTransit === 0 || !this.paused) this.sender.control(this.output, OPCODE.PING, EMPTY);
  }

  /** How it ended. 1006 where no Close came: RFC 6455 §7.1.5. */
  get closing(): Closing {
    const clean = this.closeSent && this.received !== undefined && this.error === undefined;
    const { code, reason } = this.received ?? { code: CLOSE_CODE.ABNORMAL, reason: "" };
    return { code, reason, clean, error: this.error };
  }
}

/** The reason's length in bytes. Throws INVALID_ARGUMENT for what no Close can carry. */
export function checkClose(code: number | undefined, reason: string): number {
  if (code !== undefined && !isSendableCloseCode(code)) {
    throw invalidArgument("a close code", "1000 to 1014 (not 1004 to 1006) or 3000 to 4999", code);
  }
  if (typeof reason !== "string") throw invalidArgument("a close reason", "a string", reason);
  if (code === undefined && reason !== "") throw invalidArgument("a close reason", "a code to go with it", reason);
  const length = utf8Length(reason);
  if (length > MAX_CLOSE_REASON_BYTES) {
    throw invalidArgument("a close reason", `at most ${MAX_CLOSE_REASON_BYTES} bytes of UTF-8`, length);
  }
  return length;
}
