import { type Candidate, type Comparison, someText } from "./harness.ts";

const SIZES = [8, 16, 32, 64, 256, 1024, 16_384, 65_536, 1_048_576];
const MAX_LOOP = 256; // bytes; above it a loop over characters is not competitive

// Methods of Buffer that @types/node does not declare.
interface RawBuffer extends Buffer {
  utf8Slice(start: number, end: number): string;
  latin1Slice(start: number, end: number): string;
  utf8Write(text: string, at: number, room: number): number;
  latin1Write(text: string, at: number, room: number): number;
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

function fromCharCodes(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}

type Decode = (bytes: RawBuffer, start: number, end: number) => string;

function decoding(kind: "ascii" | "mixed", decodes: Readonly<Record<string, Decode>>): readonly Candidate[] {
  return Object.entries(decodes).map(([name, decode]) => ({
    name,
    prepare(size) {
      const [start, end] = [11, 11 + size];
      const bytes = Buffer.concat([Buffer.alloc(start), Buffer.from(someText(size, kind))]) as RawBuffer;
      if (name.includes("fromCharCode") && size > MAX_LOOP) return undefined;
      return (times) => {
        let seen = 0;
        for (let n = 0; n < times; n++) {
          const text = decode(bytes, start, end);
          seen ^= text.length ^ text.charCodeAt(text.length - 1); // flat, as after the first access
        }
        return seen;
      };
    },
  }));
}

const DECODES: Readonly<Record<string, Decode>> = {
  utf8Slice: (bytes, start, end) => bytes.utf8Slice(start, end),
  'toString("utf8", start, end)': (bytes, start, end) => bytes.toString("utf8", start, end),
  "TextDecoder on a subarray": (bytes, start, end) => decoder.decode(bytes.subarray(start, end)),
};

export const DECODING_ASCII: Comparison = {
  name: "decode-ascii",
  title: "Bytes to text, known to be ASCII",
  sizes: SIZES,
  candidates: decoding("ascii", {
    latin1Slice: (bytes, start, end) => bytes.latin1Slice(start, end),
    ...DECODES,
    "fromCharCode, one by one": fromCharCodes,
  }),
};

export const DECODING_UTF8: Comparison = {
  name: "decode-utf8",
  title: "Bytes to text, with characters of 1 to 4 bytes",
  sizes: SIZES,
  candidates: decoding("mixed", DECODES),
};

type Encode = (text: string, to: RawBuffer, at: number) => number;

function asciiLoop(text: string, to: Uint8Array, at: number): number {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) return -1;
    to[at + index] = unit;
  }
  return text.length;
}

function encoding(kind: "ascii" | "mixed", encodes: Readonly<Record<string, Encode>>): readonly Candidate[] {
  return Object.entries(encodes).map(([name, encode]) => ({
    name,
    prepare(size) {
      const text = someText(size, kind);
      const to = Buffer.alloc(size * 3 + 16) as RawBuffer;
      if (name.includes("charCodeAt") && size > MAX_LOOP) return undefined;
      return (times) => {
        let seen = 0;
        for (let n = 0; n < times; n++) seen += encode(text, to, 10);
        if (seen !== size * times) throw new Error(`${name} wrote ${seen / times} bytes, not ${size}`);
        return seen;
      };
    },
  }));
}

const ENCODES: Readonly<Record<string, Encode>> = {
  utf8Write: (text, to, at) => to.utf8Write(text, at, to.length - at),
  "write(text, at)": (text, to, at) => to.write(text, at),
  "encodeInto a subarray": (text, to, at) => encoder.encodeInto(text, to.subarray(at)).written,
  "byteLength, then utf8Write": (text, to, at) => to.utf8Write(text, at, Buffer.byteLength(text)),
  "byteLength alone": (text) => Buffer.byteLength(text),
  "Buffer.from": (text) => Buffer.from(text).length,
};

export const ENCODING_ASCII: Comparison = {
  name: "encode-ascii",
  title: "Text to bytes, ASCII",
  sizes: SIZES,
  candidates: encoding("ascii", {
    latin1Write: (text, to, at) => to.latin1Write(text, at, to.length - at),
    ...ENCODES,
    "charCodeAt, one by one": asciiLoop,
  }),
};

export const ENCODING_UTF8: Comparison = {
  name: "encode-utf8",
  title: "Text to bytes, with characters of 1 to 4 bytes",
  sizes: SIZES,
  candidates: encoding("mixed", ENCODES),
};
