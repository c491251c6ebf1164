import { decodeLatin1 } from "./latin1.ts";
import { copyMasked, type ViewCache } from "./mask.ts";
import { checkUtf8, decodeUtf8, utf8Length, UTF8_INVALID, UTF8_START, writeUtf8 } from "./utf8.ts";

/**
 * The functions that a platform may have in a faster, native form. They return the same results as
 * the portable ones, so that replacing them changes speed and nothing else.
 */
export interface Primitives {
  /**
   * Returns a new array of `size` bytes at the start of a buffer of its own. Its contents may be
   * uninitialised: all of it is written before any of it is read.
   */
  readonly allocate: (size: number) => Uint8Array;
  /**
   * Copies `length` bytes from `source[start]` to `target[at]`, XORed with `key`, and returns a
   * number that is 0x80 or more in one of its bytes if a byte written is not ASCII. `targetWords`
   * is a word view of target's buffer, in which target starts at byte 0. Called for pieces that are
   * not short.
   */
  readonly copyMasked: (
    source: Uint8Array,
    start: number,
    length: number,
    key: number,
    target: Uint8Array,
    targetWords: Int32Array,
    at: number,
  ) => number;
  /**
   * Returns whether the bytes are one whole piece of UTF-8. Called for pieces that are neither
   * ASCII nor short.
   */
  readonly isUtf8: (bytes: Uint8Array) => boolean;
  /** Decodes bytes that are valid UTF-8. */
  readonly decodeUtf8: (bytes: Uint8Array, start: number, end: number) => string;
  /** Decodes bytes to one character each. */
  readonly decodeLatin1: (bytes: Uint8Array, start: number, end: number) => string;
  /** Returns how many bytes `text` takes as UTF-8. */
  readonly utf8Length: (text: string) => number;
  /** Writes text at `target[at]`, where there is room, and returns the offset behind it. */
  readonly writeUtf8: (text: string, target: Uint8Array, at: number) => number;
}

/** Returns the primitives in ECMAScript alone. `views` remembers the view of what is copied. */
export function portablePrimitives(views: ViewCache): Primitives {
  return {
    allocate: (size) => new Uint8Array(size),
    copyMasked: (source, start, length, key, target, targetWords, at) =>
      copyMasked(source, start, length, key, target, targetWords, at, views),
    isUtf8: (bytes) => checkUtf8(bytes, 0, bytes.length, UTF8_START) === UTF8_START,
    decodeUtf8,
    decodeLatin1,
    utf8Length,
    writeUtf8,
  };
}

export const NATIVE_PAYS = 128; // bytes; a call into native code costs as much as processing about so many here

/** Returns what `checkUtf8` returns; the platform's function checks the bulk of a long piece. */
export function checkUtf8Piece(
  bytes: Uint8Array,
  start: number,
  end: number,
  current: number,
  primitives: Primitives,
): number {
  if (end - start < NATIVE_PAYS) return checkUtf8(bytes, start, end, current);
  while (current > UTF8_START) current = checkUtf8(bytes, start, ++start, current); // three bytes at most
  if (current === UTF8_INVALID) return UTF8_INVALID;
  // the last character may be unfinished: leave it to the incremental check
  let whole = end - 1;
  while (end - whole < 4 && (bytes[whole] & 0xc0) === 0x80) whole--;
  if (!primitives.isUtf8(bytes.subarray(start, whole))) return UTF8_INVALID;
  return checkUtf8(bytes, whole, end, UTF8_START);
}
