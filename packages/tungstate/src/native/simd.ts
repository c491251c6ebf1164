import type { Primitives } from "@tungstate/protocol";

/**
 * XOR with a masking key, 16 bytes at a time. It is a WebAssembly module of one function, written
 * out below. The read buffer of all sockets is part of its memory, so received bytes are unmasked
 * without another copy. Without WebAssembly or SIMD, `loadSimd` returns undefined, and portable
 * code is used.
 */

// The part of WebAssembly's JavaScript interface that is used here. The types of Node.js lack it.
interface Memory {
  readonly buffer: ArrayBuffer;
}
declare const WebAssembly: {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => Memory;
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: Memory } },
  ) => { readonly exports: Readonly<Record<string, unknown>> };
};

/**
 * Size in bytes. Reads of up to 256 KiB make large messages faster (docs/performance.md). The rest
 * is for headers, so that 256 KiB of payloads are received in one read.
 */
export const READ_BUFFER_SIZE = 320 * 1024;
const SCRATCH_SIZE = 32 * 1024; // bytes; fits into the first-level cache
const LARGEST_REMEMBERED = 2048; // bytes
const PAGE = 64 * 1024;

export interface Simd {
  /** READ_BUFFER_SIZE bytes for the reads of the whole process. */
  readonly readBuffer: Uint8Array;
  /** As `copyMasked` in the protocol package. */
  readonly copyMasked: Primitives["copyMasked"];
}

/**
 * `mask(to, from, length, key)`: writes `length` bytes. Returns 0 if all of them are ASCII. The
 * ranges may be the same; otherwise they must not overlap.
 */
type Mask = (to: number, from: number, length: number, key: number) => number;

/**
 * Returns the function and its read buffer; undefined without WebAssembly or SIMD. Each call
 * allocates separate memory.
 */
export function loadSimd(): Simd | undefined {
  let memory: Memory;
  let mask: Mask;
  try {
    const pages = (READ_BUFFER_SIZE + SCRATCH_SIZE) / PAGE;
    memory = new WebAssembly.Memory({ initial: Math.ceil(pages), maximum: Math.ceil(pages) });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(assemble()), { env: { memory } });
    mask = instance.exports["mask"] as Mask;
  } catch {
    return undefined; // no SIMD, or WebAssembly is disabled
  }
  const readBuffer = Buffer.from(memory.buffer, 0, READ_BUFFER_SIZE);
  const scratch = Buffer.from(memory.buffer, READ_BUFFER_SIZE, SCRATCH_SIZE);
  /**
   * Views of the first bytes of `scratch`, by length. `set` takes only a whole array, and creating
   * a view takes as long as copying 1 KiB.
   */
  const firstOf: (Uint8Array | undefined)[] = [];
  const scratchOf = (size: number): Uint8Array => {
    if (size === SCRATCH_SIZE) return scratch;
    if (size > LARGEST_REMEMBERED) return scratch.subarray(0, size);
    return (firstOf[size] ??= scratch.subarray(0, size));
  };
  return {
    readBuffer,
    copyMasked(source, start, length, key, target, _targetWords, at) {
      const inMemory = source === readBuffer;
      let seen = 0;
      // pieces are multiples of 4 bytes, so the key need not be rotated between them
      for (let done = 0; done < length; done += SCRATCH_SIZE) {
        const size = Math.min(SCRATCH_SIZE, length - done);
        if (!inMemory) scratch.set(source.subarray(start + done, start + done + size));
        seen |= mask(READ_BUFFER_SIZE, inMemory ? start + done : READ_BUFFER_SIZE, size, key);
        target.set(scratchOf(size), at + done);
      }
      return seen === 0 ? 0 : 0x80;
    },
  };
}

// ---- the module, in the binary format of the WebAssembly specification (core, §5)

const I32 = 0x7f;
const V128 = 0x7b;
const EMPTY_BLOCK = 0x40;

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** Signed LEB128 of a number that is not negative. */
function constant(value: number): number[] {
  const bytes = unsigned(value);
  return (bytes[bytes.length - 1] & 0x40) === 0
    ? [0x41, ...bytes]
    : [0x41, ...bytes.with(-1, bytes[bytes.length - 1] | 0x80), 0];
}

const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const simdOp = (opcode: number, ...rest: number[]): number[] => [0xfd, ...unsigned(opcode), ...rest];
const section = (id: number, ...bytes: number[]): number[] => [id, ...unsigned(bytes.length), ...bytes];
const name = (text: string): number[] => [text.length, ...[...text].map((character) => character.charCodeAt(0))];

const ADD = 0x6a;
const SUB = 0x6b;
const OR = 0x72;
const XOR = 0x73;
const LESS_UNSIGNED = 0x49;

// parameters, then locals
const [TO, FROM, LENGTH, KEY, SEEN, BYTE, KEYS, ALL, PART] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

const advance = (by: number): number[] => [
  ...[...get(TO), ...constant(by), ADD, ...set(TO)],
  ...[...get(FROM), ...constant(by), ADD, ...set(FROM)],
  ...[...get(LENGTH), ...constant(by), SUB, ...set(LENGTH)],
];

/** Repeats `body` while LENGTH is at least `step`, and advances by `step` each time. */
const whileAtLeast = (step: number, body: number[]): number[] => [
  ...[0x02, EMPTY_BLOCK, 0x03, EMPTY_BLOCK], // block, loop
  ...[...get(LENGTH), ...constant(step), LESS_UNSIGNED, 0x0d, 1], // leave the block
  ...body,
  ...advance(step),
  ...[0x0c, 0, 0x0b, 0x0b], // again; ends of loop and block
];

/** 16 bytes at `offset`: load, XOR with KEYS, keep in PART, OR into ALL, store. */
const sixteen = (offset: number): number[] => [
  ...get(TO),
  ...[...get(FROM), ...simdOp(0x00, 0, ...unsigned(offset))], // v128.load
  ...[...get(KEYS), ...simdOp(0x51)], // v128.xor
  ...set(PART),
  ...[...get(ALL), ...get(PART), ...simdOp(0x50), ...set(ALL)], // v128.or
  ...[...get(PART), ...simdOp(0x0b, 0, ...unsigned(offset))], // v128.store
];

function assemble(): Uint8Array<ArrayBuffer> {
  const code = [
    ...[2, 2, I32, 3, V128], // locals: two i32, three v128
    ...[...get(KEY), ...simdOp(0x11), ...set(KEYS)], // i32x4.splat
    ...whileAtLeast(64, [0, 16, 32, 48].flatMap(sixteen)),
    ...whileAtLeast(16, sixteen(0)),
    // the rest byte by byte; the key is rotated after each
    ...whileAtLeast(1, [
      // i32.load8_u, i32.and
      ...[...get(FROM), 0x2d, 0, 0, ...get(KEY), ...constant(0xff), 0x71, XOR, ...set(BYTE)],
      ...[...get(SEEN), ...get(BYTE), OR, ...set(SEEN)],
      ...[...get(TO), ...get(BYTE), 0x3a, 0, 0], // i32.store8
      ...[...get(KEY), ...constant(8), 0x78, ...set(KEY)], // i32.rotr
    ]),
    ...[...get(SEEN), ...constant(0x80), 0x71], // i32.and
    ...[...get(ALL), ...simdOp(0x64), OR], // i8x16.bitmask: the top bit of each byte
    0x0b,
  ];
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // magic, version
    ...section(1, 1, 0x60, 4, I32, I32, I32, I32, 1, I32), // the type of `mask`
    ...section(2, 1, ...name("env"), ...name("memory"), 2, 0, 1), // memory, at least one page
    ...section(3, 1, 0),
    ...section(7, 1, ...name("mask"), 0, 0),
    ...section(10, 1, ...unsigned(code.length), ...code),
  ]);
}
