/**
 * RFC 6455 §5.3: octet i of the payload is XORed with octet i modulo 4 of the masking key. A key is held as the little-endian
 * word of its four octets, so that four payload octets can be XORed at once; key 0 makes the same code a plain copy.
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
 * Word view and offset of the array that was asked for last: the chunks of a process mostly come in one read buffer, and asking an array
 * for its buffer is slow. (A buffer that can be resized may have grown since, which a view of a fixed length does not show.)
 */
let viewed: Uint8Array | undefined;
let view: Int32Array | undefined;
let offset = 0;

/** The offset of `chunk` in its buffer. */
export function offsetOf(chunk: Uint8Array): number {
  if (chunk !== viewed) look(chunk);
  return offset;
}

function look(chunk: Uint8Array): Int32Array {
  const { buffer, byteOffset } = chunk;
  const words = new Int32Array(buffer, 0, buffer.byteLength >> 2);
  const remembered = buffer.byteLength <= LARGEST_REMEMBERED;
  viewed = remembered ? chunk : undefined;
  view = remembered ? words : undefined;
  offset = byteOffset;
  return words;
}

/**
 * Copies `length` bytes from `source[start]` to `target[at]`, XORed with `key`. `targetWords` is a word view of target's
 * buffer, in which target starts at byte 0. Returns the OR of all bytes written: below 0x80 they are ASCII. (It may be any word of such
 * bytes: test it with `isAscii`.)
 */
export function copyMasked(
  source: Uint8Array,
  start: number,
  length: number,
  key: number,
  target: Uint8Array,
  targetWords: Int32Array,
  at: number,
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
  let words = (source === viewed ? view : undefined) ?? look(source);
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
  if (words.length < word + lastWord - (at >> 2)) words = look(source);
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

/** XORs `target[start..end)` with `key` where it stands; returns the OR of the result as `copyMasked` does. */
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

/** Whether the OR of some bytes or words, as `copyMasked` returns it, says that all of them were ASCII. */
export function isAscii(seen: number): boolean {
  return (seen & 0x80808080) === 0;
}

/** Fills `target` with bytes from a cryptographically strong source. */
export type RandomSource = (target: Uint8Array) => void;

const KEY_POOL_BYTES = 4096;

/**
 * RFC 6455 §5.3: "The masking key needs to be unpredictable; thus, the masking key MUST be derived from a strong source of
 * entropy". One source serves all connections of a process: it asks for 1,024 keys' randomness at a time.
 */
export class MaskingKeys {
  private readonly random: RandomSource;
  private readonly bytes = new Uint8Array(KEY_POOL_BYTES);
  private readonly words = new Int32Array(this.bytes.buffer);
  private next = this.words.length;

  constructor(random: RandomSource) {
    this.random = random;
  }

  take(): number {
    if (this.next === this.words.length) {
      this.random(this.bytes);
      this.next = 0;
    }
    const key = this.words[this.next];
    this.words[this.next++] = 0; // a key that was used is not kept
    return key;
  }
}
