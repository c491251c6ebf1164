// A WebAssembly module with one function, assembled by hand: copyMasked(to, from, length, key) XORs
// `length` bytes at `from` with the four bytes of `key` (little-endian) and writes them to `to`, 64
// at a time, in the memory imported as e.m.

export interface MaskingMemory {
  readonly bytes: Uint8Array;
  readonly copyMasked: (to: number, from: number, length: number, key: number) => void;
}

// The part of the WebAssembly types used here; the originals are declared with the DOM's.
declare const WebAssembly: {
  Memory: new (options: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
};

const PAGE = 65_536; // bytes
const [I32, V128, VOID] = [0x7f, 0x7b, 0x40];
const [TO, FROM, LENGTH, KEY, KEYS] = [0, 1, 2, 3, 4];

const unsigned = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)]);
const vector = (items: readonly number[][]): number[] => [...unsigned(items.length), ...items.flat()];
const text = (value: string): number[] => [...unsigned(value.length), ...new TextEncoder().encode(value)];
const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content];

const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
// signed LEB128; all values here are below 8,192
const constant = (value: number): number[] => [0x41, ...(value < 64 ? [value] : [(value & 127) | 128, value >>> 7])];
const add = (local: number, value: number): number[] => [...get(local), ...constant(value), 0x6a, ...set(local)];
const subtract = (local: number, value: number): number[] => [...get(local), ...constant(value), 0x6b, ...set(local)];
const simd = (opcode: number, ...rest: number[]): number[] => [0xfd, ...unsigned(opcode), ...rest];

// block { loop { if length < step, leave the block; body; to += step; from += step; length -= step;
// repeat } }
function whileAtLeast(step: number, body: readonly number[]): number[] {
  const advance = [...add(TO, step), ...add(FROM, step), ...subtract(LENGTH, step)];
  return [
    0x02,
    VOID,
    0x03,
    VOID,
    ...get(LENGTH),
    ...constant(step),
    0x49,
    0x0d,
    1,
    ...body,
    ...advance,
    0x0c,
    0,
    0x0b,
    0x0b,
  ];
}

const xor16 = (offset: number): number[] => [
  ...get(TO),
  ...[...get(FROM), ...simd(0x00, 0, offset)], // v128.load
  ...[...get(KEYS), ...simd(0x51)], // v128.xor
  ...simd(0x0b, 0, offset), // v128.store
];
const xor4 = [...get(TO), ...get(FROM), 0x28, 0, 0, ...get(KEY), 0x73, 0x36, 0, 0];
const xor1 = [...get(TO), ...get(FROM), 0x2d, 0, 0, ...get(KEY), 0x73, 0x3a, 0, 0];

const body = [
  ...vector([[1, V128]]), // locals: KEYS
  ...[...get(KEY), ...simd(0x11), ...set(KEYS)], // i32x4.splat
  ...whileAtLeast(64, [0, 16, 32, 48].flatMap(xor16)),
  ...whileAtLeast(4, xor4),
  ...whileAtLeast(1, [...xor1, ...get(KEY), ...constant(8), 0x76, ...set(KEY)]),
  0x0b,
];

const MODULE = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...section(1, vector([[0x60, ...vector([[I32], [I32], [I32], [I32]]), 0]])),
  ...section(2, vector([[...text("e"), ...text("m"), 2, 0, 1]])),
  ...section(3, vector([[0]])),
  ...section(7, vector([[...text("copyMasked"), 0, 0]])),
  ...section(10, vector([[...unsigned(body.length), ...body]])),
]);

/** Creates at least `size` bytes of memory and a function that works in it. */
export function maskingMemory(size: number): MaskingMemory {
  const pages = Math.ceil(size / PAGE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(MODULE), { e: { m: memory } });
  const copyMasked = exports["copyMasked"] as MaskingMemory["copyMasked"];
  return { bytes: new Uint8Array(memory.buffer), copyMasked };
}
