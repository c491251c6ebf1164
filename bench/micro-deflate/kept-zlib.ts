import type zlib from "node:zlib";

/** The internal object of a zlib stream of Node. */
interface Internals {
  readonly _handle: {
    writeSync(flush: number, input: Buffer, at: number, size: number, output: Buffer, to: number, room: number): void;
    reset(): void;
  };
  readonly _writeState: Uint32Array;
}

const Z_SYNC_FLUSH = 2;

/** A synchronous zlib stream. Without checks: for measurements only. */
export class KeptZlib {
  readonly output: Buffer;
  private readonly inside: Internals;

  constructor(stream: zlib.DeflateRaw | zlib.InflateRaw, output = Buffer.allocUnsafeSlow(2 * 1024 * 1024)) {
    this.output = output;
    this.inside = stream as unknown as Internals;
  }

  reset(): void {
    this.inside._handle.reset();
  }

  /** Returns the number of bytes written to `output`. */
  run(input: Buffer): number {
    this.inside._handle.writeSync(Z_SYNC_FLUSH, input, 0, input.length, this.output, 0, this.output.length);
    return this.output.length - this.inside._writeState[0];
  }
}
