import zlib from "node:zlib";
import { isNode, platform } from "./platform.ts";

/**
 * Private members of a zlib stream that compress or decompress synchronously. A stream is reset and
 * reused, because a new one allocates about 200 KiB for each message. node:zlib has no public API
 * for that. Its `*Sync` functions call
 * `_handle.writeSync(flush, in, inOffset, inLength, out, outOffset, outLength)`, which writes the
 * unused sizes of both buffers to `_writeState`. They are used only in tested versions of Node.js,
 * and only if a trial run succeeds: see `openPooled`.
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
  /** Set by `run`: the end of the used input, and of the output. */
  inputEnd = 0;
  outputEnd = 0;
  private readonly stream: zlib.DeflateRaw | zlib.InflateRaw;
  private readonly inside: Internals;

  constructor(stream: zlib.DeflateRaw | zlib.InflateRaw, inside: Internals) {
    this.stream = stream;
    this.inside = inside;
    // invalid data destroys the stream, which `run` reports; without a listener, `error` would be
    // thrown
    stream.on("error", ignore);
  }

  /** Resets the stream, also after an incomplete run. */
  reset(): void {
    this.inside._handle?.reset();
  }

  /**
   * Processes data until the input is used up, the output is full or the data ends. Returns false
   * if the data is invalid. The stream cannot be used after that.
   */
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

/**
 * Verifies the private members: compresses and decompresses a message twice, to verify `reset`, and
 * then invalid data.
 */
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
    // a block of the reserved type
    return !inflate.run(Buffer.from([0x06]), 0, 1, output, 0, output.length);
  } catch {
    return false;
  } finally {
    deflate?.close();
    inflate?.close();
  }
}

const CHUNK = 64; // bytes, the minimum: the buffer of the stream is not used

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

/** Returns a reusable stream. Undefined if zlib streams cannot be reused: use public functions. */
export function openPooled(options: zlib.ZlibOptions | "inflate"): PooledStream | undefined {
  if (!canPool()) return undefined;
  return open(
    options === "inflate"
      ? new zlib.InflateRaw({ chunkSize: CHUNK })
      : new zlib.DeflateRaw({ ...options, chunkSize: CHUNK }),
  );
}
