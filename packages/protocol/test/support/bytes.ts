/** Returns bytes from hexadecimal digits; spaces are ignored. */
export function hex(digits: string): Uint8Array {
  const text = digits.replaceAll(/\s/g, "");
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new Error(`no hexadecimal bytes: ${digits}`);
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Returns `length` bytes with all values, whose neighbours and words differ. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

/** Encodes UTF-8 code point by code point. A lone surrogate becomes U+FFFD. */
export function utf8(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    let point = character.codePointAt(0) ?? 0;
    if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 + (point >> 6), 0x80 + (point % 64));
    else if (point < 0x10000) bytes.push(0xe0 + (point >> 12), 0x80 + ((point >> 6) % 64), 0x80 + (point % 64));
    else {
      bytes.push(0xf0 + (point >> 18), 0x80 + ((point >> 12) % 64), 0x80 + ((point >> 6) % 64), 0x80 + (point % 64));
    }
  }
  return Uint8Array.from(bytes);
}

/** Formats bytes in hexadecimal or, if there are many, as their number and a hash (FNV-1a). */
export function show(bytes: Uint8Array): string {
  if (bytes.length <= 64) return toHex(bytes);
  let hash = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193);
  return `${bytes.length} bytes #${(hash >>> 0).toString(16)}`;
}
