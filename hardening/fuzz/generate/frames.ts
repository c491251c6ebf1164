import { isSendableCloseCode } from "@tungstate/protocol";
import type { Random } from "../random.ts";

const OPCODES = [0, 0, 1, 1, 1, 2, 2, 8, 9, 10] as const;

/**
 * Pieces of UTF-8 at its limits, and invalid ones: overlong forms, surrogates, beyond U+10FFFF,
 * single bytes.
 */
const TEXTS: readonly (readonly number[])[] = [
  [0x61],
  [0x7f],
  [0xc2, 0x80],
  [0xdf, 0xbf],
  [0xe0, 0xa0, 0x80],
  [0xed, 0x9f, 0xbf],
  [0xee, 0x80, 0x80],
  [0xef, 0xbf, 0xbf],
  [0xf0, 0x90, 0x80, 0x80],
  [0xf4, 0x8f, 0xbf, 0xbf],
];
const NO_TEXTS: readonly (readonly number[])[] = [
  [0x80],
  [0xc0, 0x80],
  [0xc1, 0xbf],
  [0xe0, 0x9f, 0xbf],
  [0xed, 0xa0, 0x80],
  [0xf0, 0x8f, 0xbf, 0xbf],
  [0xf4, 0x90, 0x80, 0x80],
  [0xf5],
  [0xff],
];

/** Bytes that are mostly UTF-8; sometimes the last character is incomplete. */
function text(random: Random, length: number): Uint8Array {
  const bytes: number[] = [];
  while (bytes.length < length) {
    const next = random.chance(0.005) ? random.pick(NO_TEXTS) : random.pick(TEXTS);
    const fits = bytes.length + next.length <= length || random.chance(0.1);
    bytes.push(...(fits ? next : [0x61]));
  }
  return Uint8Array.from(bytes.slice(0, length));
}

function closePayload(random: Random): Uint8Array {
  const kind = random.integer(6);
  if (kind === 0) return random.bytes(random.integer(3));
  let code = random.pick([999, 1000, 1001, 1004, 1005, 1006, 1007, 1014, 1015, 1100, 2999, 3000, 4999, 5000]);
  if (kind < 4 && !isSendableCloseCode(code)) code = 1000;
  return Uint8Array.from([code >> 8, code & 0xff, ...text(random, random.integer(kind === 5 ? 124 : 20))]);
}

interface Frame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: Uint8Array;
  /** How the length is encoded; undefined: in its shortest form. */
  readonly bits: 16 | 64 | undefined;
  /** The declared length, if it is not the payload's length. */
  readonly declared: bigint | undefined;
}

export function encode({ fin, rsv, opcode, masked, payload, bits, declared }: Frame, key: Uint8Array): Uint8Array {
  const length = declared ?? BigInt(payload.length);
  const form = bits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64);
  const header = [
    (fin ? 0x80 : 0) | rsv | opcode,
    (masked ? 0x80 : 0) | (form === 7 ? Number(length) : form === 16 ? 126 : 127),
  ];
  if (form !== 7) {
    for (let shift = BigInt(form - 8); shift >= 0n; shift -= 8n) header.push(Number((length >> shift) & 0xffn));
  }
  if (masked) header.push(...key);
  const body = masked ? payload.map((byte, at) => byte ^ (key[at & 3] ?? 0)) : payload;
  return Buffer.concat([Uint8Array.from(header), body]);
}

export interface FrameOptions {
  readonly masked: boolean;
  readonly compressed: boolean;
  /** Usual maximum payload. */
  readonly most: number;
  /** What happens to a payload that is to be compressed. */
  readonly deflate?: (payload: Uint8Array, random: Random) => Uint8Array;
}

/** A stream of frames, mostly valid and in a valid order. */
export function frames(random: Random, { masked, compressed, most, deflate }: FrameOptions): Uint8Array {
  const parts: Uint8Array[] = [];
  let inMessage: 0 | 1 | 2 = 0;
  for (let left = 1 + random.integer(8); left > 0; left--) {
    const wild = random.chance(0.06);
    let opcode: number = wild ? random.integer(16) : random.pick(OPCODES);
    if (!wild && opcode < 8) opcode = inMessage === 0 ? Math.max(opcode, 1) : 0;
    const control = opcode >= 8;
    const fin = control ? !random.chance(0.01) : random.chance(0.6);
    const isText = opcode === 1 || (opcode === 0 && inMessage === 1);
    let payload =
      opcode === 8
        ? closePayload(random)
        : isText
          ? text(random, random.length(most))
          : new Uint8Array(random.length(control ? (random.chance(0.02) ? 130 : 125) : most)).fill(random.integer(256));
    const rsv1 = compressed && (opcode === 1 || opcode === 2) && random.chance(0.5);
    if (rsv1 && deflate !== undefined && fin) payload = deflate(payload, random);
    parts.push(
      encode(
        {
          fin,
          rsv: (rsv1 ? 0x40 : 0) | (random.chance(0.01) ? random.pick([0x10, 0x20, 0x40]) : 0),
          opcode,
          masked: random.chance(0.01) ? !masked : masked,
          payload,
          bits: random.chance(0.02) ? random.pick([16, 64]) : undefined,
          declared: random.chance(0.01)
            ? random.pick([2n ** 31n, 2n ** 32n + 5n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, 1001n, 65_536n])
            : undefined,
        },
        random.bytes(4),
      ),
    );
    if (opcode === 1 || opcode === 2) inMessage = fin ? 0 : opcode;
    else if (opcode === 0 && fin) inMessage = 0;
  }
  return Buffer.concat(parts);
}
