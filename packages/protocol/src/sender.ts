import { protocolError } from "./errors.ts";
import { FIN, headerSize, OPCODE, RSV1, writeHeader } from "./frame.ts";
import type { MaskingKeys } from "./mask.ts";
import { copyBytes, Message } from "./message.ts";
import type { Output } from "./output.ts";
import { PreparedMessage } from "./prepared.ts";
import { copyMaskedPiece, primitives } from "./primitives.ts";

const LARGEST_PACKED = 4096; // bytes of payload that are copied to a block together with their header
const SHORT_TEXT = 40; // UTF-16 units whose header is 2 bytes whatever they encode to (at most 3 bytes each)

/** A message as the caller has it. */
export type Data = string | Uint8Array | Message | PreparedMessage;

/**
 * Messages and frames in, bytes in the output. `keys` is what makes it a client's: RFC 6455 §5.1, "a client MUST mask all frames that it
 * sends to the server", "A server MUST NOT mask any frames".
 */
export class Sender {
  private readonly output: Output;
  private readonly keys: MaskingKeys | undefined;
  private readonly maxFrameSize: number;
  private streaming: "no" | "first" | "more" = "no";
  private streamOpcode: number = OPCODE.BINARY;

  constructor(output: Output, keys: MaskingKeys | undefined, maxFrameSize: number) {
    this.output = output;
    this.keys = keys;
    this.maxFrameSize = maxFrameSize;
  }

  /** Whether a message is being sent in fragments, which no other message may interrupt (RFC 6455 §5.4). */
  get inMessage(): boolean {
    return this.streaming !== "no";
  }

  /** Encodes one message. A large payload is not copied (unless it has to be masked): leave it as it is until it is written. */
  message(data: Data, compressed = false): void {
    if (this.streaming !== "no") throw protocolError("MESSAGE_IN_PROGRESS");
    const rsv = compressed ? RSV1 : 0;
    if (typeof data === "string") this.text(data);
    else if (data instanceof Uint8Array) this.payload(OPCODE.BINARY | rsv, data);
    else if (data instanceof PreparedMessage) {
      if (this.keys === undefined && data.payload.length <= this.maxFrameSize) this.output.appendPrepared(data);
      else this.payload(data.type === "text" ? OPCODE.TEXT : OPCODE.BINARY, data.payload);
    } else this.received(data);
  }

  /** One message of the given type and payload, where the type does not follow from how the payload is held. */
  payloadOf(type: "text" | "binary", payload: Uint8Array, compressed: boolean): void {
    if (this.streaming !== "no") throw protocolError("MESSAGE_IN_PROGRESS");
    this.payload((type === "text" ? OPCODE.TEXT : OPCODE.BINARY) | (compressed ? RSV1 : 0), payload);
  }

  /** Begins a message that will be sent in fragments. */
  begin(type: "text" | "binary"): void {
    if (this.streaming !== "no") throw protocolError("MESSAGE_IN_PROGRESS");
    this.streaming = "first";
    this.streamOpcode = type === "text" ? OPCODE.TEXT : OPCODE.BINARY;
  }

  /** The next fragment; `last` ends the message. */
  fragment(payload: Uint8Array, last: boolean): void {
    if (this.streaming === "no") throw protocolError("NO_MESSAGE_IN_PROGRESS");
    const opcode = this.streaming === "first" ? this.streamOpcode : OPCODE.CONTINUATION;
    this.streaming = last ? "no" : "more";
    this.payload(opcode, payload, last);
  }

  /** A control frame; the payload has at most 125 bytes. */
  control(opcode: number, payload: Uint8Array): void {
    this.small(FIN | opcode, payload, 0, payload.length);
  }

  private text(text: string): void {
    if (text.length <= SHORT_TEXT && this.keys === undefined) {
      const { bytes, at } = this.output.reserve(2 + 3 * text.length);
      const end = primitives.writeUtf8(text, bytes, at + 2);
      writeHeader(bytes, at, FIN | OPCODE.TEXT, end - at - 2, undefined);
      this.output.wrote(end);
      return;
    }
    const length = primitives.utf8Length(text);
    if (length <= LARGEST_PACKED && this.keys === undefined && length <= this.maxFrameSize) {
      const { bytes, at } = this.output.reserve(headerSize(length, false) + length);
      const payloadAt = writeHeader(bytes, at, FIN | OPCODE.TEXT, length, undefined);
      this.output.wrote(primitives.writeUtf8(text, bytes, payloadAt));
      return;
    }
    const payload = primitives.allocate(length);
    primitives.writeUtf8(text, payload, 0);
    this.payload(OPCODE.TEXT, payload);
  }

  private received(message: Message): void {
    const opcode = message.type === "text" ? OPCODE.TEXT : OPCODE.BINARY;
    if (this.keys === undefined && message.size <= LARGEST_PACKED && message.size <= this.maxFrameSize) {
      const { bytes, at } = this.output.reserve(headerSize(message.size, false) + message.size);
      const payloadAt = writeHeader(bytes, at, FIN | opcode, message.size, undefined);
      this.output.wrote(message.copyTo(bytes, payloadAt));
    } else if (this.keys === undefined && message.size <= this.maxFrameSize) {
      this.header(FIN | opcode, message.size);
      for (const chunk of message.chunks()) this.output.append(chunk);
    } else this.payload(opcode, message.bytes);
  }

  /** A message, or the fragment of one, cut into frames of at most maxFrameSize bytes. `opcode` may have RSV1 set. */
  private payload(opcode: number, payload: Uint8Array, last = true): void {
    if (payload.length <= this.maxFrameSize) {
      this.frame((last ? FIN : 0) | opcode, payload, 0, payload.length);
      return;
    }
    for (let at = 0; at < payload.length; at += this.maxFrameSize) {
      const end = Math.min(at + this.maxFrameSize, payload.length);
      this.frame(
        (last && end === payload.length ? FIN : 0) | (at === 0 ? opcode : OPCODE.CONTINUATION),
        payload,
        at,
        end,
      );
    }
  }

  private frame(first: number, payload: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length <= LARGEST_PACKED) {
      this.small(first, payload, start, length);
      return;
    }
    const key = this.header(first, length);
    const part = length === payload.length ? payload : payload.subarray(start, end);
    if (key === undefined) {
      this.output.append(part);
      return;
    }
    const masked = primitives.allocate(length);
    copyMaskedPiece(part, 0, length, key, masked, new Int32Array(masked.buffer, 0, length >> 2), 0);
    this.output.append(masked);
  }

  private header(first: number, length: number): number | undefined {
    const key = this.keys?.take();
    const { bytes, at } = this.output.reserve(headerSize(length, key !== undefined));
    this.output.wrote(writeHeader(bytes, at, first, length, key));
    return key;
  }

  private small(first: number, payload: Uint8Array, start: number, length: number): void {
    const key = this.keys?.take();
    const { bytes, words, at } = this.output.reserve(headerSize(length, key !== undefined) + length);
    const payloadAt = writeHeader(bytes, at, first, length, key);
    if (key === undefined) copyBytes(payload, start, length, bytes, payloadAt);
    else copyMaskedPiece(payload, start, length, key, bytes, words, payloadAt);
    this.output.wrote(payloadAt + length);
  }
}
