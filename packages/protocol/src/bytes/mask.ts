/**
 * RFC 6455 §5.3: octet i of the payload is XORed with octet i modulo 4 of the masking key. A key is
 * held as the little-endian word of its four octets, so that four payload octets can be XORed at
 * once; key 0 makes the same code a plain copy.
 */

/** Below this many bytes a byte loop is as fast as setting up for words. */
const WORDS_PAY = 24;

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The key as it has to be for the payload octet at `offset`. */
export function rotateKey(key: number, offset: number): number {
  const bits = (offset & 3) << 3;
  return (key >>> bits) | (key << (32 - bits)); // which for 0 bits is the key: a shift by 32 is one by 0
}

const LARGEST_REMEMBERED = 1 << 20; // bytes; a remembered view keeps its buffer alive

/**
 * Remembers the word view and the offset of the array that was read last. Most chunks of a process
 * lie in one read buffer, and asking an array for its buffer is slow.
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
   * Makes a new view. A resizable buffer may have grown since the last one: a view of a fixed
   * length does not show that.
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
 * word view of target's buffer, in which target starts at byte 0. Returns the OR of all bytes
 * written: below 0x80 they are ASCII. (It may be any word of such bytes: test it with `isAscii`.)
 * `views` remembers the view of the source.
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

/**
 * XORs `target[start..end)` with `key` where it stands; returns the OR of the result as
 * `copyMasked` does.
 */
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

/**
 * Whether the OR of some bytes or words, as `copyMasked` returns it, says that all of them were
 * ASCII.
 */
export function isAscii(seen: number): boolean {
  return (seen & 0x80808080) === 0;
}
