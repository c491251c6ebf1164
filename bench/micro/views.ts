import { type Candidate, type Comparison, someBytes } from "./harness.ts";

const SIZES = [8, 64, 256, 1024, 4096, 65_536];
const OFFSET = 102; // bytes; offset of the payload in its chunk
const SLAB = 64 * 1024; // bytes

type Take = (chunk: Buffer, size: number) => Uint8Array;

const takes: Readonly<Record<string, Take>> = {
  "subarray of a Buffer": (chunk, size) => chunk.subarray(OFFSET, OFFSET + size),
  "subarray of a Uint8Array": (chunk, size) => Uint8Array.prototype.subarray.call(chunk, OFFSET, OFFSET + size),
  "new Uint8Array(buffer, offset, size)": (chunk, size) => new Uint8Array(chunk.buffer, OFFSET, size),
  "Buffer.from(buffer, offset, size)": (chunk, size) => Buffer.from(chunk.buffer, OFFSET, size),
  "Uint8Array.slice: a copy": (chunk, size) => Uint8Array.prototype.slice.call(chunk, OFFSET, OFFSET + size),
  "new Uint8Array(size), set": (chunk, size) => {
    const copy = new Uint8Array(size);
    copy.set(chunk.subarray(OFFSET, OFFSET + size));
    return copy;
  },
  "Buffer.allocUnsafe, copy": (chunk, size) => {
    const copy = Buffer.allocUnsafe(size);
    chunk.copy(copy, 0, OFFSET, OFFSET + size);
    return copy;
  },
  "Buffer.allocUnsafeSlow, copy": (chunk, size) => {
    const copy = Buffer.allocUnsafeSlow(size);
    chunk.copy(copy, 0, OFFSET, OFFSET + size);
    return copy;
  },
};

const slabbed: readonly Candidate[] = [
  {
    name: "byte loop to a custom slab, no view",
    prepare(size) {
      const chunk = someBytes(SLAB * 2);
      let [slab, at] = [new Uint8Array(SLAB), 0];
      return (times) => {
        for (let n = 0; n < times; n++) {
          if (at + size > SLAB) [slab, at] = [new Uint8Array(SLAB), 0];
          for (let index = 0; index < size; index++) slab[at + index] = chunk[OFFSET + index] ?? 0;
          at += size;
        }
        return slab[0] ?? 0;
      };
    },
  },
  {
    name: "word loop to a custom slab, no view",
    prepare(size) {
      const chunk = new Int32Array(someBytes(SLAB * 2).buffer);
      let [slab, at] = [new Int32Array(SLAB >> 2), 0];
      const [words, from] = [size >> 2, OFFSET >> 2];
      return (times) => {
        for (let n = 0; n < times; n++) {
          if (at + words > slab.length) [slab, at] = [new Int32Array(SLAB >> 2), 0];
          for (let index = 0; index < words; index++) slab[at + index] = chunk[from + index] ?? 0;
          at += words;
        }
        return slab[0] ?? 0;
      };
    },
  },
];

export const VIEWS: Comparison = {
  name: "view",
  title: "Memory for one payload of a chunk: views, copies, a slab",
  sizes: SIZES,
  candidates: [
    ...Object.entries(takes).map(([name, take]): Candidate => ({
      name,
      prepare(size) {
        const chunk = Buffer.from(someBytes(SLAB * 2).buffer);
        return (times) => {
          let seen = 0;
          for (let n = 0; n < times; n++) seen ^= take(chunk, size)[size - 1] ?? 0;
          return seen;
        };
      },
    })),
    ...slabbed,
  ],
};
