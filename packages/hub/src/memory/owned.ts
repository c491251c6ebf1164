const SHARED_FROM = 13; // characters: V8 copies shorter substrings, longer ones keep the whole text alive that they were cut from
const SCRATCH_BYTES = 64 * 1024; // the largest frame by default; longer texts are copied by a Buffer of their own

/** Counts bytes of memory of texts that are kept. */
export interface Tally {
  bytes: number;
}

const encoder = new TextEncoder();
let scratch: Buffer | undefined;

/**
 * Returns a copy of `text` that shares memory with no other string, counted in `tally`. Everything
 * that outlives its frame or body goes through this function: in V8 a substring keeps the whole
 * string alive.
 */
export function own(text: string, tally?: Tally): string {
  const { length } = text;
  if (length < SHARED_FROM && tally === undefined) return text;
  const bytes = encode(text);
  if (tally !== undefined) tally.bytes += bytes === length ? bytes : sizeOfOther(bytes, length);
  if (length < SHARED_FROM) return text;
  if (bytes !== length) return Buffer.from(text, "utf16le").toString("utf16le"); // it keeps lone surrogates
  if (scratch !== undefined && length <= SCRATCH_BYTES) return scratch.toString("latin1", 0, length);
  return Buffer.from(text, "latin1").toString("latin1");
}

/**
 * Returns the bytes of memory that `text` takes once it is copied: its UTF-8, or two bytes for each
 * UTF-16 unit if that is more.
 */
export function sizeOf(text: string): number {
  const { length } = text;
  const bytes = Buffer.byteLength(text);
  return bytes === length ? bytes : sizeOfOther(bytes, length);
}

/** As `sizeOf`; 0 for undefined. */
export function sizeOfOptional(text: string | undefined): number {
  return text === undefined ? 0 : sizeOf(text);
}

/** V8 keeps a text with a character beyond Latin-1 in two bytes per unit. */
function sizeOfOther(bytes: number, length: number): number {
  return Math.max(bytes, 2 * length);
}

/** Writes a short text to `scratch`. Returns its size in UTF-8. */
function encode(text: string): number {
  if (text.length > SCRATCH_BYTES) return Buffer.byteLength(text);
  scratch ??= Buffer.allocUnsafeSlow(3 * SCRATCH_BYTES); // a UTF-16 unit takes at most 3 bytes
  return encoder.encodeInto(text, scratch).written;
}
