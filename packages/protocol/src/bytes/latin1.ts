const CHUNK = 4096; // bytes; String.fromCharCode gets its arguments on the stack

/**
 * Returns bytes as text, one character each. Header fields are read like that (RFC 9110 §5.5: bytes
 * above 0x7f are opaque data).
 */
export function decodeLatin1(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at += CHUNK) {
    // an array of numbers, because spreading typed arrays is several times slower
    const units = new Array<number>(Math.min(CHUNK, end - at));
    for (let unit = 0; unit < units.length; unit++) units[unit] = bytes[at + unit];
    text += String.fromCharCode(...units);
  }
  return text;
}

/** Returns text as bytes, one each. No character may be above U+00FF. */
export function encodeLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}
