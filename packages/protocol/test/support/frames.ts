// A second, simple implementation of RFC 6455 §5.2, to compare frames with.
import { concat } from "./bytes.ts";

export type Key = readonly [number, number, number, number];
export type Role = "client" | "server";
export const ROLES: readonly Role[] = ["server", "client"];

export const KEY: Key = [0x37, 0xfa, 0x21, 0x3d]; // the RFC's own example

export interface FrameSpec {
  readonly fin?: boolean;
  /** RSV1 to RSV3 as a number of three bits. */
  readonly rsv?: number;
  readonly opcode: number;
  readonly payload?: Uint8Array;
  readonly key?: Key | undefined;
  /** Number of bits of the length; the minimum by default. */
  readonly form?: 7 | 16 | 64;
  /** The length in the header, if it differs from the payload's. */
  readonly declared?: bigint;
}

export function frame(spec: FrameSpec): Uint8Array {
  const payload = spec.payload ?? new Uint8Array(0);
  const length = spec.declared ?? BigInt(payload.length);
  const form = spec.form ?? (length < 126n ? 7 : length < 65536n ? 16 : 64);
  const mask = spec.key === undefined ? 0 : 128;
  const header = [(spec.fin === false ? 0 : 128) + (spec.rsv ?? 0) * 16 + spec.opcode];
  if (form === 7) header.push(mask + Number(length));
  else {
    header.push(mask + (form === 16 ? 126 : 127));
    for (let bits = form - 8; bits >= 0; bits -= 8) header.push(Number((length >> BigInt(bits)) & 0xffn));
  }
  if (spec.key === undefined) return concat(Uint8Array.from(header), payload);
  return concat(Uint8Array.from([...header, ...spec.key]), masked(payload, spec.key));
}

/** RFC 6455 §5.3, octet by octet. */
export function masked(payload: Uint8Array, key: Key): Uint8Array {
  return payload.map((octet, i) => octet ^ key[i % 4]);
}

/** The masking key of frames sent *to* this role. */
export function keyTo(role: Role): Key | undefined {
  return role === "server" ? KEY : undefined;
}

export interface Frame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly key: Key | undefined;
  readonly payload: Uint8Array;
}

/** Returns all frames in `bytes`, unmasked. Throws for incomplete or malformed frames. */
export function readFrames(bytes: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  let at = 0;
  const next = (count: number): Uint8Array => {
    if (at + count > bytes.length) throw new Error(`a frame is cut off: ${count} bytes wanted at ${at}`);
    return bytes.slice(at, (at += count));
  };
  while (at < bytes.length) {
    const [first, second] = next(2);
    let length = BigInt(second & 127);
    if (length >= 126n) {
      const least = length === 126n ? 126n : 65536n;
      length = next(length === 126n ? 2 : 8).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
      if (length < least) throw new Error(`a length of ${length} is not in its shortest form`);
    }
    const [a, b, c, d] = second < 128 ? [] : next(4);
    const key: Key | undefined = second < 128 ? undefined : [a, b, c, d];
    const payload = next(Number(length));
    frames.push({
      fin: first >= 128,
      rsv: (first >> 4) & 7,
      opcode: first & 15,
      key,
      payload: key === undefined ? payload : masked(payload, key),
    });
  }
  return frames;
}
