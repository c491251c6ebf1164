import type { ZlibOptions } from "node:zlib";
import { openPooled, type PooledStream } from "./pooled-zlib.ts";

const MAX_DEFLATERS = 8; // about 230 KB each; one for each window, level and memory level in use
const STEP = 64 * 1024; // bytes by which the buffers grow

/**
 * Buffers and zlib streams for messages that are compressed and decompressed synchronously, one at
 * a time. All connections of a runtime share them.
 */
export class ZlibPool {
  /** Input. Its content is valid until the next call. */
  input: Buffer = Buffer.alloc(0);
  /** Output. Its content is valid until the next call. */
  output: Buffer = Buffer.alloc(0);
  private readonly reuses: boolean;
  private readonly deflaters = new Map<number, PooledStream>();
  private inflater: PooledStream | undefined;

  /** `reuses`: whether to reuse zlib streams, which needs private APIs. */
  constructor(reuses = true) {
    this.reuses = reuses;
  }

  /** Makes `input` and `output` at least as large. */
  makeRoom(inputSize: number, outputSize: number): void {
    if (this.input.length < inputSize) this.input = Buffer.allocUnsafeSlow(roundUp(inputSize));
    if (this.output.length < outputSize) this.output = Buffer.allocUnsafeSlow(roundUp(outputSize));
  }

  /** Returns the stream that `openDeflater` opened with this key. */
  deflater(key: number): PooledStream | undefined {
    return this.deflaters.get(key);
  }

  /** Returns the stream that decompresses. Undefined if streams cannot be reused. */
  openInflater(): PooledStream | undefined {
    if (this.inflater === undefined && this.reuses) this.inflater = openPooled("inflate");
    return this.inflater;
  }

  /** Drops the stream that decompresses, after invalid data has destroyed it. */
  dropInflater(): void {
    this.inflater = undefined;
  }

  /** Releases all streams and buffers. They are created again on demand. */
  evict(): void {
    for (const deflater of this.deflaters.values()) deflater.close();
    this.deflaters.clear();
    this.inflater?.close();
    this.inflater = undefined;
    this.input = this.output = Buffer.alloc(0);
  }

  /**
   * Opens a stream that compresses. `key` identifies `options`. Returns undefined if streams cannot
   * be reused.
   */
  openDeflater(key: number, options: ZlibOptions): PooledStream | undefined {
    const opened = this.reuses ? openPooled(options) : undefined;
    if (opened === undefined) return undefined;
    const oldest = this.deflaters.size < MAX_DEFLATERS ? undefined : this.deflaters.entries().next().value;
    if (oldest !== undefined) {
      oldest[1].close();
      this.deflaters.delete(oldest[0]);
    }
    this.deflaters.set(key, opened);
    return opened;
  }
}

function roundUp(size: number): number {
  return Math.ceil(size / STEP) * STEP;
}
