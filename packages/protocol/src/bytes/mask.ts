/**
 * RFC 6455 §5.3: octet i of the payload is XORed with octet i modulo 4 of the masking key. A key is
 * stored as the little-endian word of its four octets, so that four payload octets are XORed at
 * once. With key 0, the same code copies.
 */

/** Number of bytes below which a loop over bytes is as fast as one over words. */
const WORDS_PAY = 24;

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Returns the key for the payload octet at `offset`. */
export function rotateKey(key: number, offset: number): number {
  const bits = (offset & 3) << 3;
  // for 0 bits this is the key: a shift by 32 is a shift by 0
  return (key >>> bits) | (key << (32 - bits));
}

const LARGEST_REMEMBERED = 1 << 20; // bytes; a remembered view keeps its buffer alive

/**
 * Remembers the word view and the offset of the array that was read last. Most chunks of a process
 * are in one read buffer, and asking an array for its buffer is slow.
 */
export class ViewCache {
  /** The offset of the array in its buffer. Valid after `wordsOf`. */
  offset = 0;
  private viewed: Uint8Array | undefined;
  private view: Int32Array | undefined;

  /** Returns the offset of `chunk` in its buffer. */
  offsetOf(chunk: Uint8Array): number {
    if (chunk !== this.viewed) this.look(chunk);
    return this.offset;
  }

  /** Returns a word view of the chunk's buffer. */
  wordsOf(chunk: Uint8Array): Int32Array {
    return (chunk === this.viewed ? this.view : undefined) ?? this.look(chunk);
  }

  /**
   * Makes a new view. A resizable buffer may have grown since the last one, which a view of a fixed
   * length does not show.
   */
  look(chunk: Uint8Array): Int32Array {
    const { buffer, byteOffset } = chunk;
    const words = new Int32Array(buffer, 0, buffer.byteLength >> 2);
    const remembered = buffer.byteLength <= LARGEST_REMEMBERED;
    this.viewed = remembered ? chunk : undefined;
    this.view = remembered ? words : undefined;
    this.offset = byteOffset;
    return words;
  }
}

/**
 * Copies `length` bytes from `source[start]` to `target[at]`, XORed with `key`. `targetWords` is a
 * word view of the buffer of `target`, in which `target` starts at byte 0. Returns the OR of all
 * bytes written, or of words of them: `isAscii` tests it. `views` remembers the view of the source.
 */
export function copyMasked(
  source: Uint8Array,
  start: number,
  length: number,
  key: number,
  target: Uint8Array,
  targetWords: Int32Array,
  at: number,
  views: ViewCache,
): number {
  const end = at + length;
  let seen = 0;
  if (length < WORDS_PAY || !LITTLE_ENDIAN) {
    for (let from = start; at < end; from++, at++) {
      const byte = source[from] ^ (key & 0xff);
      key = (key >>> 8) | (key << 24);
      target[at] = byte;
      seen |= byte;
    }
    return seen;
  }
  let words = views.wordsOf(source);
  const { offset } = views;
  if (((offset + start) ^ at) & 3) {
    target.set(source.subarray(start, start + length), at);
    return maskInPlace(target, targetWords, at, end, key);
  }
  let from = start;
  while ((at & 3) !== 0) {
    const byte = source[from++] ^ (key & 0xff);
    key = (key >>> 8) | (key << 24);
    target[at++] = byte;
    seen |= byte;
  }
  let word = (offset + from) >> 2;
  const lastWord = end >> 2;
  if (words.length < word + lastWord - (at >> 2)) words = views.look(source);
  from += (lastWord << 2) - at;
  for (let to = at >> 2; to < lastWord; to++, word++) {
    const value = words[word] ^ key;
    targetWords[to] = value;
    seen |= value;
  }
  for (at = lastWord << 2; at < end; from++, at++) {
    const byte = source[from] ^ (key & 0xff);
    key >>>= 8;
    target[at] = byte;
    seen |= byte;
  }
  return seen;
}

/** XORs `target[start..end)` with `key` in place. Returns what `copyMasked` returns. */
export function maskInPlace(
  target: Uint8Array,
  targetWords: Int32Array,
  start: number,
  end: number,
  key: number,
): number {
  let seen = 0;
  let at = start;
  while (at < end && ((at & 3) !== 0 || !LITTLE_ENDIAN || end - at < 4)) {
    const byte = target[at] ^ (key & 0xff);
    key = (key >>> 8) | (key << 24);
    target[at++] = byte;
    seen |= byte;
  }
  const lastWord = end >> 2;
  if (at >> 2 < lastWord) {
    for (let word = at >> 2; word < lastWord; word++) {
      const value = targetWords[word] ^ key;
      targetWords[word] = value;
      seen |= value;
    }
    for (at = lastWord << 2; at < end; at++) {
      const byte = target[at] ^ (key & 0xff);
      key >>>= 8;
      target[at] = byte;
      seen |= byte;
    }
  }
  return seen;
}

/** Whether bytes are all ASCII, from the OR that `copyMasked` returned. */
export function isAscii(seen: number): boolean {
  return (seen & 0x80808080) === 0;
}
