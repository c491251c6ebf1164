import { constants, deflateRawSync, inflateRawSync } from "node:zlib";

/** The negotiated parameters of one direction. */
export interface DeflateDirection {
  readonly noContextTakeover: boolean;
  readonly windowBits: number;
}

const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);
const MAX_WINDOW_BITS = 15;

/** The end of previous data, as far as the window reaches. */
class History {
  readonly #direction: DeflateDirection;
  #bytes = Buffer.alloc(0);

  constructor(direction: DeflateDirection) {
    this.#direction = direction;
  }

  get dictionary(): Buffer | undefined {
    return this.#bytes.length === 0 ? undefined : this.#bytes;
  }

  add(message: Uint8Array): void {
    if (this.#direction.noContextTakeover) return;
    const window = 2 ** this.#direction.windowBits;
    this.#bytes = Buffer.concat([this.#bytes, message.subarray(-window)]).subarray(-window);
  }
}

/**
 * RFC 7692 §7.2.1. The window is passed from one message to the next as a dictionary, so no stream
 * is kept.
 */
export class Deflater {
  readonly #history: History;
  readonly #windowBits: number;

  constructor(direction: DeflateDirection) {
    this.#history = new History(direction);
    this.#windowBits = direction.windowBits;
  }

  compress(message: Uint8Array): Uint8Array {
    const { dictionary } = this.#history;
    const compressed = deflateRawSync(message, {
      windowBits: this.#windowBits,
      finishFlush: constants.Z_SYNC_FLUSH,
      ...(dictionary === undefined ? {} : { dictionary }),
    });
    this.#history.add(message);
    // RFC 7692 §7.2.1: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end."
    return compressed.subarray(0, -TAIL.length);
  }
}

/**
 * RFC 7692 §7.2.2. Throws if the data is invalid or references bytes outside the negotiated window.
 */
export class Inflater {
  readonly #history: History;
  readonly #windowBits: number;

  constructor(direction: DeflateDirection) {
    this.#history = new History(direction);
    this.#windowBits = direction.windowBits;
  }

  inflate(compressed: Uint8Array): Buffer {
    const { dictionary } = this.#history;
    const message = inflateRawSync(Buffer.concat([compressed, TAIL]), {
      windowBits: this.#windowBits,
      finishFlush: constants.Z_SYNC_FLUSH,
      // zlib permits references into its whole current output buffer: a small buffer keeps them
      // near the window.
      ...(this.#windowBits < MAX_WINDOW_BITS ? { chunkSize: Math.max(64, 2 ** (this.#windowBits - 2)) } : {}),
      ...(dictionary === undefined ? {} : { dictionary }),
    });
    this.#history.add(message);
    return message;
  }
}
