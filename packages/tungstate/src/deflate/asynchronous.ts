import type { DeflateJob, WebSocketError, Window, WindowBits } from "@tungstate/protocol";
import zlib from "node:zlib";
import type { JobQueue } from "../schedule/job-queue.ts";
import {
  brokenData,
  cutOff,
  deflateOptions,
  type DeflateTuning,
  isWhole,
  MAX_FINAL_BLOCKS,
  SYNC_TAIL_SIZE,
  tooBig,
  tooManyStreams,
  TRAILER,
  windowBlock,
} from "./synchronous.ts";

const SLICE = 64 * 1024; // bytes of input, or of output, that a thread works on at a time

/** Pieces of `chunks`, from the offset `from` in all of them together. */
function* slices(chunks: readonly Uint8Array[], from: number): Generator<Uint8Array> {
  for (const chunk of chunks) {
    for (let at = from; at < chunk.length; at += SLICE) yield chunk.subarray(at, at + SLICE);
    from = Math.max(0, from - chunk.length);
  }
}

/** Feeds a zlib stream slice by slice, so that it can be stopped between any two. */
function inflateNext(
  stream: zlib.DeflateRaw | zlib.InflateRaw,
  input: Iterator<Uint8Array>,
  onPiece: (piece: Buffer) => void,
  onEnd: (error?: Error) => void,
): void {
  const next = () => {
    if (stream.destroyed) return;
    const slice = input.next();
    if (slice.done === true) stream.end();
    else stream.write(slice.value, next);
  };
  stream.on("data", onPiece);
  stream.on("end", onEnd);
  stream.on("error", onEnd);
  next();
}

class Pieces {
  size = 0;
  private pieces: Buffer[] = [];
  /** Bytes that are still to be left out: a window that precedes the payload. */
  private skipped: number;

  constructor(skipped = 0) {
    this.skipped = skipped;
  }

  add(chunk: Buffer): void {
    const piece = this.skipped === 0 ? chunk : chunk.subarray(this.skipped);
    this.skipped -= chunk.length - piece.length;
    this.pieces.push(piece);
    this.size += piece.length;
  }

  join(): Uint8Array {
    const joined = Buffer.allocUnsafeSlow(this.size);
    let at = 0;
    for (const piece of this.pieces) at += piece.copy(joined, at);
    return joined;
  }
}

/** Deflates a message or a fragment as `deflateNow` does. Undefined also if it was cancelled. */
export function deflateLater(
  jobs: JobQueue,
  payload: Uint8Array,
  windowBits: WindowBits,
  tuning: DeflateTuning,
  window: Window | undefined,
): DeflateJob<Uint8Array> {
  // deflating has no error but want of memory; the message then goes out as it is
  const failed = () => undefined;
  return jobs.add<Uint8Array>((end) => {
    const stream = new zlib.DeflateRaw({ ...deflateOptions(windowBits, tuning, window), chunkSize: SLICE });
    const pieces = new Pieces();
    const most = payload.length + SYNC_TAIL_SIZE;
    inflateNext(
      stream,
      slices([payload], 0),
      (piece) => {
        pieces.add(piece);
        if (pieces.size >= most) end(undefined);
      },
      (error) => end(error === undefined ? pieces.join() : failed()),
    );
    return () => stream.destroy();
  }, failed);
}

/** Inflates a message as `inflateNow` does, but leaves the window to the caller. */
export function inflateLater(
  jobs: JobQueue,
  chunks: readonly Uint8Array[],
  limit: number,
  window: Window | undefined,
): DeflateJob<Uint8Array | WebSocketError> {
  return jobs.add<Uint8Array | WebSocketError>((end) => {
    const before = windowBlock(window);
    const all = [...before, ...chunks, TRAILER];
    const payloadEnd = sizeOf(before) + sizeOf(chunks);
    const inputEnd = payloadEnd + TRAILER.length;
    const pieces = new Pieces(window?.length ?? 0);
    let stream: zlib.InflateRaw;
    let streams = 0;
    const open = (from: number) => {
      stream = new zlib.InflateRaw({ chunkSize: SLICE, finishFlush: zlib.constants.Z_SYNC_FLUSH });
      inflateNext(
        stream,
        slices(all, from),
        (piece) => {
          pieces.add(piece);
          if (pieces.size > limit) end(tooBig(limit));
        },
        (error) => {
          const at = from + stream.bytesWritten;
          if (error !== undefined) end(brokenData(error));
          else if (isWhole(at, payloadEnd)) end(pieces.join());
          else if (at === inputEnd) end(cutOff());
          else if (++streams > MAX_FINAL_BLOCKS) end(tooManyStreams());
          else {
            stream.destroy();
            try {
              open(at);
            } catch (cause) {
              end(brokenData(cause));
            }
          }
        },
      );
    };
    open(0);
    return () => stream.destroy();
  }, brokenData);
}

function sizeOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}
