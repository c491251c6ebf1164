import { decodeLatin1 } from "./latin1.ts";
import { copyMasked, type ViewCache } from "./mask.ts";
import { checkUtf8, decodeUtf8, utf8Length, UTF8_INVALID, UTF8_START, writeUtf8 } from "./utf8.ts";

/**
 * Functions that a platform may have in a faster, native form. They return the same results as the
 * portable ones: replacing them changes nothing but speed.
 */
export interface Primitives {
  /**
   * Returns a new array of `size` bytes at the start of a buffer of its own. Its contents may be
   * uninitialised, because every byte is written before it is read.
   */
  readonly allocate: (size: number) => Uint8Array;
  /**
   * Copies `length` bytes from `source[start]` to `target[at]`, XORed with `key`. Returns a number
   * that has a byte of 0x80 or more if a byte written is not ASCII. `targetWords` is a word view of
   * the buffer of `target`, in which `target` starts at byte 0. Called for longer pieces only.
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
   * Returns whether the bytes are valid UTF-8, without a part of a character at the end. Called
   * only for longer pieces that are not ASCII.
   */
  readonly isUtf8: (bytes: Uint8Array) => boolean;
  /** Decodes bytes that are valid UTF-8. */
  readonly decodeUtf8: (bytes: Uint8Array, start: number, end: number) => string;
  /** Decodes bytes to one character each. */
  readonly decodeLatin1: (bytes: Uint8Array, start: number, end: number) => string;
  /** Returns the length of `text` in bytes of UTF-8. */
  readonly utf8Length: (text: string) => number;
  /** Writes text at `target[at]` and returns the offset after it. There is room for it. */
  readonly writeUtf8: (text: string, target: Uint8Array, at: number) => number;
}

/** Returns the portable functions. `views` remembers the view of the last source. */
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

/** Bytes; processing about as many costs as much as a call of native code. */
export const NATIVE_PAYS = 128;

/** Returns what `checkUtf8` returns. The function of the platform checks most of a long piece. */
export function checkUtf8Piece(
  bytes: Uint8Array,
  start: number,
  end: number,
  current: number,
  primitives: Primitives,
): number {
  if (end - start < NATIVE_PAYS) return checkUtf8(bytes, start, end, current);
  // at most three bytes
  while (current > UTF8_START) current = checkUtf8(bytes, start, ++start, current);
  if (current === UTF8_INVALID) return UTF8_INVALID;
  // the last character may be incomplete: it is left to the incremental check
  let whole = end - 1;
  while (end - whole < 4 && (bytes[whole] & 0xc0) === 0x80) whole--;
  if (!primitives.isUtf8(bytes.subarray(start, whole))) return UTF8_INVALID;
  return checkUtf8(bytes, whole, end, UTF8_START);
}
