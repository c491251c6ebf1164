import { isAscii, isUtf8 } from "node:buffer";
import { type Candidate, type Comparison, someText } from "./harness.ts";

const SIZES = [8, 32, 64, 256, 1024, 16_384, 65_536, 1_048_576];

/** Lowest bit set: valid. */
type Check = (bytes: Buffer, words: Int32Array) => boolean;

function orOfWords(bytes: Buffer, words: Int32Array): boolean {
  let seen = 0;
  for (let index = 0; index < words.length; index++) seen |= words[index] ?? 0;
  for (let at = words.length << 2; at < bytes.length; at++) seen |= bytes[at] ?? 0;
  return (seen & 0x80808080) === 0;
}

function byRanges(bytes: Buffer): boolean {
  let at = 0;
  const end = bytes.length;
  while (at < end) {
    const first = bytes[at++] ?? 0;
    if (first < 0x80) continue;
    let [more, low, high] = [0, 0x80, 0xbf];
    if (first >= 0xc2 && first <= 0xdf) more = 1;
    else if (first >= 0xe0 && first <= 0xef) {
      more = 2;
      if (first === 0xe0) low = 0xa0;
      if (first === 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3;
      if (first === 0xf0) low = 0x90;
      if (first === 0xf4) high = 0x8f;
    } else return false;
    for (; more > 0; more--) {
      const next = bytes[at++] ?? 0;
      if (next < low || next > high) return false;
      low = 0x80;
      high = 0xbf;
    }
  }
  return true;
}

// States: 0 start, 1-3 number of continuation bytes expected, 4 after E0, 5 after ED, 6 after F0, 7
// after F4, 8 invalid.
const NEXT = new Uint8Array(9 * 256).fill(8);
{
  const put = (state: number, from: number, to: number, next: number): void =>
    void NEXT.fill(next, state * 256 + from, state * 256 + to + 1);
  put(0, 0x00, 0x7f, 0);
  put(0, 0xc2, 0xdf, 1);
  put(0, 0xe1, 0xef, 2);
  put(0, 0xe0, 0xe0, 4);
  put(0, 0xed, 0xed, 5);
  put(0, 0xf1, 0xf3, 3);
  put(0, 0xf0, 0xf0, 6);
  put(0, 0xf4, 0xf4, 7);
  put(1, 0x80, 0xbf, 0);
  put(2, 0x80, 0xbf, 1);
  put(3, 0x80, 0xbf, 2);
  put(4, 0xa0, 0xbf, 1);
  put(5, 0x80, 0x9f, 1);
  put(6, 0x90, 0xbf, 2);
  put(7, 0x80, 0x8f, 2);
}

function byTable(bytes: Buffer): boolean {
  let state = 0;
  for (let at = 0; at < bytes.length; at++) state = NEXT[(state << 8) | (bytes[at] ?? 0)] ?? 8;
  return state === 0;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

function candidates(kind: "ascii" | "mixed", checks: Readonly<Record<string, Check>>): readonly Candidate[] {
  return Object.entries(checks).map(([name, check]) => ({
    name,
    prepare(size) {
      const bytes = Buffer.from(Uint8Array.from(Buffer.from(someText(size, kind))).buffer);
      const words = new Int32Array(bytes.buffer, 0, size >> 2);
      return (times) => {
        let valid = 0;
        for (let n = 0; n < times; n++) valid += check(bytes, words) ? 1 : 0;
        if (valid !== times) throw new Error(`${name} rejects valid text`);
        return valid;
      };
    },
  }));
}

export const CHECKING_ASCII: Comparison = {
  name: "check-ascii",
  title: "Is it UTF-8? Text that is ASCII",
  sizes: SIZES,
  candidates: candidates("ascii", {
    "OR of words": orOfWords,
    "isAscii of node:buffer": (bytes) => isAscii(bytes),
    "isUtf8 of node:buffer": (bytes) => isUtf8(bytes),
    "byte ranges": byRanges,
    "table of states": byTable,
    "TextDecoder, fatal": (bytes) => decoder.decode(bytes).length > 0,
  }),
};

export const CHECKING_UTF8: Comparison = {
  name: "check-utf8",
  title: "Is it UTF-8? Text with characters of 1 to 4 bytes",
  sizes: SIZES,
  candidates: candidates("mixed", {
    "isUtf8 of node:buffer": (bytes) => isUtf8(bytes),
    "byte ranges": byRanges,
    "table of states": byTable,
    "TextDecoder, fatal": (bytes) => decoder.decode(bytes).length > 0,
  }),
};
