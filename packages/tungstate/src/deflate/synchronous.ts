import {
  protocolError,
  type ReceivedPayload,
  type WebSocketError,
  type Window,
  type WindowBits,
} from "@tungstate/protocol";
import zlib from "node:zlib";
import type { PooledStream } from "../native/pooled-zlib.ts";
import type { ZlibPool } from "../native/zlib-pool.ts";

/** What deflating needs to know besides the data. */
export interface DeflateTuning {
  readonly level: number;
  readonly memLevel: number;
}

/** RFC 7692 §7.2.1: what a sender removes from the end of a message, and a receiver puts back. */
export const SYNC_TAIL_SIZE = 4;
/**
 * What is put behind a payload before it is inflated: the 00 00 ff ff of RFC 7692 §7.2.2, an empty
 * final block, and one byte more. If inflating stops just before the last byte, the payload was
 * whole; if there is nothing left over, it was cut off inside a block.
 */
export const TRAILER = Uint8Array.of(0x00, 0x00, 0xff, 0xff, 0x03, 0x00, 0x00);
/**
 * How often a payload may end a DEFLATE stream (BFINAL) and begin another. RFC 7692 §7.2.3.4 allows
 * final blocks; each costs a reset of the inflater, which two bytes of payload must not be able to
 * buy without end.
 */
export const MAX_FINAL_BLOCKS = 256;

const STORED_HEADER_SIZE = 5; // bytes of a block without compression, RFC 1951 §3.2.4
const LARGEST_STORED = 0xffff; // bytes in such a block

/** Text as bytes in the shared input buffer. */
export function encodeText(pool: ZlibPool, text: string): Uint8Array {
  // a UTF-16 unit is at most 3 bytes of UTF-8
  if (text.length * 3 > pool.input.length) pool.makeRoom(Buffer.byteLength(text), 0);
  return pool.input.subarray(0, pool.input.write(text, 0, "utf8"));
}

/** A received payload as one piece in the shared input buffer. */
export function copied(pool: ZlibPool, payload: ReceivedPayload): Uint8Array {
  pool.makeRoom(payload.size, 0);
  return pool.input.subarray(0, payload.copyTo(pool.input, 0));
}

/**
 * Deflates a message or a fragment, referring to the window if there is one. Returns all that zlib
 * makes of it, up to the SYNC_TAIL_SIZE bytes at the end, or undefined if that, less the tail, is
 * not smaller than the payload. Borrowed.
 */
export function deflateNow(
  pool: ZlibPool,
  payload: Uint8Array,
  windowBits: WindowBits,
  tuning: DeflateTuning,
  window: Window | undefined,
): Uint8Array | undefined {
  // what fills this has not become smaller
  const most = payload.length + SYNC_TAIL_SIZE + (window === undefined ? 0 : mayGrow(payload, window));
  // a stream that is open already can't be given a window to refer to
  const deflater = window === undefined || window.length === 0 ? pooledDeflater(pool, windowBits, tuning) : undefined;
  if (deflater !== undefined) {
    pool.makeRoom(0, most);
    deflater.reset();
    if (!deflater.run(payload, 0, payload.length, pool.output, 0, most)) {
      pool.evict(); // no data makes a deflater fail: create all streams again, whatever the cause
      return undefined;
    }
    return deflater.outputEnd < most ? pool.output.subarray(0, deflater.outputEnd) : undefined;
  }
  const options = deflateOptions(windowBits, tuning, window);
  options.chunkSize = Math.max(most, SMALLEST_CHUNK);
  const deflated = zlib.deflateRawSync(payload, options);
  return deflated.length < most ? deflated : undefined;
}

function pooledDeflater(pool: ZlibPool, windowBits: WindowBits, tuning: DeflateTuning): PooledStream | undefined {
  const key = (windowBits << 8) | (tuning.level << 4) | tuning.memLevel;
  return pool.deflater(key) ?? pool.openDeflater(key, deflateOptions(windowBits, tuning, undefined));
}

const SMALLEST_CHUNK = 64; // bytes; zlib's output buffers are no smaller

const SEEDED = 512; // bytes in a window
const LARGEST_SEED = 128; // bytes of a message
const GROWTH = 6; // bytes: a block without compression adds as many

/**
 * By how many bytes a message may grow. A short one hardly becomes smaller by itself, so that a
 * connection that has only short ones would never have anything to refer to: the first few go out
 * compressed whether that pays or not.
 */
function mayGrow(payload: Uint8Array, window: Window): number {
  return window.length < SEEDED && payload.length <= LARGEST_SEED ? GROWTH : 0;
}

/** For a stream that is used once. */
export function deflateOptions(
  windowBits: WindowBits,
  tuning: DeflateTuning,
  window: Window | undefined,
): zlib.ZlibOptions {
  const options: zlib.ZlibOptions = {
    // zlib makes no raw streams with a window of 8 bits; with 9 it refers back no further than 512
    // - 262 = 250 bytes
    windowBits: Math.max(windowBits, 9),
    level: tuning.level,
    memLevel: tuning.memLevel,
    finishFlush: zlib.constants.Z_SYNC_FLUSH,
  };
  if (window !== undefined && window.length > 0) options.dictionary = window.bytes;
  return options;
}

/**
 * A payload as blocks without compression, for a fragment that must be deflated and does not become
 * smaller.
 */
export function storedBlocks(payload: Uint8Array): Uint8Array {
  const blocks = Math.ceil(payload.length / LARGEST_STORED);
  const stored = Buffer.allocUnsafeSlow(payload.length + blocks * STORED_HEADER_SIZE + SYNC_TAIL_SIZE + 1);
  let to = 0;
  for (let at = 0; at < payload.length; at += LARGEST_STORED) {
    const end = Math.min(at + LARGEST_STORED, payload.length);
    to = writeStoredHeader(stored, to, end - at);
    stored.set(payload.subarray(at, end), to);
    to += end - at;
  }
  writeStoredHeader(stored, to, 0);
  return stored;
}

/**
 * A window as a block without compression, which precedes a payload that refers to it. Empty
 * without a window.
 */
export function windowBlock(window: Window | undefined): readonly Uint8Array[] {
  if (window === undefined || window.length === 0) return [];
  const header = Buffer.allocUnsafeSlow(STORED_HEADER_SIZE);
  writeStoredHeader(header, 0, window.length);
  return [header, window.bytes];
}

function writeStoredHeader(target: Buffer, at: number, length: number): number {
  target[at] = 0; // not final, type 00, and the bits up to the next byte
  target.writeUInt16LE(length, at + 1);
  target.writeUInt16LE(~length & 0xffff, at + 3);
  return at + STORED_HEADER_SIZE;
}

/**
 * Inflates a message. Undefined: it has more than `most` bytes, and `limit` allows that. What comes
 * back is borrowed.
 */
export function inflateNow(
  pool: ZlibPool,
  payload: ReceivedPayload,
  limit: number,
  most: number,
  window: Window | undefined,
): Uint8Array | WebSocketError | undefined {
  // The window goes in first, as a block without compression. A stream that is open already takes
  // it in no other way, and Deno ignores the option `dictionary`.
  const before = window === undefined ? 0 : window.length;
  const largest = Math.min(limit, most);
  pool.makeRoom(STORED_HEADER_SIZE + before + payload.size + TRAILER.length, before + largest + 1);
  const { input } = pool;
  let start = 0;
  if (window !== undefined && before > 0) {
    start = writeStoredHeader(input, 0, before);
    input.set(window.bytes, start);
    start += before;
  }
  const payloadEnd = payload.copyTo(input, start);
  input.set(TRAILER, payloadEnd);
  const inflater = pool.openInflater();
  const outputEnd =
    inflater === undefined
      ? inflateOnce(pool, payloadEnd, before + largest)
      : inflatePooled(pool, inflater, payloadEnd, before + largest);
  if (typeof outputEnd !== "number") return outputEnd;
  if (outputEnd > before + largest) return limit > most ? undefined : tooBig(limit);
  return pool.output.subarray(before, outputEnd);
}

/**
 * Inflates `input` up to the end of the trailer; returns where the output ends, which is beyond
 * `most` if there is more.
 */
function inflatePooled(
  pool: ZlibPool,
  stream: PooledStream,
  payloadEnd: number,
  most: number,
): number | WebSocketError {
  const { input, output } = pool;
  const inputEnd = payloadEnd + TRAILER.length;
  let at = 0;
  let to = 0;
  for (let streams = 0; streams <= MAX_FINAL_BLOCKS; streams++) {
    stream.reset();
    if (!stream.run(input, at, inputEnd, output, to, most + 1)) {
      pool.dropInflater();
      return brokenData(reasonOf(input.subarray(at, inputEnd), most));
    }
    at = stream.inputEnd;
    to = stream.outputEnd;
    if (to > most || isWhole(at, payloadEnd)) return to;
    if (at === inputEnd) return cutOff();
  }
  return tooManyStreams();
}

/** What zlib says of data that a pooled stream, which reports nothing, has failed on. */
function reasonOf(data: Uint8Array, most: number): unknown {
  try {
    zlib.inflateRawSync(data, { maxOutputLength: Math.max(most, 1) });
  } catch (error) {
    return error;
  }
  return undefined;
}

/** The same with public functions only. */
function inflateOnce(pool: ZlibPool, payloadEnd: number, most: number): number | WebSocketError {
  const { input, output } = pool;
  const inputEnd = payloadEnd + TRAILER.length;
  let at = 0;
  let to = 0;
  for (let streams = 0; streams <= MAX_FINAL_BLOCKS; streams++) {
    const left = most - to;
    let part: { buffer: Buffer; engine: zlib.InflateRaw };
    try {
      // with `info`, this is what it returns, which its type does not say
      part = zlib.inflateRawSync(input.subarray(at, inputEnd), {
        finishFlush: zlib.constants.Z_SYNC_FLUSH,
        info: true,
        maxOutputLength: Math.max(left, 1),
      }) as unknown as typeof part;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE" ? most + 1 : brokenData(error);
    }
    if (part.buffer.length > left) return most + 1;
    output.set(part.buffer, to);
    to += part.buffer.length;
    at += part.engine.bytesWritten;
    if (isWhole(at, payloadEnd)) return to;
    if (at === inputEnd) return cutOff();
  }
  return tooManyStreams();
}

/**
 * Whether a stream that ended at `end` ended where the payload does: with the trailer, or with a
 * final block of the payload's own that nothing follows, which RFC 7692 §7.2.3.4 would have
 * followed by one byte more.
 */
export function isWhole(end: number, payloadEnd: number): boolean {
  return end === payloadEnd + TRAILER.length - 1 || end === payloadEnd;
}

export function tooBig(limit: number): WebSocketError {
  return protocolError("MESSAGE_TOO_BIG", `it inflates to more than ${limit} bytes`);
}

export function brokenData(cause?: unknown): WebSocketError {
  return protocolError("INVALID_DEFLATE", undefined, cause === undefined ? undefined : { cause });
}

export function cutOff(): WebSocketError {
  return protocolError("INVALID_DEFLATE", "the data ends inside a block");
}

export function tooManyStreams(): WebSocketError {
  return protocolError("INVALID_DEFLATE", `more than ${MAX_FINAL_BLOCKS} final blocks in a message`);
}
