const BLOCK_BYTES = 64;
const LENGTH_BYTES = 8;
const ROUNDS = 80;

/**
 * Returns the SHA-1 hash of bytes (RFC 3174), 20 bytes, without a platform. Web Crypto hashes
 * asynchronously only. RFC 6455 uses SHA-1 to prove that a server has read the request; its
 * security does not depend on it.
 */
export function portableSha1(bytes: Uint8Array): Uint8Array {
  const words = padded(bytes);
  const state = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476, 0xc3d2e1f0 | 0];
  const schedule = new Int32Array(ROUNDS);
  for (let block = 0; block < words.length; block += BLOCK_BYTES / 4) {
    for (let t = 0; t < 16; t++) schedule[t] = words[block + t];
    for (let t = 16; t < ROUNDS; t++) {
      schedule[t] = rotate(schedule[t - 3] ^ schedule[t - 8] ^ schedule[t - 14] ^ schedule[t - 16], 1);
    }
    let [a, b, c, d, e] = state;
    for (let t = 0; t < ROUNDS; t++) {
      const next = (rotate(a, 5) + mix(t, b, c, d) + e + schedule[t]) | 0;
      e = d;
      d = c;
      c = rotate(b, 30);
      b = a;
      a = next;
    }
    [a, b, c, d, e].forEach((value, index) => (state[index] = (state[index] + value) | 0));
  }
  return Uint8Array.from(
    state.flatMap((word) => [word >>> 24, word >>> 16, word >>> 8, word].map((byte) => byte & 0xff)),
  );
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** RFC 3174 §5: f(t;B,C,D) + K(t). */
function mix(t: number, b: number, c: number, d: number): number {
  if (t < 20) return ((b & c) | (~b & d)) + 0x5a827999;
  if (t < 40) return (b ^ c ^ d) + 0x6ed9eba1;
  if (t < 60) return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
  return (b ^ c ^ d) + 0xca62c1d6;
}

/** RFC 3174 §4: the message, a one bit, zeros, and the number of bits, as words of 32 bits. */
function padded(bytes: Uint8Array): Int32Array {
  const blocks = Math.ceil((bytes.length + 1 + LENGTH_BYTES) / BLOCK_BYTES);
  const words = new Int32Array((blocks * BLOCK_BYTES) / 4);
  for (let at = 0; at < bytes.length; at++) words[at >> 2] |= bytes[at] << (24 - (at & 3) * 8);
  words[bytes.length >> 2] |= 0x80 << (24 - (bytes.length & 3) * 8);
  words[words.length - 2] = Math.floor(bytes.length / 2 ** 29);
  words[words.length - 1] = bytes.length << 3;
  return words;
}
