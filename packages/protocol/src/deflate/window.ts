/**
 * The last `2 ** bits` uncompressed bytes of one direction of a connection: the state of a DEFLATE
 * stream between two messages. Uses no memory before the first message.
 */
export class Window {
  /** Maximum number of bytes. */
  readonly capacity: number;
  #kept: Uint8Array = EMPTY;
  #size = 0;

  constructor(bits: number) {
    this.capacity = 2 ** bits;
  }

  /** The bytes, borrowed until the next change of the window. */
  get bytes(): Uint8Array {
    return this.#size === this.#kept.length ? this.#kept : this.#kept.subarray(0, this.#size);
  }

  /** Number of bytes. */
  get length(): number {
    return this.#size;
  }

  /** Makes the bytes the newest in the window. */
  append(bytes: Uint8Array): void {
    const added = bytes.length;
    if (added >= this.capacity) {
      this.#makeRoom(this.capacity);
      this.#kept.set(bytes.subarray(added - this.capacity));
      this.#size = this.capacity;
      return;
    }
    this.#makeRoom(Math.min(this.#size + added, this.capacity));
    const surplus = this.#size + added - this.capacity;
    if (surplus > 0) {
      this.#kept.copyWithin(0, surplus, this.#size);
      this.#size -= surplus;
    }
    this.#kept.set(bytes, this.#size);
    this.#size += added;
  }

  /** Removes all bytes. */
  clear(): void {
    this.#kept = EMPTY;
    this.#size = 0;
  }

  #makeRoom(size: number): void {
    if (size <= this.#kept.length) return;
    let length = FIRST_SIZE;
    while (length < size) length *= 2;
    const grown = new Uint8Array(Math.min(length, this.capacity));
    grown.set(this.bytes);
    this.#kept = grown;
  }
}

const EMPTY = new Uint8Array(0);
const FIRST_SIZE = 512; // bytes
