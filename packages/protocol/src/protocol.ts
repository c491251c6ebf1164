import { CLOSE_CODE, isSendableCloseCode, MAX_CLOSE_REASON_BYTES } from "./close-codes.ts";
import { protocolError, type WebSocketError } from "./errors.ts";
import { MAX_CONTROL_PAYLOAD, OPCODE } from "./frame.ts";
import type { MaskingKeys } from "./mask.ts";
import type { Message } from "./message.ts";
import { Output } from "./output.ts";
import { primitives } from "./primitives.ts";
import { PreparedMessage } from "./prepared.ts";
import { Receiver, type ReceiverSink } from "./receiver.ts";
import { type Data, Sender } from "./sender.ts";
import { checkUtf8, UTF8_START } from "./utf8.ts";

export interface ProtocolLimits {
  /** Largest frame payload taken, and made, in bytes. Default 16 MiB. */
  readonly maxFrameSize: number;
  /** Largest message taken, all its fragments together, in bytes. Default 64 MiB. */
  readonly maxMessageSize: number;
  /** Largest amount of encoded bytes that may wait in the output. One message is always taken when nothing waits. Default 64 MiB. */
  readonly maxWriteBufferSize: number;
}

export const DEFAULT_LIMITS: ProtocolLimits = {
  maxFrameSize: 16 * 1024 * 1024,
  maxMessageSize: 64 * 1024 * 1024,
  maxWriteBufferSize: 64 * 1024 * 1024,
};

/** Pings an idle peer after `interval` ms without a byte from it, and gives it up after `timeout` ms more. */
export interface Heartbeat {
  readonly interval: number;
  readonly timeout: number;
}

export interface ProtocolOptions extends ProtocolLimits {
  readonly role: "client" | "server";
  /** Where masking keys come from; a client needs it. */
  readonly keys: MaskingKeys | undefined;
  /** Server only. Default false: RFC 6455 §5.1 forbids it. */
  readonly acceptUnmaskedFrames: boolean;
  readonly compression: boolean;
  readonly heartbeat: Heartbeat | undefined;
  /** How long the closing handshake may take, in ms. */
  readonly closeTimeout: number;
}

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
 * - `closing`: a Close frame was sent, or is in the output.
 * - `closed`: the byte stream is over.
 *
 * | in state | event | next | and |
 * |---|---|---|---|
 * | open | close() | closing | Close goes out; what the peer sends until its Close is still delivered |
 * | open | Close comes | closing | the same code goes back; end of the stream wanted |
 * | open | violation | closing | the error's Close goes out; what comes is dropped; end of the stream wanted |
 * | closing | Close comes | closing | end of the stream wanted |
 * | any | stream ends | closed | clean if Closes went both ways |
 */
export type ProtocolState = "open" | "closing" | "closed";

const EMPTY = new Uint8Array(0);

/**
 * One WebSocket connection behind its handshake, without I/O: bytes go in by `receive`, come out of `output`; time goes in by
 * `start` and `handleTimeout`, and comes out as `deadline`. Nothing that a peer sends makes it throw; what
 * a caller does wrong does, before anything is changed.
 */
export class Protocol implements ReceiverSink {
  readonly output = new Output();
  state: ProtocolState = "open";
  /** Why the connection fails, if it does. */
  error: WebSocketError | undefined;
  /**
   * Whether the stream should be ended as soon as the output is written. RFC 6455 §7.1.1: the server closes first; a client waits
   * for it, which its deadline bounds.
   */
  wantsEnd = false;
  /** The time, in ms on the caller's clock, at which `handleTimeout` is to be called; Infinity for never. */
  deadline = Infinity;
  /** While the caller reads no bytes, silence says nothing about the peer: the heartbeat waits. */
  readingPaused = false;
  /** Bytes that the caller has taken from the output and not written yet; they count against maxWriteBufferSize. */
  inTransit = 0;

  private readonly options: ProtocolOptions;
  private readonly sink: ProtocolSink;
  private readonly receiver: Receiver;
  private readonly sender: Sender;
  private closeSent = false;
  private received: { code: number; reason: string } | undefined;
  /** The payload of the newest ping that was not answered yet. */
  private pongDue: Uint8Array | undefined;
  private heard = false;
  private pinged = false;

  constructor(options: ProtocolOptions, sink: ProtocolSink) {
    this.options = options;
    this.sink = sink;
    this.receiver = new Receiver(options, this);
    this.sender = new Sender(this.output, options.role === "client" ? options.keys : undefined, options.maxFrameSize);
  }

  /** Bytes held: what waits in the output and what came of unfinished messages. */
  get heldSize(): number {
    return this.output.size + this.inTransit + this.receiver.pendingSize;
  }

  // ---- in

  /** Takes bytes of the stream. They are borrowed for the call: not kept, not changed. */
  receive(chunk: Uint8Array, start = 0, end = chunk.length): void {
    this.heard = true;
    const error = this.receiver.receive(chunk, start, end);
    if (error !== undefined) this.fail(error);
  }

  /** The peer has ended its half of the stream, or the stream broke (`cause`). */
  receiveEnd(cause?: Error): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.wantsEnd = true;
    this.receiver.stop();
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
    if (!this.closeSent) this.pongDue = payload;
    this.sink.onPing(payload);
  }

  onClose(payload: Uint8Array): void {
    this.receiver.stop(); // §5.5.1: nothing follows a Close
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
      reason = primitives.decodeUtf8(payload, 2, payload.length);
    }
    this.received = { code, reason };
    // §5.5.1: "the endpoint MUST send a Close frame in response ... it typically echos the status code it received."
    if (!this.closeSent) this.sendClose(payload.subarray(0, 2));
    this.wantsEnd = this.options.role === "server";
    this.state = "closing";
    this.sink.onStateChange();
  }

  /** Ends the connection because of an error: tells the peer by the error's close code, and takes nothing more from it. */
  fail(error: WebSocketError): void {
    if (this.state === "closed" || this.error !== undefined) return;
    this.error = error;
    this.receiver.stop();
    if (!this.closeSent && error.closeCode !== undefined) {
      const payload = new Uint8Array([error.closeCode >>> 8, error.closeCode]);
      this.sendClose(payload);
    }
    this.wantsEnd = true;
    this.state = "closing";
    this.sink.onStateChange();
  }

  // ---- out

  /** Encodes one message into the output. Throws NOT_OPEN, WRITE_BUFFER_FULL or MESSAGE_IN_PROGRESS, with nothing sent. */
  send(data: Data): void {
    this.checkOpen();
    if (this.output.size + this.inTransit > 0) this.checkRoom(data);
    this.sender.message(data);
  }

  /** Sends a payload that says nothing of its type itself; `compressed` if it was deflated for this connection. */
  sendPayload(type: "text" | "binary", payload: Uint8Array, compressed = false): void {
    this.checkOpen();
    if (this.output.size + this.inTransit > 0) this.checkRoom(payload);
    this.sender.payloadOf(type, payload, compressed);
  }

  /** Begins a message in fragments; until its last one no other message can be sent. Control frames can. */
  beginMessage(type: "text" | "binary"): void {
    this.checkOpen();
    this.sender.begin(type);
  }

  sendFragment(payload: Uint8Array, last: boolean): void {
    this.checkOpen();
    if (this.output.size + this.inTransit > 0) this.checkRoom(payload);
    this.sender.fragment(payload, last);
  }

  get inMessage(): boolean {
    return this.sender.inMessage;
  }

  ping(payload: Uint8Array = EMPTY): void {
    this.checkOpen();
    if (payload.length > MAX_CONTROL_PAYLOAD) {
      throw protocolError(
        "INVALID_ARGUMENT",
        `a ping carries at most ${MAX_CONTROL_PAYLOAD} bytes, got ${payload.length}`,
      );
    }
    this.sender.control(OPCODE.PING, payload);
  }

  /** An unasked-for pong (RFC 6455 §5.5.3). Pings are answered without it. */
  pong(payload: Uint8Array = EMPTY): void {
    this.checkOpen();
    if (payload.length > MAX_CONTROL_PAYLOAD) {
      throw protocolError(
        "INVALID_ARGUMENT",
        `a pong carries at most ${MAX_CONTROL_PAYLOAD} bytes, got ${payload.length}`,
      );
    }
    this.sender.control(OPCODE.PONG, payload);
  }

  /** Starts the closing handshake; without a code the Close has no payload. Does nothing when it has been started already. */
  close(code: number | undefined, reason: string, now: number): void {
    if (code === undefined ? reason !== "" : !isSendableCloseCode(code)) {
      throw protocolError(
        "INVALID_ARGUMENT",
        `a close code is 1000 to 1014 (not 1004 to 1006) or 3000 to 4999, got ${code}`,
      );
    }
    const length = primitives.utf8Length(reason);
    if (length > MAX_CLOSE_REASON_BYTES) {
      throw protocolError(
        "INVALID_ARGUMENT",
        `a close reason has at most ${MAX_CLOSE_REASON_BYTES} bytes, got ${length}`,
      );
    }
    if (this.state !== "open") return;
    let payload = EMPTY;
    if (code !== undefined) {
      payload = new Uint8Array(2 + length);
      payload[0] = code >>> 8;
      payload[1] = code;
      primitives.writeUtf8(reason, payload, 2);
    }
    this.sendClose(payload);
    this.state = "closing";
    this.deadline = now + this.options.closeTimeout;
    this.sink.onStateChange();
  }

  /** Puts the pong that is due into the output. Call it before taking the output, once the last take is written: pings in between cost one pong. */
  answerPing(): void {
    if (this.pongDue === undefined) return;
    this.sender.control(OPCODE.PONG, this.pongDue);
    this.pongDue = undefined;
  }

  get pongIsDue(): boolean {
    return this.pongDue !== undefined;
  }

  private sendClose(payload: Uint8Array): void {
    this.answerPing();
    this.sender.control(OPCODE.CLOSE, payload);
    this.closeSent = true;
  }

  private checkOpen(): void {
    if (this.state !== "open") throw protocolError("NOT_OPEN", `its state is "${this.state}"`);
  }

  private checkRoom(data: Data): void {
    const limit = this.options.maxWriteBufferSize;
    const waiting = this.output.size + this.inTransit;
    const units = typeof data === "string" ? data.length * 3 : sizeOf(data);
    if (waiting + units <= limit) return;
    const size = typeof data === "string" ? primitives.utf8Length(data) : units;
    if (waiting + size > limit) {
      throw protocolError("WRITE_BUFFER_FULL", `${waiting} bytes wait, ${size} more would pass ${limit}`);
    }
  }

  // ---- time

  /** Starts the heartbeat. */
  start(now: number): void {
    const heartbeat = this.options.heartbeat;
    if (heartbeat !== undefined) this.deadline = now + heartbeat.interval;
  }

  /** Sets the deadline by which the stream has to end once this end wants it to, or has answered a Close. */
  startClosing(now: number): void {
    if (this.state === "closing") this.deadline = now + this.options.closeTimeout;
  }

  /** To be called when `deadline` has passed. Returns false when the stream is to be destroyed at once. */
  handleTimeout(now: number): boolean {
    if (now < this.deadline) return true;
    this.deadline = Infinity;
    if (this.state === "closing") {
      this.error ??= this.received === undefined ? protocolError("CLOSE_TIMEOUT") : undefined;
      return false;
    }
    const heartbeat = this.options.heartbeat;
    if (this.state === "closed" || heartbeat === undefined) return true;
    if (this.heard || this.readingPaused) {
      this.heard = false;
      this.pinged = false;
      this.deadline = now + heartbeat.interval;
    } else if (!this.pinged) {
      this.pinged = true;
      this.deadline = now + heartbeat.timeout;
      this.sender.control(OPCODE.PING, EMPTY);
    } else {
      this.error = protocolError("HEARTBEAT_TIMEOUT", `nothing came for ${heartbeat.interval + heartbeat.timeout} ms`);
      return false;
    }
    return true;
  }

  /** How it ended. 1006 where no Close came: RFC 6455 §7.1.5. */
  get closing(): Closing {
    const clean = this.closeSent && this.received !== undefined && this.error === undefined;
    const { code, reason } = this.received ?? { code: CLOSE_CODE.ABNORMAL, reason: "" };
    return { code, reason, clean, error: this.error };
  }
}

function sizeOf(data: Uint8Array | Message | PreparedMessage): number {
  if (data instanceof Uint8Array) return data.length;
  return data instanceof PreparedMessage ? data.frame.length : data.size;
}
