import type { DeflateJob, WebSocketError, Window, WindowBits } from "@tungstate/protocol";
import zlib from "node:zlib";
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
} from "./synchronous.ts";

/** libuv has four threads by default, which files, DNS and crypto want too. */
const MAX_RUNNING = 2;
const SLICE = 64 * 1024; // bytes of input, or of output, that a thread works on at a time

/** The jobs of all connections wait here, first come, first served. Each connection has at most one in each direction. */
const waiting = new Set<() => void>();
let running = 0;

/** How many jobs run and how many wait. */
export function jobCounts(): { readonly running: number; readonly waiting: number } {
  return { running, waiting: waiting.size };
}

/**
 * Queues a job. `begin` starts it, with what to call at its end, and returns what stops it. If it throws,
 * for example because memory is low, `failed` returns the result.
 */
function queue<R>(
  begin: (end: (result: R | undefined) => void) => () => void,
  failed: (error: unknown) => R | undefined,
): DeflateJob<R> {
  let settle: (result: R | undefined) => void;
  const result = new Promise<R | undefined>((resolve) => (settle = resolve));
  let stop: (() => void) | undefined;
  let over = false;
  const finish = (value: R | undefined) => {
    if (over) return;
    over = true;
    settle(value);
    if (waiting.delete(start)) return;
    running--;
    stop?.();
    startNext();
  };
  const start = () => {
    running++;
    try {
      stop = begin(finish);
    } catch (error) {
      finish(failed(error));
    }
  };
  waiting.add(start);
  startNext();
  return { result, cancel: () => finish(undefined) };
}

function startNext(): void {
  for (const start of waiting) {
    if (running >= MAX_RUNNING) return;
    waiting.delete(start);
    start();
  }
}

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

  add(piece: Buffer): void {
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
  payload: Uint8Array,
  windowBits: WindowBits,
  tuning: DeflateTuning,
  window: Window | undefined,
): DeflateJob<Uint8Array> {
  // deflating has no error but want of memory; the message then goes out as it is
  const failed = () => undefined;
  return queue<Uint8Array>((end) => {
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
  chunks: readonly Uint8Array[],
  limit: number,
  window: Window | undefined,
): DeflateJob<Uint8Array | WebSocketError> {
  return queue<Uint8Array | WebSocketError>((end) => {
    const all = [...chunks, TRAILER];
    const payloadEnd = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const inputEnd = payloadEnd + TRAILER.length;
    const pieces = new Pieces();
    let stream: zlib.InflateRaw;
    let streams = 0;
    const open = (from: number, dictionary: Uint8Array | undefined) => {
      stream = new zlib.InflateRaw({
        chunkSize: SLICE,
        finishFlush: zlib.constants.Z_SYNC_FLUSH,
        ...(dictionary === undefined ? {} : { dictionary }),
      });
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
              open(at, undefined);
            } catch (cause) {
              end(brokenData(cause));
            }
          }
        },
      );
    };
    open(0, window === undefined || window.length === 0 ? undefined : window.bytes);
    return () => stream.destroy();
  }, brokenData);
}
