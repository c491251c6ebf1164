import { randomBytes } from "node:crypto";
import { CONTINUATION, type Frame, payloadBytes, type Payload } from "../cases/case.ts";

/** Length of the longest header: 2 bytes, 8 of length, 4 of masking key. */
const MAX_HEADER = 14;

/** Encodes a frame (RFC 6455 §5.2) without checks, because cases contain invalid frames. */
export function encodeFrame(frame: Frame, masked: boolean): Buffer {
  const payload = payloadBytes(frame.payload ?? Buffer.alloc(0));
  const bytes = Buffer.allocUnsafe(MAX_HEADER + payload.length);
  bytes[0] = ((frame.fin ?? true) ? 0x80 : 0) | ((frame.rsv ?? 0) << 4) | frame.opcode;
  let at = 2;
  let length = payload.length;
  if (length > 0xffff) {
    at = bytes.writeBigUInt64BE(BigInt(length), at);
    length = 127;
  } else if (length > 125) {
    at = bytes.writeUInt16BE(length, at);
    length = 126;
  }
  bytes[1] = (masked ? 0x80 : 0) | length;
  if (!masked) {
    bytes.set(payload, at);
    return bytes.subarray(0, at + payload.length);
  }
  const key = randomBytes(4);
  bytes.set(key, at);
  at += 4;
  bytes.set(payload, at);
  xor(bytes.subarray(at, at + payload.length), key, 0);
  return bytes.subarray(0, at + payload.length);
}

/** Returns the length of a frame's header in bytes. */
export function headerLength(payload: Payload, masked: boolean): number {
  const extended = payload.length > 0xffff ? 8 : payload.length > 125 ? 2 : 0;
  return 2 + extended + (masked ? 4 : 0);
}

/** Masks or unmasks in place; `offset` is the position of `bytes` in the frame's payload. */
export function xor(bytes: Uint8Array, key: Uint8Array, offset: number): void {
  const [k0 = 0, k1 = 0, k2 = 0, k3 = 0] = [0, 1, 2, 3].map((index) => key[(index + offset) & 3]);
  const aligned = bytes.length - (bytes.length % 4);
  for (let index = 0; index < aligned; index += 4) {
    bytes[index] = (bytes[index] ?? 0) ^ k0;
    bytes[index + 1] = (bytes[index + 1] ?? 0) ^ k1;
    bytes[index + 2] = (bytes[index + 2] ?? 0) ^ k2;
    bytes[index + 3] = (bytes[index + 3] ?? 0) ^ k3;
  }
  for (let index = aligned; index < bytes.length; index++) {
    bytes[index] = (bytes[index] ?? 0) ^ (key[(index + offset) & 3] ?? 0);
  }
}

/**
 * Encodes a message in frames of `fragmentSize` bytes; 0 for one frame. As in the Autobahn
 * Testsuite, a message longer than a fragment that divides evenly ends with an empty fragment.
 * `rsv` is set on the first frame.
 */
export function* fragments(opcode: number, payload: Uint8Array, fragmentSize: number, rsv = 0): Generator<Frame> {
  if (fragmentSize === 0 || payload.length <= fragmentSize) {
    yield { opcode, rsv, payload };
    return;
  }
  for (let at = 0; at <= payload.length; at += fragmentSize) {
    const fin = at + fragmentSize > payload.length;
    const piece = payload.subarray(at, at + fragmentSize);
    yield at === 0 ? { opcode, fin, rsv, payload: piece } : { opcode: CONTINUATION, fin, payload: piece };
  }
}
