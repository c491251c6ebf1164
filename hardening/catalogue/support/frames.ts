// Frames byte by byte as in RFC 6455 §5.2, including invalid ones.

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export interface FrameOptions {
  /** Default true. */
  readonly fin?: boolean;
  /** The reserved bits of the first byte. Default 0. */
  readonly rsv?: number;
}

const MASK = [0x37, 0xfa, 0x21, 0x3d];

/** Encodes a length for a header, in its shortest form unless `bits` is given. */
function lengthField(length: number | bigint, bits: 7 | 16 | 64 | undefined): Buffer {
  const form = bits ?? (length < 126 ? 7 : length <= 0xffff ? 16 : 64);
  if (form === 7) return Buffer.from([Number(length)]);
  const field = Buffer.alloc(form === 16 ? 3 : 9);
  field[0] = form === 16 ? 126 : 127;
  if (form === 16) field.writeUInt16BE(Number(length), 1);
  else field.writeBigUInt64BE(BigInt(length), 1);
  return field;
}

/** Returns a header that declares any length, in any form. */
export function header(
  opcode: number,
  length: number | bigint,
  masked: boolean,
  { fin = true, rsv = 0, bits }: FrameOptions & { readonly bits?: 7 | 16 | 64 } = {},
): Buffer {
  const field = lengthField(length, bits);
  field[0] = (field[0] ?? 0) | (masked ? 0x80 : 0);
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | rsv | opcode]), field, Buffer.from(masked ? MASK : [])]);
}

export function frame(
  opcode: number,
  payload: string | Uint8Array,
  masked: boolean,
  options: FrameOptions = {},
): Buffer {
  const bytes = Buffer.from(payload); // a copy
  if (masked) for (let at = 0; at < bytes.length; at++) bytes[at] = (bytes[at] ?? 0) ^ (MASK[at & 3] ?? 0);
  return Buffer.concat([header(opcode, bytes.length, masked, options), bytes]);
}

export function closePayload(code: number, reason = ""): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
}

export interface ReadFrame {
  readonly first: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly key: Buffer;
  /** Unmasked. */
  readonly payload: Buffer;
}

/** Returns all complete frames of a byte stream. */
export function readFrames(bytes: Buffer): ReadFrame[] {
  const frames: ReadFrame[] = [];
  let at = 0;
  while (at + 2 <= bytes.length) {
    const first = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    const short = second & 0x7f;
    const keyAt = at + (short === 126 ? 4 : short === 127 ? 10 : 2);
    const masked = (second & 0x80) !== 0;
    const start = keyAt + (masked ? 4 : 0);
    if (start > bytes.length) break;
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    if (start + length > bytes.length) break;
    const key = Buffer.from(bytes.subarray(keyAt, start));
    const payload = Buffer.from(bytes.subarray(start, start + length));
    if (masked) for (let i = 0; i < length; i++) payload[i] = (payload[i] ?? 0) ^ (key[i & 3] ?? 0);
    frames.push({ first, opcode: first & 0x0f, masked, key, payload });
    at = start + length;
  }
  return frames;
}
