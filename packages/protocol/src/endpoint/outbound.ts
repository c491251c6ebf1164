import { argumentError, invalidOption } from "../arguments.ts";
import { protocolError } from "../errors.ts";
import { MAX_CONTROL_PAYLOAD, MAX_HEADER_SIZE, OPCODE } from "../frames/frame.ts";
import type { Message } from "../messages/message.ts";
import { PreparedMessage } from "../messages/prepared.ts";
import { type ProtocolConfig, senderOf } from "./options.ts";
import { Output } from "./output.ts";
import type { Sender } from "./sender.ts";
import { type Phase, PHASES, type ProtocolState } from "./states.ts";
import type { Data } from "../messages/data.ts";

const EMPTY = new Uint8Array(0);

/** The configuration of a connection. These functions are for the files of this package. */
export let configOf: (outbound: Outbound) => ProtocolConfig;
/** The encoder of a connection's frames. */
export let encoderOf: (outbound: Outbound) => Sender;
/** The row of the state machine that a connection is in. */
export let phaseOf: (outbound: Outbound) => Phase;
export let setPhase: (outbound: Outbound, phase: Phase) => void;
/** Encodes a message, in its turn. */
export let encode: (outbound: Outbound, data: Data) => void;
/** Encodes a message whose payload was compressed for this connection, in its turn. */
export let encodeCompressed: (outbound: Outbound, type: "text" | "binary", payload: Uint8Array) => void;

/** The sending half of a connection: messages in, bytes in the output. */
export abstract class Outbound {
  /** Bytes that wait to be written. */
  readonly output: Output;
  /** Bytes taken from the output and not written yet. Set it: they count for maxWriteBufferSize. */
  inTransit = 0;
  readonly #config: ProtocolConfig;
  readonly #sender: Sender;
  #phase: Phase = PHASES.open;

  static {
    configOf = (outbound) => outbound.#config;
    encoderOf = (outbound) => outbound.#sender;
    phaseOf = (outbound) => outbound.#phase;
    setPhase = (outbound, phase) => {
      outbound.#phase = phase;
    };
    encode = (outbound, data) => outbound.#encode(data);
    encodeCompressed = (outbound, type, payload) => outbound.#encodePayload(type, payload, true);
  }

  constructor(config: ProtocolConfig) {
    this.#config = config;
    this.#sender = senderOf(config);
    this.output = new Output(this.#sender.memory);
  }

  /** Whether messages travel. */
  get state(): ProtocolState {
    return this.#phase.state;
  }

  /** Whether messages can be put into the output: there is no Close in it yet. */
  get writable(): boolean {
    return this.#phase.sends;
  }

  /** Whether further messages may be sent: not if a Close already waits behind earlier ones. */
  get accepts(): boolean {
    return this.#phase.accepts;
  }

  /**
   * Encodes one message into the output. Throws INVALID_ARGUMENT, NOT_OPEN, WRITE_BUFFER_FULL or
   * MESSAGE_IN_PROGRESS, with nothing sent.
   */
  send(data: Data): void {
    this.#encode(data);
  }

  #encode(data: Data): void {
    this.#checkOpen();
    if (data instanceof PreparedMessage && data.compressed) this.#checkCompression();
    if (this.output.size + this.inTransit > 0) this.#checkRoom(data);
    this.#sender.message(this.output, data);
  }

  /**
   * Sends a received message and takes it over: it becomes unreadable, and its memory is recycled
   * once it is written. Throws as `send`.
   */
  transfer(message: Message): void {
    this.#checkOpen();
    if (this.output.size + this.inTransit > 0) this.#checkRoom(message);
    this.#sender.transfer(this.output, message);
  }

  /** Sends bytes as a message of the given type. Throws as `send`. */
  sendPayload(type: "text" | "binary", payload: Uint8Array): void {
    this.#encodePayload(type, payload, false);
  }

  #encodePayload(type: "text" | "binary", payload: Uint8Array, compressed: boolean): void {
    this.#checkOpen();
    if (this.output.size + this.inTransit > 0) this.#checkRoom(payload);
    this.#sender.payloadOf(this.output, type, payload, compressed);
  }

  /**
   * Begins a message in fragments. Until its last one no other message can be sent; control frames
   * can. Throws as `send`.
   */
  beginMessage(type: "text" | "binary", compressed = false): void {
    this.#checkOpen();
    if (compressed) this.#checkCompression();
    this.#sender.begin(this.output, type, compressed);
  }

  /**
   * Sends the next fragment; `last` ends the message. Throws as `send`, and NO_MESSAGE_IN_PROGRESS.
   */
  sendFragment(payload: Uint8Array, last: boolean): void {
    this.#checkOpen();
    if (this.output.size + this.inTransit > 0) this.#checkRoom(payload);
    this.#sender.fragment(this.output, payload, last);
  }

  /** Whether a message in fragments is in progress. */
  get inMessage(): boolean {
    return this.output.inMessage;
  }

  /** Sends a ping of at most 125 bytes. Throws as `send`. RFC 6455 §5.5.2. */
  ping(payload: Uint8Array = EMPTY): void {
    this.#control(OPCODE.PING, "a ping's payload", payload);
  }

  /**
   * Sends an unsolicited pong of at most 125 bytes. Pings are answered without it. Throws as
   * `send`. RFC 6455 §5.5.3.
   */
  pong(payload: Uint8Array = EMPTY): void {
    this.#control(OPCODE.PONG, "a pong's payload", payload);
  }

  /** Whether `send` would accept this message, as far as maxWriteBufferSize goes. */
  hasRoom(data: Data): boolean {
    const waiting = this.output.size + this.inTransit;
    if (waiting === 0) return true;
    return waiting + this.#sender.encodedSize(this.#sender.payloadSize(data)) <= this.#config.maxWriteBufferSize;
  }

  #control(opcode: number, what: string, payload: Uint8Array): void {
    if (!(payload instanceof Uint8Array)) throw invalidOption(what, "a Uint8Array", payload);
    // RFC 6455 §5.5: "All control frames MUST have a payload length of 125 bytes or less"
    if (payload.length > MAX_CONTROL_PAYLOAD) {
      throw invalidOption(what, `at most ${MAX_CONTROL_PAYLOAD} bytes`, payload.length);
    }
    this.#checkOpen();
    if (this.output.size + this.inTransit > 0) this.#checkRoom(payload);
    this.#sender.control(this.output, opcode, payload);
  }

  #checkOpen(): void {
    if (!this.#phase.sends) throw protocolError("NOT_OPEN", `its state is "${this.state}"`);
  }

  /** RFC 7692 §6.1: without the extension, RSV1 means nothing and must not be set. */
  #checkCompression(): void {
    if (!this.#config.compression)
      throw argumentError(
        TypeError,
        "the message must not be compressed on a connection without compression: prepare it without `compressed`",
      );
  }

  #checkRoom(data: Data): void {
    const limit = this.#config.maxWriteBufferSize;
    const waiting = this.output.size + this.inTransit;
    // an upper bound of a text's length is known without reading it
    const most = typeof data === "string" ? 3 * data.length : this.#sender.payloadSize(data);
    if (most <= this.#config.maxFrameSize && waiting + most + MAX_HEADER_SIZE <= limit) return;
    const size = this.#sender.encodedSize(this.#sender.payloadSize(data));
    if (waiting + size > limit) {
      throw protocolError("WRITE_BUFFER_FULL", `${waiting} bytes are buffered, ${size} more would exceed ${limit}`);
    }
  }
}
