import { createRequire } from "node:module";
import { type Candidate, type Comparison, someBytes } from "./harness.ts";
import { maskingMemory } from "./masking-module.ts";

const SIZES = [8, 32, 64, 256, 1024, 16_384, 65_536, 1_048_576];
const KEY = 0x5a17c3e9 | 0;
const KEY_BYTES = Buffer.from([KEY & 255, (KEY >> 8) & 255, (KEY >> 16) & 255, (KEY >> 24) & 255]);
const UNALIGNED = 3; // offset of a payload in its chunk

interface BufferUtil {
  readonly mask: (source: Buffer, mask: Buffer, output: Buffer, offset: number, length: number) => void;
  readonly unmask: (buffer: Buffer, mask: Buffer) => void;
}

const bufferutil = ((): BufferUtil | undefined => {
  try {
    return createRequire(import.meta.url)("bufferutil") as BufferUtil;
  } catch {
    return undefined;
  }
})();

function xorBytes(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number, key: number): void {
  for (let index = 0; index < length; index++) {
    to[at + index] = (from[start + index] ?? 0) ^ ((key >>> ((index & 3) << 3)) & 255);
  }
}

function xorWords(words: Int32Array, from: number, to: number, key: number): void {
  for (let index = from; index < to; index++) words[index] = (words[index] ?? 0) ^ key;
}

function xorWordsBy8(words: Int32Array, from: number, to: number, key: number): void {
  let index = from;
  for (; index + 8 <= to; index += 8) {
    words[index] = (words[index] ?? 0) ^ key;
    words[index + 1] = (words[index + 1] ?? 0) ^ key;
    words[index + 2] = (words[index + 2] ?? 0) ^ key;
    words[index + 3] = (words[index + 3] ?? 0) ^ key;
    words[index + 4] = (words[index + 4] ?? 0) ^ key;
    words[index + 5] = (words[index + 5] ?? 0) ^ key;
    words[index + 6] = (words[index + 6] ?? 0) ^ key;
    words[index + 7] = (words[index + 7] ?? 0) ^ key;
  }
  xorWords(words, index, to, key);
}

/** Masks in place. */
export const MASKING_IN_PLACE: Comparison = {
  name: "mask-in-place",
  title: "XOR with the masking key in place",
  sizes: SIZES,
  candidates: [
    {
      name: "byte loop",
      prepare(size) {
        const bytes = someBytes(size);
        return (times) => {
          for (let n = 0; n < times; n++) xorBytes(bytes, 0, bytes, 0, size, KEY);
          return bytes[0] ?? 0;
        };
      },
    },
    {
      name: "Int32Array",
      prepare(size) {
        const words = new Int32Array(someBytes(size).buffer);
        return (times) => {
          for (let n = 0; n < times; n++) xorWords(words, 0, words.length, KEY);
          return words[0] ?? 0;
        };
      },
    },
    {
      name: "Int32Array, 8 in a loop",
      prepare(size) {
        const words = new Int32Array(someBytes(size).buffer);
        return (times) => {
          for (let n = 0; n < times; n++) xorWordsBy8(words, 0, words.length, KEY);
          return words[0] ?? 0;
        };
      },
    },
    {
      name: "WebAssembly SIMD, not aligned",
      prepare(size) {
        const { bytes, copyMasked } = maskingMemory(size + UNALIGNED);
        return (times) => {
          for (let n = 0; n < times; n++) copyMasked(UNALIGNED, UNALIGNED, size, KEY);
          return bytes[UNALIGNED] ?? 0;
        };
      },
    },
    ...native("bufferutil", ({ unmask }, size) => {
      const bytes = Buffer.from(someBytes(size));
      return (times) => {
        for (let n = 0; n < times; n++) unmask(bytes, KEY_BYTES);
        return bytes[0] ?? 0;
      };
    }),
  ],
};

/** Copies from an odd offset of a chunk to the message's memory. */
export const MASKING_COPIED: Comparison = {
  name: "mask-copy",
  title: "XOR with the masking key while copying from an odd offset",
  sizes: SIZES,
  candidates: [
    {
      name: "byte loop",
      prepare(size) {
        const [from, to] = [someBytes(size + UNALIGNED), new Uint8Array(size)];
        return (times) => {
          for (let n = 0; n < times; n++) xorBytes(from, UNALIGNED, to, 0, size, KEY);
          return to[0] ?? 0;
        };
      },
    },
    {
      name: "DataView words",
      prepare(size) {
        const [from, to] = [new DataView(someBytes(size + UNALIGNED).buffer), new DataView(new ArrayBuffer(size))];
        return (times) => {
          for (let n = 0; n < times; n++) {
            for (let at = 0; at < size; at += 4) to.setInt32(at, from.getInt32(UNALIGNED + at, true) ^ KEY, true);
          }
          return to.getUint8(0);
        };
      },
    },
    {
      name: "set, then Int32Array",
      prepare(size) {
        const [from, to] = [someBytes(size + UNALIGNED), new Uint8Array(size)];
        const words = new Int32Array(to.buffer);
        return (times) => {
          for (let n = 0; n < times; n++) {
            to.set(from.subarray(UNALIGNED, UNALIGNED + size));
            xorWords(words, 0, words.length, KEY);
          }
          return to[0] ?? 0;
        };
      },
    },
    {
      name: "set, then Int32Array, 8 in a loop",
      prepare(size) {
        const [from, to] = [someBytes(size + UNALIGNED), new Uint8Array(size)];
        const words = new Int32Array(to.buffer);
        return (times) => {
          for (let n = 0; n < times; n++) {
            to.set(from.subarray(UNALIGNED, UNALIGNED + size));
            xorWordsBy8(words, 0, words.length, KEY);
          }
          return to[0] ?? 0;
        };
      },
    },
    {
      name: "WebAssembly SIMD in place, then set",
      prepare(size) {
        const { bytes, copyMasked } = maskingMemory(size + UNALIGNED);
        const to = new Uint8Array(size);
        return (times) => {
          for (let n = 0; n < times; n++) {
            copyMasked(UNALIGNED, UNALIGNED, size, KEY);
            to.set(bytes.subarray(UNALIGNED, UNALIGNED + size));
          }
          return to[0] ?? 0;
        };
      },
    },
    {
      name: "WebAssembly SIMD, set in and set out",
      prepare(size) {
        const { bytes, copyMasked } = maskingMemory(size);
        const [from, to] = [someBytes(size + UNALIGNED), new Uint8Array(size)];
        return (times) => {
          for (let n = 0; n < times; n++) {
            bytes.set(from.subarray(UNALIGNED, UNALIGNED + size));
            copyMasked(0, 0, size, KEY);
            to.set(bytes.subarray(0, size));
          }
          return to[0] ?? 0;
        };
      },
    },
    {
      name: "WebAssembly SIMD within its memory",
      prepare(size) {
        const to = (size + UNALIGNED + 15) & ~15;
        const { bytes, copyMasked } = maskingMemory(to + size);
        return (times) => {
          for (let n = 0; n < times; n++) copyMasked(to, UNALIGNED, size, KEY);
          return bytes[to] ?? 0;
        };
      },
    },
    ...native("bufferutil", ({ mask }, size) => {
      const [from, to] = [Buffer.from(someBytes(size + UNALIGNED)).subarray(UNALIGNED), Buffer.alloc(size)];
      return (times) => {
        for (let n = 0; n < times; n++) mask(from, KEY_BYTES, to, 0, size);
        return to[0] ?? 0;
      };
    }),
  ],
};

function native(
  name: string,
  prepare: (util: BufferUtil, size: number) => (times: number) => number,
): readonly Candidate[] {
  if (bufferutil === undefined) return [];
  return [{ name, prepare: (size) => prepare(bufferutil, size) }];
}
