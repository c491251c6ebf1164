/**
 * UTF-8 (RFC 3629), with the limits of table 3-7 of the Unicode Standard: no surrogates, no
 * overlong forms, nothing above U+10FFFF.
 *
 * The state between two bytes is one number. It is 0 between characters, and otherwise the number
 * of missing continuation bytes and the range of the next one.
 */
export const UTF8_START = 0;
export const UTF8_INVALID = -1;

const state = (more: number, low: number, high: number): number => more | (low << 2) | (high << 10);
const TAIL_1 = state(1, 0x80, 0xbf);
const TAIL_2 = state(2, 0x80, 0xbf);
const TAIL_3 = state(3, 0x80, 0xbf);

function stateAfterLead(byte: number): number {
  if (byte < 0xc2) return UTF8_INVALID; // a continuation byte, or an overlong form of ASCII
  if (byte < 0xe0) return TAIL_1;
  if (byte < 0xf0) return byte === 0xe0 ? state(2, 0xa0, 0xbf) : byte === 0xed ? state(2, 0x80, 0x9f) : TAIL_2;
  if (byte < 0xf5) return byte === 0xf0 ? state(3, 0x90, 0xbf) : byte === 0xf4 ? state(3, 0x80, 0x8f) : TAIL_3;
  return UTF8_INVALID;
}

/**
 * Checks `bytes[start..end)` from the state `current` on. Returns the state after it: UTF8_START if
 * text may end there, UTF8_INVALID if no continuation makes it valid.
 */
export function checkUtf8(bytes: Uint8Array, start: number, end: number, current: number): number {
  let at = start;
  while (at < end) {
    const byte = bytes[at++];
    if (current === UTF8_START) {
      if (byte < 0x80) continue;
      current = stateAfterLead(byte);
      if (current === UTF8_INVALID) return UTF8_INVALID;
    } else {
      if (byte < ((current >> 2) & 0xff) || byte > current >> 10) return UTF8_INVALID;
      const more = (current & 3) - 1;
      current = more === 0 ? UTF8_START : more === 1 ? TAIL_1 : TAIL_2;
    }
  }
  return current;
}

const CHUNK = 4096; // bytes; String.fromCharCode gets its arguments on the stack

/** Decodes bytes that `checkUtf8` has found valid. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  let units: number[] = [];
  let at = start;
  while (at < end) {
    const byte = bytes[at++];
    if (byte < 0x80) {
      units.push(byte);
    } else if (byte < 0xe0) {
      units.push(((byte & 0x1f) << 6) | (bytes[at++] & 0x3f));
    } else if (byte < 0xf0) {
      units.push(((byte & 0x0f) << 12) | ((bytes[at++] & 0x3f) << 6) | (bytes[at++] & 0x3f));
    } else {
      const point =
        ((byte & 0x07) << 18) | ((bytes[at++] & 0x3f) << 12) | ((bytes[at++] & 0x3f) << 6) | (bytes[at++] & 0x3f);
      units.push(0xd800 + ((point - 0x10000) >> 10), 0xdc00 + (point & 0x3ff));
    }
    if (units.length >= CHUNK) {
      text += String.fromCharCode(...units);
      units = [];
    }
  }
  return text + String.fromCharCode(...units);
}

/**
 * Returns the length of `text` in bytes of UTF-8. A lone surrogate counts as U+FFFD, because it is
 * written as that.
 */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if ((unit & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) {
      bytes += 2; // two units, four bytes
      at++;
    } else bytes += 2;
  }
  return bytes;
}

/** Writes `text` at `target[at]` and returns the offset after it. There must be room. */
export function writeUtf8(text: string, target: Uint8Array, at: number): number {
  for (let from = 0; from < text.length; from++) {
    let point = text.charCodeAt(from);
    if (point < 0x80) {
      target[at++] = point;
      continue;
    }
    if (point < 0x800) {
      target[at++] = 0xc0 | (point >> 6);
    } else {
      if ((point & 0xf800) === 0xd800) {
        const low = text.charCodeAt(from + 1);
        if (point < 0xdc00 && (low & 0xfc00) === 0xdc00) {
          point = 0x10000 + ((point & 0x3ff) << 10) + (low & 0x3ff);
          from++;
        } else point = 0xfffd;
      }
      if (point < 0x10000) {
        target[at++] = 0xe0 | (point >> 12);
      } else {
        target[at++] = 0xf0 | (point >> 18);
        target[at++] = 0x80 | ((point >> 12) & 0x3f);
      }
      target[at++] = 0x80 | ((point >> 6) & 0x3f);
    }
    target[at++] = 0x80 | (point & 0x3f);
  }
  return at;
}
