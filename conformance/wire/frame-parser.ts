import { xor } from "./frame-writer.ts";

export interface FrameHeader {
  readonly fin: boolean;
  /** RSV1 is 4, RSV2 is 2, RSV3 is 1. */
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly length: number;
  /** Whether the length used its shortest form. */
  readonly minimal: boolean;
}

export interface FrameHandler {
  header(header: FrameHeader): void;
  /** Unmasked payload bytes as they arrive. The receiver may keep the buffer. */
  payload(bytes: Buffer): void;
  /** The frame is complete. */
  end(): void;
}

/** Parses frames from a byte stream (RFC 6455 §5.2). Accepts invalid frames. */
export class FrameParser {
  readonly #handler: FrameHandler;
  #header: Buffer = Buffer.alloc(0);
  #key: Buffer = Buffer.alloc(0);
  #length = 0;
  #left = 0;
  #inPayload = false;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 || (this.#inPayload && this.#left === 0)) {
      rest = this.#inPayload ? this.#takePayload(rest) : this.#takeHeader(rest);
    }
  }

  #takeHeader(chunk: Buffer): Buffer {
    this.#header = this.#header.length === 0 ? chunk : Buffer.concat([this.#header, chunk]);
    const [first, second] = this.#header;
    if (first === undefined || second === undefined) return Buffer.alloc(0);
    const short = second & 0x7f;
    const masked = (second & 0x80) !== 0;
    const keyAt = short === 127 ? 10 : short === 126 ? 4 : 2;
    const end = keyAt + (masked ? 4 : 0);
    if (this.#header.length < end) return Buffer.alloc(0);
    const length =
      short === 127 ? Number(this.#header.readBigUInt64BE(2)) : short === 126 ? this.#header.readUInt16BE(2) : short;
    const rest = this.#header.subarray(end);
    this.#key = this.#header.subarray(keyAt, end);
    this.#header = Buffer.alloc(0);
    this.#length = length;
    this.#left = length;
    this.#inPayload = true;
    this.#handler.header({
      fin: (first & 0x80) !== 0,
      rsv: (first >> 4) & 7,
      opcode: first & 0x0f,
      masked,
      length,
      minimal: short === 127 ? length > 0xffff : short !== 126 || length > 125,
    });
    return rest;
  }

  #takePayload(chunk: Buffer): Buffer {
    if (this.#left > 0) {
      const piece = Buffer.from(chunk.subarray(0, this.#left));
      if (this.#key.length > 0) xor(piece, this.#key, this.#length - this.#left);
      this.#left -= piece.length;
      this.#handler.payload(piece);
      if (this.#left > 0) return Buffer.alloc(0);
      chunk = chunk.subarray(piece.length);
    }
    this.#inPayload = false;
    this.#handler.end();
    return chunk;
  }
}
