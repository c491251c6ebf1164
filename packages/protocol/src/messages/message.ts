import { copyBytes } from "../bytes/copy.ts";
import { protocolError, type ProtocolErrorCode, type WebSocketError } from "../errors.ts";
import type { Memory } from "../runtime/memory.ts";
import { LEAST_RECYCLED } from "../runtime/piece-pool.ts";
import { LARGEST_SHARED } from "../runtime/slabs.ts";

// What may refer to the memory of a payload:
const MESSAGE_ONLY = 0; // the memory can be recycled when the message is no longer needed
const OTHERS = 1; // shared with other payloads, or with the application
const APPLICATION = 2; // it is what `bytes` returned
const KNOWN_TO = 3; // the bits of these three
const TEXT = 4;
/** The payload is held as `#text` alone: its memory was recycled. */
const DECODED = 8;

// The functions below are for the files of this package: they handle memory, and an application has
// no use for them.

/**
 * Moves a payload that shares memory with those of other connections to `target[at..at + size)`,
 * which the caller does not change again. In the memory of one queue, thousands of small messages
 * need no array each. Returns false, with nothing done, for a payload that shares no memory or is
 * larger than LARGEST_SHARED.
 */
export let moveMessage: (message: Message, target: Uint8Array, at: number) => boolean;
/** Returns the payload in pieces, for a caller that keeps none of them. */
export let borrowChunks: (message: Message) => readonly Uint8Array[];
/**
 * Calls `view` with the memory of the payload: `source[start..start + size)`. The payload is the
 * caller's from then on, to keep and to change; what is around it is not. Keeping it keeps the
 * memory around it, up to 64 KiB.
 */
export let viewMessage: <T>(message: Message, view: (source: Uint8Array, start: number, size: number) => T) => T;
/**
 * Returns the memory that can be recycled when the message is released: none if the application has
 * seen it.
 */
export let recyclable: (message: Message) => readonly Uint8Array[];
/** Drops the payload. Reading the message throws INVALID_STATE from then on. */
export let releaseMessage: (message: Message) => void;

/**
 * Makes sure that there are bytes to read. Throws INVALID_STATE for a message that was released.
 */
let checkReadable: (message: Message) => void;

/** A message that was received. Its bytes stay as they came, text included, until they are read. */
export class Message {
  /** Payload length in bytes. */
  readonly size: number;
  // One piece `source[start..start + size)`, or, where `pieces` is set, several.
  #source: Uint8Array;
  #start: number;
  #pieces: readonly Uint8Array[] | undefined;
  /**
   * MESSAGE_ONLY, OTHERS or APPLICATION; and TEXT. One field for both: queues hold thousands of
   * messages.
   */
  #flags: number;
  #text: string | undefined;
  readonly #memory: Memory;

  static {
    moveMessage = (message, target, at) => {
      const { size } = message;
      if ((message.#flags & KNOWN_TO) === APPLICATION || message.#pieces !== undefined || size > LARGEST_SHARED)
        return false;
      copyBytes(message.#source, message.#start, size, target, at);
      message.#source = target;
      message.#start = at;
      message.#flags = (message.#flags & TEXT) | OTHERS;
      return true;
    };
    borrowChunks = (message) => {
      checkReadable(message);
      if (message.#pieces !== undefined) return message.#pieces;
      if ((message.#flags & KNOWN_TO) === APPLICATION || message.size <= LARGEST_SHARED) return [message.bytes];
      return [plain(message.#source, message.#start, message.size)];
    };
    viewMessage = (message, view) => {
      checkReadable(message);
      if (message.#pieces !== undefined) void message.bytes; // recycles them
      if ((message.#flags & KNOWN_TO) === MESSAGE_ONLY) message.#flags = (message.#flags & TEXT) | OTHERS;
      return view(message.#source, message.#start, message.size);
    };
    checkReadable = (message) => {
      if (message.#pieces === GONE) throw gone();
      if ((message.#flags & DECODED) !== 0) message.#encode();
    };
    recyclable = (message) => {
      checkReadable(message);
      return (message.#flags & KNOWN_TO) === MESSAGE_ONLY ? (message.#pieces ?? [message.#source]) : NONE;
    };
    releaseMessage = (message) => {
      message.#pieces = GONE;
      message.#source = EMPTY;
      message.#text = undefined;
    };
  }

  /**
   * Messages are made by this package. `owned`: the memory belongs to this message alone and can be
   * recycled.
   */
  constructor(
    memory: Memory,
    type: "text" | "binary",
    source: Uint8Array,
    start: number,
    size: number,
    pieces?: readonly Uint8Array[],
    owned = false,
  ) {
    this.size = size;
    this.#source = source;
    this.#start = start;
    this.#pieces = pieces;
    this.#flags = (owned ? MESSAGE_ONLY : OTHERS) | (type === "text" ? TEXT : 0);
    this.#text = undefined;
    this.#memory = memory;
  }

  /** Whether the peer sent text or bytes. */
  get type(): "text" | "binary" {
    return (this.#flags & TEXT) !== 0 ? "text" : "binary";
  }

  /**
   * The payload, yours to keep and change. Returns the same array each time. Its buffer holds
   * nothing else, except up to 3 zero bytes before it. Throws INVALID_STATE after the message was
   * written with `transfer`.
   */
  get bytes(): Uint8Array {
    if ((this.#flags & DECODED) !== 0) this.#encode();
    if (this.#pieces !== undefined) {
      const joined = this.#memory.primitives.allocate(this.size);
      this.copyTo(joined, 0);
      this.#recycle();
      this.#source = plain(joined, 0, this.size);
      this.#flags = (this.#flags & TEXT) | APPLICATION;
    }
    if ((this.#flags & KNOWN_TO) !== APPLICATION) {
      if (this.size <= LARGEST_SHARED) {
        const copy = new Uint8Array(this.size); // not `slice`, which on a Buffer is a view
        copyBytes(this.#source, this.#start, this.size, copy, 0);
        this.#source = copy;
      } else if (this.#source.buffer.byteLength > this.#start + this.size) {
        // the buffer holds other messages, too, or is a recycled one that is larger
        const copy = new Uint8Array(plain(this.#source, this.#start, this.size));
        this.#recycle();
        this.#source = copy;
      } else {
        this.#source = plain(this.#source, this.#start, this.size);
      }
      this.#start = 0;
      this.#flags = (this.#flags & TEXT) | APPLICATION;
    }
    return this.#source;
  }

  /**
   * The payload decoded as UTF-8, once. The payload of a text message is valid UTF-8; that of a
   * binary message may not be, and its invalid bytes are decoded to unspecified characters. Throws
   * INVALID_STATE after the message was written with `transfer`.
   */
  get text(): string {
    if (this.#text !== undefined) return this.#text;
    const { primitives } = this.#memory;
    if (this.size >= LEAST_RECYCLED && (this.#flags & KNOWN_TO) === MESSAGE_ONLY) return this.#decode();
    const start = this.#pieces === undefined ? this.#start : 0;
    const source = this.#pieces === undefined ? this.#source : this.bytes;
    return (this.#text = primitives.decodeUtf8(source, start, start + this.size));
  }

  /**
   * As `text`, for a large payload whose memory nothing else refers to. That of a text message is
   * recycled: its bytes are encoded again where they are asked for, which gives the same ones,
   * because they are valid UTF-8.
   */
  #decode(): string {
    const { primitives, pieces } = this.#memory;
    const parts = this.#pieces;
    if (parts === undefined) this.#text = primitives.decodeUtf8(this.#source, this.#start, this.#start + this.size);
    else {
      const joined = pieces.acquire(this.size, 2 * this.size);
      this.copyTo(joined, 0);
      this.#text = primitives.decodeUtf8(joined, 0, this.size);
      pieces.release(joined);
    }
    if ((this.#flags & TEXT) !== 0) {
      this.#recycle();
      this.#flags |= DECODED;
    }
    return this.#text;
  }

  /** Makes the payload of a message whose memory was recycled by `#decode` again. */
  #encode(): void {
    const bytes = this.#memory.primitives.allocate(this.size);
    this.#memory.primitives.writeUtf8(this.#text ?? "", bytes, 0);
    this.#source = bytes;
    this.#start = 0;
    this.#flags = TEXT | MESSAGE_ONLY;
  }

  /** Recycles the memory of the payload if nothing else refers to it, and drops it. */
  #recycle(): void {
    if ((this.#flags & KNOWN_TO) === MESSAGE_ONLY) {
      const { pieces } = this.#memory;
      for (const piece of this.#pieces ?? [this.#source]) pieces.release(piece);
    }
    this.#source = EMPTY;
    this.#start = 0;
    this.#pieces = undefined;
  }

  /** `text` of a text message, `bytes` of a binary one. */
  get data(): string | Uint8Array {
    return this.type === "text" ? this.text : this.bytes;
  }

  /**
   * Parses the text as JSON. `T` is not checked. Throws a SyntaxError for text that is not JSON.
   */
  json<T = unknown>(): T {
    return JSON.parse(this.text) as T;
  }

  /**
   * Copies the payload to memory of its own, so that a message that is kept keeps no other memory
   * alive. Returns this message. Payloads of up to 2 KiB share memory with each other until then.
   */
  copy(): this {
    void this.bytes;
    return this;
  }

  /**
   * Returns another message of the same payload. It stays readable when this one is written with
   * `transfer`.
   */
  share(): Message {
    checkReadable(this);
    if ((this.#flags & KNOWN_TO) === MESSAGE_ONLY) this.#flags = (this.#flags & TEXT) | OTHERS;
    return new Message(this.#memory, this.type, this.#source, this.#start, this.size, this.#pieces);
  }

  /**
   * Returns the payload in the pieces that it is stored in, without joining them. The buffers of
   * the pieces may be larger.
   */
  chunks(): readonly Uint8Array[] {
    const chunks = borrowChunks(this);
    if ((this.#flags & KNOWN_TO) === MESSAGE_ONLY) {
      this.#flags = (this.#flags & TEXT) | OTHERS;
      for (const chunk of chunks) wipeBehind(chunk);
    }
    return chunks;
  }

  /**
   * Copies the payload to `target[at]` and returns the offset behind it. `targetView`, a view of
   * target's whole buffer in which target starts at byte 0, makes copies of small payloads faster.
   */
  copyTo(target: Uint8Array, at: number, targetView?: DataView): number {
    checkReadable(this);
    if (this.#pieces !== undefined) {
      for (const piece of this.#pieces) {
        target.set(piece, at);
        at += piece.length;
      }
      return at;
    }
    if (targetView === undefined || (this.#flags & KNOWN_TO) === APPLICATION || this.size > LARGEST_SHARED) {
      copyBytes(this.#source, this.#start, this.size, target, at);
    } else this.#memory.copier.copy(this.#source, this.#start, this.size, target, at, targetView);
    return at + this.size;
  }

  /** Returns `text`. */
  toString(): string {
    return this.text;
  }
}

const EMPTY = new Uint8Array(0);

const NONE: readonly Uint8Array[] = [];

/** The pieces of a message that was released. */
const GONE: readonly Uint8Array[] = [];

function gone(): WebSocketError<ProtocolErrorCode> {
  return protocolError(
    "INVALID_STATE",
    "the message was written with transfer and cannot be read: call copy() before write()",
  );
}

/** Zeroes the rest of a piece's buffer: recycled memory may hold payloads of other connections. */
function wipeBehind(piece: Uint8Array): void {
  new Uint8Array(piece.buffer, piece.byteOffset + piece.length).fill(0);
}

/**
 * Returns a view that is a plain Uint8Array, also of a platform's own kind of array, such as a
 * Buffer.
 */
function plain(source: Uint8Array, start: number, size: number): Uint8Array {
  return new Uint8Array(source.buffer, source.byteOffset + start, size);
}
