import { protocolError, type ProtocolErrorCode, type WebSocketError } from "../errors.ts";
import { primitives } from "../bytes/primitives.ts";

/**
 * Payloads up to this size may lie in memory that they share with those of other connections. They are handed out as copies, so
 * that keeping one keeps nothing else alive, and `bytes.buffer` shows nothing else.
 */
export const LARGEST_SHARED = 2048; // bytes

/** Who knows the memory of a payload. */
const NOBODY = 0; // but the message: others can use it when the payload is not needed any more
const OTHERS = 1; // it is shared, or somebody else's, or was shown
const CALLER = 2; // it is what `bytes` gives

/**
 * A message as it was received. Its bytes stay as they came, text included, until somebody asks: `text` decodes, `bytes`
 * makes a view or joins the pieces of a large message.
 */
export class Message {
  readonly type: "text" | "binary";
  /** Payload length in bytes. */
  readonly size: number;
  // One piece `source[start..start + size)`, or, where `pieces` is set, several.
  private source: Uint8Array;
  private start: number;
  private pieces: readonly Uint8Array[] | undefined;
  private knownTo: typeof NOBODY | typeof OTHERS | typeof CALLER;

  /** `reusable`: the memory is of `takePiece`, and nobody else's. */
  constructor(
    type: "text" | "binary",
    source: Uint8Array,
    start: number,
    size: number,
    pieces?: readonly Uint8Array[],
    reusable = false,
  ) {
    this.type = type;
    this.size = size;
    this.source = source;
    this.start = start;
    this.pieces = pieces;
    this.knownTo = reusable ? NOBODY : OTHERS;
  }

  /** The payload. Yours to keep; the same array at each call. Its buffer holds nothing but it (and up to 3 zero bytes before it). */
  get bytes(): Uint8Array {
    if (this.pieces !== undefined) {
      const joined = primitives.allocate(this.size);
      this.copyTo(joined, 0);
      this.source = plain(joined, 0, this.size);
      this.pieces = undefined;
      this.knownTo = CALLER;
    }
    if (this.knownTo !== CALLER) {
      if (this.size <= LARGEST_SHARED) {
        const copy = new Uint8Array(this.size); // not `slice`, which on a Buffer is a view
        copyBytes(this.source, this.start, this.size, copy, 0);
        this.source = copy;
      } else if (this.source.buffer.byteLength > this.start + this.size) {
        this.source = new Uint8Array(plain(this.source, this.start, this.size)); // there is more in it, of other messages
      } else {
        this.source = plain(this.source, this.start, this.size);
      }
      this.start = 0;
      this.knownTo = CALLER;
    }
    return this.source;
  }

  /** Makes the message independent of whatever its bytes came with, so that keeping it keeps nothing else alive. */
  detach(): void {
    void this.bytes;
  }

  /**
   * Moves a payload that shares memory with those of other connections to `target[at..at + size)`, which the caller does not change again: in memory of one
   * queue, thousands of small messages cost no array each. False, with nothing done, for a payload that shares no memory or has more than LARGEST_SHARED bytes.
   */
  moveTo(target: Uint8Array, at: number): boolean {
    if (this.knownTo === CALLER || this.pieces !== undefined || this.size > LARGEST_SHARED) return false;
    copyBytes(this.source, this.start, this.size, target, at);
    this.source = target;
    this.start = at;
    this.knownTo = OTHERS;
    return true;
  }

  /** The payload decoded as UTF-8, which a text message was checked to be. For a binary message: U+FFFD is not put in, so look at `type` first. */
  get text(): string {
    if (this.pieces !== undefined) return primitives.decodeUtf8(this.bytes, 0, this.size);
    return primitives.decodeUtf8(this.source, this.start, this.start + this.size);
  }

  /** `text` of a text message, `bytes` of a binary one. */
  get data(): string | Uint8Array {
    return this.type === "text" ? this.text : this.bytes;
  }

  /** The payload in the pieces it is kept in: for who passes it on without joining it. Their buffers may be larger. */
  chunks(): readonly Uint8Array[] {
    const parts = this.parts();
    if (this.knownTo === NOBODY) {
      this.knownTo = OTHERS;
      for (const part of parts) wipeBehind(part);
    }
    return parts;
  }

  /** The same for who sees to it that nobody keeps them. */
  parts(): readonly Uint8Array[] {
    if (this.pieces === GONE) throw gone();
    if (this.pieces !== undefined) return this.pieces;
    if (this.knownTo === CALLER || this.size <= LARGEST_SHARED) return [this.bytes];
    return [plain(this.source, this.start, this.size)];
  }

  /** Another message of the same payload, which stays readable when this one is given up. */
  share(): Message {
    if (this.pieces === GONE) throw gone();
    if (this.knownTo === NOBODY) this.knownTo = OTHERS;
    return new Message(this.type, this.source, this.start, this.size, this.pieces);
  }

  /** The pieces of memory that others can use once the payload is not needed any more: none if anybody has seen them. */
  get reusable(): readonly Uint8Array[] {
    if (this.pieces === GONE) throw gone();
    return this.knownTo === NOBODY ? (this.pieces ?? [this.source]) : NONE;
  }

  /** Parts with the payload: the message can't be read any more. */
  giveUp(): void {
    this.pieces = GONE;
    this.source = EMPTY;
  }

  /** Copies the payload to `target[at]` and returns the offset behind it. With a view of target's whole buffer, few bytes are copied faster. */
  copyTo(target: Uint8Array, at: number, targetView?: DataView): number {
    if (this.pieces === GONE) throw gone();
    if (this.pieces !== undefined) {
      for (const piece of this.pieces) {
        target.set(piece, at);
        at += piece.length;
      }
      return at;
    }
    if (targetView === undefined || this.knownTo === CALLER || this.size > LARGEST_SHARED) {
      copyBytes(this.source, this.start, this.size, target, at);
    } else copyShared(this.source, this.start, this.size, target, at, targetView);
    return at + this.size;
  }

  toString(): string {
    return this.text;
  }
}

const EMPTY = new Uint8Array(0);

const NONE: readonly Uint8Array[] = [];

/** The pieces of a message that was given up. */
const GONE: readonly Uint8Array[] = [];

function gone(): WebSocketError<ProtocolErrorCode> {
  return protocolError("INVALID_STATE", "the message was written with transfer: its bytes are gone");
}

/** Memory that is used again may hold what came on other connections, and who is shown a part of it sees its buffer. */
function wipeBehind(part: Uint8Array): void {
  new Uint8Array(part.buffer, part.byteOffset + part.length).fill(0);
}

/** A view that is a Uint8Array and nothing else, also of a runtime's own kind of array, such as a Buffer. */
function plain(source: Uint8Array, start: number, size: number): Uint8Array {
  return new Uint8Array(source.buffer, source.byteOffset + start, size);
}

const NATIVE_PAYS = 192; // bytes; up to here a loop beats making a view for `set`

/**
 * What was copied from last, its buffer, and a view of it: payloads that share memory are mostly copied one after the other, and an array is
 * slow to say what its buffer is.
 */
let viewed: Uint8Array = new Uint8Array(0);
let buffer: ArrayBufferLike = viewed.buffer;
let offset = 0;
let view: DataView = new DataView(buffer);

/** Copies a payload that shares `source` with others. `targetView` is a view of target's whole buffer, in which target starts at byte 0. */
function copyShared(
  source: Uint8Array,
  start: number,
  length: number,
  target: Uint8Array,
  at: number,
  targetView: DataView,
): void {
  if (source !== viewed) {
    viewed = source;
    buffer = source.buffer;
    offset = source.byteOffset;
    view = new DataView(buffer, offset);
  }
  if (length > NATIVE_PAYS) {
    target.set(new Uint8Array(buffer, offset + start, length), at);
    return;
  }
  const end = start + length;
  // words that need not be aligned: several times as fast as bytes
  for (const lastWord = end - 3; start < lastWord; start += 4, at += 4) {
    targetView.setInt32(at, view.getInt32(start, true), true);
  }
  for (; start < end; start++, at++) target[at] = source[start];
}

const LOOP_PAYS = 24; // bytes up to which a loop beats a call of `set`

/** Copies `source[start..start + length)` to `target[at]`. */
export function copyBytes(source: Uint8Array, start: number, length: number, target: Uint8Array, at: number): void {
  if (length <= LOOP_PAYS) {
    for (const end = start + length; start < end; start++, at++) target[at] = source[start];
  } else {
    target.set(start === 0 && length === source.length ? source : source.subarray(start, start + length), at);
  }
}
