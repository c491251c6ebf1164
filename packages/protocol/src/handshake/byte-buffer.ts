const EMPTY = new Uint8Array(0);
const FIRST_SIZE = 256; // bytes

/**
 * Bytes kept in one piece that grows with what has arrived: at most twice that, however many pieces
 * it came in.
 */
export class ByteBuffer {
  /** The first `length` of these are kept. Replaced when it grows. */
  bytes: Uint8Array = EMPTY;
  length = 0;

  /** Keeps a copy of `source[start..end)`. */
  append(source: Uint8Array, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(length, this.bytes.length * 2, FIRST_SIZE));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(source.subarray(start, end), this.length);
    this.length = length;
  }

  /** Hands out what is kept, in an array of just that size, and keeps nothing more. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.length);
    this.bytes = EMPTY;
    this.length = 0;
    return taken;
  }
}
