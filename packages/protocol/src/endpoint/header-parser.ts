import { type ProtocolErrorCode, protocolError, type WebSocketError } from "../errors.ts";
import { FIN, MASK_BIT, MAX_CONTROL_PAYLOAD, MAX_HEADER_SIZE, OPCODE, RSV1, RSV_BITS } from "../frames/frame.ts";
import type { Assembly } from "../messages/assembly.ts";
import type { Memory } from "../runtime/memory.ts";

/** Options of a receiver. */
export interface ReceiverOptions {
  readonly role: "client" | "server";
  /** Largest frame payload in bytes. */
  readonly maxFrameSize: number;
  /** Largest message in bytes, all its fragments together. */
  readonly maxMessageSize: number;
  /** Servers only: accepts frames without a mask. */
  readonly acceptUnmaskedFrames: boolean;
  /** Whether an extension gives RSV1 its RFC 7692 meaning. */
  readonly compression: boolean;
  /** Whether text is not validated. Default false. */
  readonly skipUtf8Check?: boolean;
  /**
   * Whether lengths may have a longer form than necessary, which RFC 6455 §5.2 forbids. Default
   * false.
   */
  readonly acceptLongLengths?: boolean;
  /**
   * Maximum number of frames of a message. Default Infinity: memory does not depend on their
   * number.
   */
  readonly maxFragments?: number;
  /** Maximum number of chunks of one frame. Default Infinity. */
  readonly maxFrameChunks?: number;
  /** Whether the sizes of the frames of a message are kept: see `fragmentSizes`. Default false. */
  readonly keepFragmentSizes?: boolean;
}

const EMPTY = new Uint8Array(0);

/** Parses and checks frame headers: whole ones, and those that continue in the next chunk. */
export abstract class HeaderParser {
  readonly memory: Memory;
  options: ReceiverOptions;
  /** The received part of an incomplete header. */
  private partial: Uint8Array = EMPTY;
  protected partialSize = 0;
  /** First byte of the current frame: FIN, reserved bits, opcode. */
  protected first = 0;
  /** Masking key; 0 for none. */
  protected key = 0;
  /** Payload length of the current frame, and how much of it has not been processed. */
  protected length = 0;
  protected remaining = 0;
  /** Whether the header of the current frame is complete, and its payload is not. */
  protected inPayload = false;
  protected failure: WebSocketError | undefined;
  /**
   * The first two bytes of the header that was read last, and its payload length. The caller
   * decides what they mean for a frame that is a violation.
   */
  firstByte = 0;
  secondByte = 0;
  declaredLength = 0;
  /** The message in progress, from its second frame or chunk on. */
  protected assembly: Assembly | undefined;

  constructor(memory: Memory, options: ReceiverOptions) {
    this.memory = memory;
    this.options = options;
  }

  protected fail(code: ProtocolErrorCode, detail?: string): -1 {
    this.failure = protocolError(code, detail);
    return -1;
  }

  /**
   * Reads the header at `at`. Returns the offset after it, `end` if the rest is in the next chunk,
   * -1 for a violation.
   */
  protected readHeader(chunk: Uint8Array, at: number, end: number): number {
    const size = this.parseHeader(chunk, at, end);
    if (size !== 0) return size < 0 ? size : at + size;
    if (this.partial === EMPTY) this.partial = new Uint8Array(MAX_HEADER_SIZE);
    this.partialSize = end - at;
    for (let to = 0; at < end; at++, to++) this.partial[to] = chunk[at];
    return end;
  }

  protected resumeHeader(chunk: Uint8Array, at: number, end: number): number {
    const { partial, partialSize: had } = this;
    const taken = Math.min(MAX_HEADER_SIZE - had, end - at);
    for (let from = 0; from < taken; from++) partial[had + from] = chunk[at + from];
    const size = this.parseHeader(partial, 0, had + taken);
    if (size < 0) return size;
    if (size === 0) {
      this.partialSize = had + taken;
      return end;
    }
    this.partialSize = 0;
    return at + size - had;
  }

  /** Returns the size of the header, 0 if it is incomplete, -1 for a violation. RFC 6455 §5.2. */
  private parseHeader(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < 2) return 0;
    const first = bytes[at];
    const second = bytes[at + 1];
    const opcode = first & 0x0f;
    this.firstByte = first;

    // §5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero
    // values."
    if ((first & RSV_BITS) !== 0) {
      // RFC 7692 §6.1: RSV1 is set on the first frame of a compressed message, never on a control
      // frame
      const allowed = this.options.compression && (opcode === OPCODE.TEXT || opcode === OPCODE.BINARY) ? RSV1 : 0;
      if ((first & RSV_BITS & ~allowed) !== 0) return this.fail("RESERVED_BITS");
    }
    if (opcode > OPCODE.PONG || (opcode > OPCODE.BINARY && opcode < OPCODE.CLOSE)) {
      // §5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket
      // Connection_."
      return this.fail("INVALID_OPCODE", `opcode ${opcode}`);
    }
    this.secondByte = second;
    const masked = (second & MASK_BIT) !== 0;
    if (this.options.role === "server") {
      // §5.1: "The server MUST close the connection upon receiving a frame that is not masked."
      if (!masked && !this.options.acceptUnmaskedFrames) return this.fail("UNMASKED_FRAME");
    } else if (masked) {
      // §5.1: "A client MUST close a connection if it detects a masked frame."
      return this.fail("MASKED_FRAME");
    }

    let length = second & 0x7f;
    let size = 2;
    if (opcode >= OPCODE.CLOSE) {
      // §5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
      // fragmented."
      if ((first & FIN) === 0) return this.fail("FRAGMENTED_CONTROL");
      if (length > MAX_CONTROL_PAYLOAD) return this.fail("CONTROL_TOO_LONG");
    } else {
      // §5.4: a fragmented message is a frame with an opcode, then continuation frames until one
      // with FIN; no other message may begin in between
      if (opcode === OPCODE.CONTINUATION) {
        if (this.assembly === undefined) return this.fail("UNEXPECTED_CONTINUATION");
      } else if (this.assembly !== undefined) return this.fail("EXPECTED_CONTINUATION");
      if (length === 126) {
        size = 4;
        if (end - at < size) return 0;
        length = (bytes[at + 2] << 8) | bytes[at + 3];
        // §5.2: "the minimal number of bytes MUST be used to encode the length"
        if (length < 126 && this.options.acceptLongLengths !== true) {
          return this.fail("NON_MINIMAL_LENGTH", `${length} in 16 bits`);
        }
      } else if (length === 127) {
        size = 10;
        if (end - at < size) return 0;
        // §5.2: "the most significant bit MUST be 0"
        if (bytes[at + 2] & 0x80) return this.fail("INVALID_LENGTH");
        const high = readUint32(bytes, at + 2);
        // above 2^53 the number is rounded, and far above any limit
        length = high * 0x1_0000_0000 + readUint32(bytes, at + 6);
        if (length <= 0xffff && this.options.acceptLongLengths !== true) {
          return this.fail("NON_MINIMAL_LENGTH", `${length} in 64 bits`);
        }
        this.declaredLength = length;
      }
      if (length > this.options.maxFrameSize) {
        return this.fail("FRAME_TOO_BIG", `${length} bytes, limit ${this.options.maxFrameSize}`);
      }
      if (this.assembly !== undefined && this.assembly.frames >= (this.options.maxFragments ?? Infinity)) {
        return this.fail("TOO_MANY_FRAGMENTS", `limit ${this.options.maxFragments}`);
      }
      const whole = length + (this.assembly === undefined ? 0 : this.assembly.size);
      if (whole > this.options.maxMessageSize) {
        return this.fail("MESSAGE_TOO_BIG", `at least ${whole} bytes, limit ${this.options.maxMessageSize}`);
      }
    }
    if (masked) {
      const keyAt = at + size;
      size += 4;
      if (end - at < size) return 0;
      this.key = bytes[keyAt] | (bytes[keyAt + 1] << 8) | (bytes[keyAt + 2] << 16) | (bytes[keyAt + 3] << 24);
    } else {
      this.key = 0;
    }
    this.first = first;
    this.length = length;
    this.remaining = length;
    this.inPayload = true;
    return size;
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
