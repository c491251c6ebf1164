import zlib from "node:zlib";
import { isNode, platform } from "./platform.ts";

/**
 * Deflating and inflating on the spot with a zlib stream that is kept and reset, instead of one that is made, and its 200 KiB
 * with it, for each message. node:zlib has no public way to do that, so this reaches for what its own `*Sync`
 * functions call: `_handle.writeSync(flush, in, inOffset, inLength, out, outOffset, outLength)`, which leaves what was
 * not used of either buffer in `_writeState`. It does so only in versions of Node where that was tested, and there only if it is found and a
 * trial run gives the right bytes; see `openPooled`.
 */
interface Internals {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Uint8Array,
      inputAt: number,
      inputLength: number,
      output: Uint8Array,
      outputAt: number,
      outputLength: number,
    ): void;
    reset(): void;
  } | null;
  /** Room left in the output, bytes left of the input. */
  readonly _writeState: Uint32Array;
}

const TESTED_NODE_VERSIONS = { first: 20, last: 26 }; // majors

/** One direction of a pooled zlib stream. */
export class PooledStream {
  /** After `run`: how far it got in the input, and in the output. */
  inputEnd = 0;
  outputEnd = 0;
  private readonly stream: zlib.DeflateRaw | zlib.InflateRaw;
  private readonly inside: Internals;

  constructor(stream: zlib.DeflateRaw | zlib.InflateRaw, inside: Internals) {
    this.stream = stream;
    this.inside = inside;
    // broken data destroys the stream, which `run` tells; the event would otherwise be thrown at the event loop
    stream.on("error", ignore);
  }

  /** Forgets all data that went through, whatever state it was left in. */
  reset(): void {
    this.inside._handle?.reset();
  }

  /** Works until the input is used up, the output is full or the data ends. False: the data is broken, and this stream of no use any more. */
  run(input: Uint8Array, inputAt: number, inputEnd: number, output: Uint8Array, outputAt: number, outputEnd: number) {
    const handle = this.inside._handle;
    if (handle === null) return false;
    handle.writeSync(
      zlib.constants.Z_SYNC_FLUSH,
      input,
      inputAt,
      inputEnd - inputAt,
      output,
      outputAt,
      outputEnd - outputAt,
    );
    const state = this.inside._writeState;
    this.outputEnd = outputEnd - state[0];
    this.inputEnd = inputEnd - state[1];
    return !this.stream.destroyed;
  }

  close(): void {
    this.stream.close();
  }
}

function ignore(): void {}

function hasInternals(stream: object): stream is Internals {
  const { _handle: handle, _writeState: state } = stream as Partial<Internals>;
  return (
    typeof handle === "object" &&
    handle !== null &&
    typeof handle.writeSync === "function" &&
    typeof handle.reset === "function" &&
    state instanceof Uint32Array &&
    state.length === 2
  );
}

function open(stream: zlib.DeflateRaw | zlib.InflateRaw): PooledStream | undefined {
  const inside: object = stream;
  if (hasInternals(inside)) return new PooledStream(stream, inside);
  stream.close();
  return undefined;
}

/** Twice the same message, so that a reset that does not reset is noticed; then broken data. */
function trial(): boolean {
  const deflate = open(new zlib.DeflateRaw({ chunkSize: CHUNK }));
  const inflate = open(new zlib.InflateRaw({ chunkSize: CHUNK }));
  try {
    if (deflate === undefined || inflate === undefined) return false;
    const text = Buffer.from("one message like another, one message like another");
    const expected = zlib.deflateRawSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
    const output = Buffer.alloc(256);
    for (let time = 0; time < 2; time++) {
      deflate.reset();
      if (!deflate.run(text, 0, text.length, output, 1, output.length)) return false;
      if (deflate.inputEnd !== text.length || !output.subarray(1, deflate.outputEnd).equals(expected)) return false;
      inflate.reset();
      if (!inflate.run(expected, 0, expected.length, output, 1, output.length)) return false;
      if (inflate.inputEnd !== expected.length || !output.subarray(1, inflate.outputEnd).equals(text)) return false;
    }
    inflate.reset();
    return !inflate.run(Buffer.from([0x06]), 0, 1, output, 0, output.length); // a block of the reserved type
  } catch {
    return false;
  } finally {
    deflate?.close();
    inflate?.close();
  }
}

const CHUNK = 64; // bytes, the least: a buffer that every zlib stream has and this does not use

/** The result of `canPool`. It does not change while the process runs. */
let usable: boolean | undefined;

/** Returns whether zlib streams can be reused in this process. */
function canPool(): boolean {
  if (usable === undefined) {
    const major = Number.parseInt(platform.version, 10);
    usable = isNode && major >= TESTED_NODE_VERSIONS.first && major <= TESTED_NODE_VERSIONS.last && trial();
  }
  return usable;
}

/** Returns a stream to be reused. Undefined if that is not possible here: public functions replace it. */
export function openPooled(options: zlib.ZlibOptions | "inflate"): PooledStream | undefined {
  if (!canPool()) return undefined;
  return open(
    options === "inflate"
      ? new zlib.InflateRaw({ chunkSize: CHUNK })
      : new zlib.DeflateRaw({ ...options, chunkSize: CHUNK }),
  );
}
