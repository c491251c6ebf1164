import { copyMasked } from "./mask.ts";
import { decodeLatin1, encodeLatin1 } from "./latin1.ts";
import { checkUtf8, decodeUtf8, utf8Length, UTF8_INVALID, UTF8_START, writeUtf8 } from "./utf8.ts";

/**
 * The few functions that a runtime may have in a faster, native form with the same results. Pure, so that replacing them
 * changes speed and nothing else.
 */
export interface Primitives {
  /** A new array of `size` bytes at the start of a buffer of its own. Its contents need not be zero: all of it is written before any of it is read. */
  allocate(size: number): Uint8Array;
  /** As `copyMasked` in mask.ts. Asked for pieces that are not short. */
  copyMasked: typeof copyMasked;
  /** Whether the bytes are one whole piece of UTF-8. Asked for pieces that are not ASCII and not short. */
  isUtf8(bytes: Uint8Array): boolean;
  /** Decodes bytes known to be UTF-8. */
  decodeUtf8(bytes: Uint8Array, start: number, end: number): string;
  /** Decodes bytes, one character each. */
  decodeLatin1(bytes: Uint8Array, start: number, end: number): string;
  /** Text as bytes, one each, of text in which no character is above U+00FF. */
  encodeLatin1(text: string): Uint8Array;
  utf8Length(text: string): number;
  /** Writes text at `target[at]`, where there is room, and returns the offset behind it. */
  writeUtf8(text: string, target: Uint8Array, at: number): number;
}

export const primitives: Primitives = {
  allocate: (size) => new Uint8Array(size),
  copyMasked: copyMasked,
  isUtf8: (bytes) => checkUtf8(bytes, 0, bytes.length, UTF8_START) === UTF8_START,
  decodeUtf8,
  decodeLatin1,
  encodeLatin1,
  utf8Length,
  writeUtf8,
};

/** Puts a runtime's own functions in place of the portable ones, for the whole process. Call it before the first connection. */
export function usePrimitives(native: Partial<Primitives>): void {
  Object.assign(primitives, native);
}

const NATIVE_PAYS = 128; // bytes; a call into native code costs as much as doing about so many here

/** `copyMasked`, by the runtime's own function where that pays. */
export function copyMaskedPiece(
  source: Uint8Array,
  start: number,
  length: number,
  key: number,
  target: Uint8Array,
  targetWords: Int32Array,
  at: number,
): number {
  const copy = length < NATIVE_PAYS ? copyMasked : primitives.copyMasked;
  return copy(source, start, length, key, target, targetWords, at);
}

/** `checkUtf8`, the bulk of it done by the runtime's own function where that pays. */
export function checkUtf8Piece(bytes: Uint8Array, start: number, end: number, current: number): number {
  if (end - start < NATIVE_PAYS) return checkUtf8(bytes, start, end, current);
  while (current > UTF8_START) current = checkUtf8(bytes, start, ++start, current); // three bytes at most
  if (current === UTF8_INVALID) return UTF8_INVALID;
  // the last character may be unfinished: leave it to the incremental check
  let whole = end - 1;
  while (end - whole < 4 && (bytes[whole] & 0xc0) === 0x80) whole--;
  if (!primitives.isUtf8(bytes.subarray(start, whole))) return UTF8_INVALID;
  return checkUtf8(bytes, whole, end, UTF8_START);
}
