import { protocolError } from "../errors.ts";
import { FIN, headerSize, OPCODE, RSV1, writeHeader } from "../frames/frame.ts";
import { invalidOption } from "../arguments.ts";
import { copyBytes } from "../bytes/copy.ts";
import { maskInPlace } from "../bytes/mask.ts";
import type { KeySource } from "../frames/masking-keys.ts";
import { borrowChunks, releaseMessage, Message, recyclable } from "../messages/message.ts";
import { NO_FRAGMENT, type Output } from "./output.ts";
import { PreparedMessage } from "../messages/prepared.ts";
import type { Memory } from "../runtime/memory.ts";
import type { Data } from "../messages/data.ts";

const LARGEST_PACKED = 4096; // bytes of payload that are copied to a block together with the header
const SHORT_TEXT = 40; // UTF-16 units; at most 3 bytes each, so that the header has 2 bytes

/**
 * Messages and frames in, bytes in an output. What there is to remember of a connection is in its
 * output, so that one sender serves many. `keys` is what makes it a client's: RFC 6455 §5.1, "a
 * client MUST mask all frames that it sends to the server", "A server MUST NOT mask any frames".
 */
export class Sender {
  readonly memory: Memory;
  readonly keys: KeySource | undefined;
  readonly maxFrameSize: number;
  private readonly shortText: number;
  private readonly largestPacked: number;

  constructor(memory: Memory, keys: KeySource | undefined, maxFrameSize: number) {
    this.memory = memory;
    this.keys = keys;
    this.maxFrameSize = maxFrameSize;
    this.shortText = Math.min(SHORT_TEXT, Math.floor(maxFrameSize / 3));
    this.largestPacked = Math.min(LARGEST_PACKED, maxFrameSize);
  }

  /** Bytes that a payload of this length takes in the output, its headers included. */
  encodedSize(length: number): number {
    const masked = this.keys !== undefined;
    if (length <= this.maxFrameSize) return length + headerSize(length, masked);
    const rest = length % this.maxFrameSize;
    const headers = ((length - rest) / this.maxFrameSize) * headerSize(this.maxFrameSize, masked);
    return length + headers + (rest === 0 ? 0 : headerSize(rest, masked));
  }

  /** Bytes of payload that `data` has. */
  payloadSize(data: Data): number {
    if (typeof data === "string") return this.memory.primitives.utf8Length(data);
    if (data instanceof Uint8Array) return data.length;
    if (data instanceof PreparedMessage) return data.payload.length;
    if (data instanceof Message) return data.size;
    throw notData(data);
  }

  /**
   * Encodes one message. A large payload is not copied (unless it has to be masked): leave it as it
   * is until it is written.
   */
  message(output: Output, data: Data): void {
    if (output.inMessage) throw protocolError("MESSAGE_IN_PROGRESS");
    if (typeof data === "string") this.text(output, data);
    else if (data instanceof Uint8Array) this.payload(output, OPCODE.BINARY, data);
    else if (data instanceof PreparedMessage) this.prepared(output, data);
    else if (data instanceof Message) this.received(output, data);
    else throw notData(data);
  }

  /** Encodes a received message and takes it over: its memory is recycled once it is written. */
  transfer(output: Output, message: Message): void {
    if (output.inMessage) throw protocolError("MESSAGE_IN_PROGRESS");
    if (!(message instanceof Message)) throw notData(message);
    this.received(output, message, true);
    output.recycle(recyclable(message)); // not before: joining the pieces has recycled them
    releaseMessage(message);
  }

  /** Encodes bytes as a message of the given type. */
  payloadOf(output: Output, type: "text" | "binary", payload: Uint8Array, compressed: boolean): void {
    if (output.inMessage) throw protocolError("MESSAGE_IN_PROGRESS");
    this.payload(output, opcodeOf(type) | (compressed ? RSV1 : 0), checkBytes(payload));
  }

  /** Begins a message that will be sent in fragments; `compressed` if they are deflated. */
  begin(output: Output, type: "text" | "binary", compressed = false): void {
    if (output.inMessage) throw protocolError("MESSAGE_IN_PROGRESS");
    output.nextFragment = opcodeOf(type) | (compressed ? RSV1 : 0);
  }

  /** The next fragment; `last` ends the message. */
  fragment(output: Output, payload: Uint8Array, last: boolean): void {
    if (!output.inMessage) throw protocolError("NO_MESSAGE_IN_PROGRESS");
    this.payload(output, output.nextFragment, checkBytes(payload), last);
    output.nextFragment = last ? NO_FRAGMENT : OPCODE.CONTINUATION;
  }

  /** A control frame; the payload has at most 125 bytes. */
  control(output: Output, opcode: number, payload: Uint8Array): void {
    this.small(output, FIN | opcode, payload, 0, payload.length);
  }

  private text(output: Output, text: string): void {
    if (text.length <= this.shortText && this.keys === undefined) {
      const { bytes, at } = output.reserve(2 + 3 * text.length);
      const end = this.memory.primitives.writeUtf8(text, bytes, at + 2);
      writeHeader(bytes, at, FIN | OPCODE.TEXT, end - at - 2, undefined);
      output.wrote(end);
      return;
    }
    const length = this.memory.primitives.utf8Length(text);
    if (length <= this.largestPacked) {
      const key = this.keys?.take();
      const { bytes, words, at } = output.reserve(headerSize(length, key !== undefined) + length);
      const payloadAt = writeHeader(bytes, at, FIN | OPCODE.TEXT, length, key);
      const end = this.memory.primitives.writeUtf8(text, bytes, payloadAt);
      if (key !== undefined) maskInPlace(bytes, words, payloadAt, end, key);
      output.wrote(end);
      return;
    }
    const memory = this.memory.pieces.acquire(length, 2 * length);
    this.memory.primitives.writeUtf8(text, memory, 0);
    this.payload(output, OPCODE.TEXT, memory.length === length ? memory : memory.subarray(0, length));
    output.recycle([memory]);
  }

  private prepared(output: Output, message: PreparedMessage): void {
    if (this.keys === undefined && message.payload.length <= this.maxFrameSize) output.appendPrepared(message);
    else this.payload(output, opcodeOf(message.type) | (message.compressed ? RSV1 : 0), message.payload);
  }

  private received(output: Output, message: Message, transferred = false): void {
    const opcode = opcodeOf(message.type);
    const { size } = message;
    if (size <= this.largestPacked) {
      const key = this.keys?.take();
      const { bytes, words, view, at } = output.reserve(headerSize(size, key !== undefined) + size);
      const payloadAt = writeHeader(bytes, at, FIN | opcode, size, key);
      const end = message.copyTo(bytes, payloadAt, view);
      if (key !== undefined) maskInPlace(bytes, words, payloadAt, end, key);
      output.wrote(end);
    } else if (this.keys === undefined && size <= this.maxFrameSize) {
      // throws for a released message, before anything is added
      const parts = transferred ? borrowChunks(message) : message.chunks();
      this.header(output, FIN | opcode, size);
      for (const part of parts) output.append(part);
    } else {
      const parts = transferred ? borrowChunks(message) : [];
      this.payload(output, opcode, parts.length === 1 ? parts[0] : message.bytes);
    }
  }

  /**
   * Encodes a message or a fragment as frames of at most maxFrameSize bytes. `opcode` may have RSV1
   * set.
   */
  private payload(output: Output, opcode: number, payload: Uint8Array, last = true): void {
    if (payload.length <= this.maxFrameSize) {
      this.frame(output, (last ? FIN : 0) | opcode, payload, 0, payload.length);
      return;
    }
    for (let at = 0; at < payload.length; at += this.maxFrameSize) {
      const end = Math.min(at + this.maxFrameSize, payload.length);
      this.frame(
        output,
        (last && end === payload.length ? FIN : 0) | (at === 0 ? opcode : OPCODE.CONTINUATION),
        payload,
        at,
        end,
      );
    }
  }

  private frame(output: Output, first: number, payload: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length <= LARGEST_PACKED) {
      this.small(output, first, payload, start, length);
      return;
    }
    const key = this.header(output, first, length);
    const part = length === payload.length ? payload : payload.subarray(start, end);
    if (key === undefined) {
      output.append(part);
      return;
    }
    const masked = this.memory.pieces.acquire(length, 2 * length);
    this.memory.copyMasked(part, 0, length, key, masked, new Int32Array(masked.buffer, 0, length >> 2), 0);
    output.append(masked.length === length ? masked : masked.subarray(0, length));
    output.recycle([masked]);
  }

  private header(output: Output, first: number, length: number): number | undefined {
    const key = this.keys?.take();
    const { bytes, at } = output.reserve(headerSize(length, key !== undefined));
    output.wrote(writeHeader(bytes, at, first, length, key));
    return key;
  }

  private small(output: Output, first: number, payload: Uint8Array, start: number, length: number): void {
    const key = this.keys?.take();
    const { bytes, words, at } = output.reserve(headerSize(length, key !== undefined) + length);
    const payloadAt = writeHeader(bytes, at, first, length, key);
    if (key === undefined) copyBytes(payload, start, length, bytes, payloadAt);
    else this.memory.copyMasked(payload, start, length, key, bytes, words, payloadAt);
    output.wrote(payloadAt + length);
  }
}

function opcodeOf(type: "text" | "binary"): number {
  if (type === "text") return OPCODE.TEXT;
  if (type === "binary") return OPCODE.BINARY;
  throw invalidOption("the type of a message", '"text" or "binary"', type);
}

function checkBytes(payload: Uint8Array): Uint8Array {
  if (payload instanceof Uint8Array) return payload;
  throw invalidOption("a payload", "a Uint8Array", payload);
}

function notData(data: unknown): Error {
  return invalidOption("a message", "a string, a Uint8Array, a Message or a PreparedMessage", data);
}
