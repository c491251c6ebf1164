import type { Random } from "./random.ts";

const INTERESTING = [
  0, 1, 9, 10, 13, 32, 34, 44, 58, 59, 61, 92, 0x7e, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xed, 0xf4, 0xfe, 0xff,
];

type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

const somewhere = (bytes: Buffer, random: Random): number => random.integer(bytes.length + 1);
const join = (...parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts);

const MUTATIONS: readonly Mutation[] = [
  // one bit
  (bytes, random) => {
    if (bytes.length > 0) {
      const at = random.integer(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(8));
    }
    return bytes;
  },
  // one byte
  (bytes, random) => {
    if (bytes.length > 0) bytes[random.integer(bytes.length)] = random.pick(INTERESTING);
    return bytes;
  },
  // an insertion
  (bytes, random) => {
    const at = somewhere(bytes, random);
    return join(bytes.subarray(0, at), random.bytes(1 + random.integer(4)), bytes.subarray(at));
  },
  // a removal
  (bytes, random) => {
    const at = somewhere(bytes, random);
    return join(bytes.subarray(0, at), bytes.subarray(at + 1 + random.integer(8)));
  },
  // a repetition
  (bytes, random) => {
    const at = somewhere(bytes, random);
    const part = bytes.subarray(at, at + 1 + random.integer(32));
    return join(bytes.subarray(0, at), part, bytes.subarray(at));
  },
  // a truncation
  (bytes, random) => bytes.subarray(0, somewhere(bytes, random)),
  // the end of another input
  (bytes, random, other) => join(bytes.subarray(0, somewhere(bytes, random)), other.subarray(somewhere(other, random))),
  // a part of another input
  (bytes, random, other) => {
    const at = somewhere(bytes, random);
    const from = somewhere(other, random);
    return join(bytes.subarray(0, at), other.subarray(from, from + 1 + random.integer(16)), bytes.subarray(at));
  },
];

const MAX_LENGTH = 64 * 1024; // bytes; longer inputs are truncated

/** Makes a few changes; parts of `other` may be inserted. */
export function mutate(input: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  let bytes: Buffer = Buffer.from(input);
  for (let left = 1 + random.integer(4); left > 0; left--) {
    bytes = random.pick(MUTATIONS)(Buffer.from(bytes), random, Buffer.from(other));
  }
  return new Uint8Array(bytes.subarray(0, MAX_LENGTH));
}
