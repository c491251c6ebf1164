/** Fills `target` with bytes from a cryptographically strong source. */
export type RandomSource = (target: Uint8Array) => void;

/** Where the masking keys of frames come from. */
export interface KeySource {
  /** Returns the next key, as the little-endian word of its four octets. */
  take(): number;
}

const KEY_POOL_BYTES = 4096;

/**
 * RFC 6455 §5.3: "The masking key needs to be unpredictable; thus, the masking key MUST be derived
 * from a strong source of entropy". One source serves all connections of a process: it asks for
 * 1,024 keys' randomness at a time.
 */
export class MaskingKeys implements KeySource {
  readonly #random: RandomSource;
  readonly #bytes = new Uint8Array(KEY_POOL_BYTES);
  readonly #words = new Int32Array(this.#bytes.buffer);
  #next = this.#words.length;

  constructor(random: RandomSource) {
    this.#random = random;
  }

  /** Returns the next key, as the little-endian word of its four octets. */
  take(): number {
    if (this.#next === this.#words.length) {
      this.#random(this.#bytes);
      this.#next = 0;
    }
    const key = this.#words[this.#next];
    this.#words[this.#next++] = 0; // a key that was used is not kept
    return key;
  }
}
