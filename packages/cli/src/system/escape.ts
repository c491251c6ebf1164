// Escapes text for display on one line of a terminal. Escaped characters are C0 controls except the
// tab, DEL, C1 controls and bidirectional formatting characters. Examples: `\n`, `\x1b`, `\x9b`,
// `\u202e`.

const NAMED = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
]);

export function escapeControls(text: string): string {
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    return NAMED.get(character) ?? (code <= 0xff ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}

/** Length of the longest escape, `\u202e`, in bytes. */
export const MAX_ESCAPE_BYTES = 6;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const BACKSLASH = 0x5c;
const DEL = 0x7f;
const DIGITS = Buffer.from("0123456789abcdef", "latin1");

/** Positions of `escapeInto`. */
export interface Progress {
  /** Bytes of the source that have been read. */
  read: number;
  /** Offset in the target at which the next byte is written. */
  written: number;
}

/**
 * Writes UTF-8 text with the escapes of `escapeControls` into `target`, from `progress.written` up
 * to `end`. Stops at the end of the text, or when the next character might not fit. Advances both
 * positions and never splits a character. `source` must be valid UTF-8.
 */
export function escapeInto(source: Uint8Array, target: Uint8Array, end: number, progress: Progress): void {
  let { read, written } = progress;
  const room = end - MAX_ESCAPE_BYTES;
  while (read < source.length && written <= room) {
    const byte = source[read] ?? 0;
    if (byte < 0x80) {
      read++;
      if ((byte >= SPACE && byte !== DEL) || byte === TAB) target[written++] = byte;
      else written = escapeByte(byte, target, written);
      continue;
    }
    const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    const second = source[read + 1] ?? 0;
    if (byte === 0xc2 && second < 0xa0) {
      // U+0080 to U+009F
      written = escapeByte(second, target, written);
    } else if (byte === 0xe2 && isDirection(second, source[read + 2] ?? 0)) {
      written = escapeDirection(second, source[read + 2] ?? 0, target, written);
    } else for (let index = 0; index < length; index++) target[written++] = source[read + index] ?? 0;
    read += length;
  }
  progress.read = read;
  progress.written = written;
}

function escapeByte(byte: number, target: Uint8Array, from: number): number {
  let at = from;
  target[at++] = BACKSLASH;
  if (byte === LF || byte === CR) {
    target[at++] = byte === LF ? 0x6e : 0x72; // n, r
    return at;
  }
  target[at++] = 0x78; // x
  target[at++] = DIGITS[byte >> 4] ?? 0;
  target[at++] = DIGITS[byte & 15] ?? 0;
  return at;
}

/** Tests the last two bytes of U+202A to U+202E and U+2066 to U+2069. */
function isDirection(second: number, third: number): boolean {
  return (second === 0x80 && third >= 0xaa && third <= 0xae) || (second === 0x81 && third >= 0xa6 && third <= 0xa9);
}

function escapeDirection(second: number, third: number, target: Uint8Array, from: number): number {
  let at = from;
  target[at++] = BACKSLASH;
  target[at++] = 0x75; // u
  const code = 0x2000 | ((second & 0x3f) << 6) | (third & 0x3f);
  for (let shift = 12; shift >= 0; shift -= 4) target[at++] = DIGITS[(code >> shift) & 15] ?? 0;
  return at;
}
