import type { Message } from "tungstate";
import { escapeInto, MAX_ESCAPE_BYTES, type Progress } from "../system/escape.ts";

const CHUNK = 64 * 1024; // bytes buffered before a write
// bytes of a binary message encoded at a time; a multiple of 3, so that padding occurs only at the
// end
const BASE64_INPUT = 3 * 8 * 1024;
const NEWLINE = 0x0a;
const BINARY_PREFIX = "base64:";

/**
 * Writes output. Returns a promise that resolves when more may be written, or undefined if it may
 * be written at once.
 */
export type WriteChunk = (chunk: Uint8Array) => Promise<void> | undefined;

export interface PrinterOptions {
  /** Length in bytes after which an output line is truncated. The line then ends with a note. */
  readonly maxLineBytes: number;
  readonly write: WriteChunk;
  /**
   * Called for each truncated line with the number of bytes printed and the size of the message.
   */
  readonly onCut: (printed: number, size: number) => void;
}

/**
 * Prints each message as one line: text with control characters escaped, binary messages as
 * `base64:` and their bytes in base64. A message is converted in pieces as the output accepts them,
 * so memory use does not depend on its size.
 */
export class MessagePrinter {
  private readonly options: PrinterOptions;
  private readonly chunk = Buffer.allocUnsafe(CHUNK);
  private used = 0;

  constructor(options: PrinterOptions) {
    this.options = options;
  }

  /** Resolves when the next message may be printed. `flush` writes the remaining output. */
  async print({ type, bytes }: Message): Promise<void> {
    if (type === "text") await this.printText(bytes);
    else await this.printBinary(bytes);
    if (this.used === CHUNK) await this.flush();
    this.chunk[this.used++] = NEWLINE;
  }

  private async printText(bytes: Uint8Array): Promise<void> {
    const { maxLineBytes } = this.options;
    const progress: Progress = { read: 0, written: 0 };
    let left = maxLineBytes;
    while (progress.read < bytes.length) {
      if (left <= 0) return this.cut(progress.read, bytes.length);
      if (CHUNK - this.used < MAX_ESCAPE_BYTES) await this.flush();
      const before = this.used;
      progress.written = before;
      // an escape is never split: the last one may exceed the limit by a few bytes
      escapeInto(bytes, this.chunk, Math.min(CHUNK, before + left - 1 + MAX_ESCAPE_BYTES), progress);
      this.used = progress.written;
      left -= this.used - before;
    }
  }

  private async printBinary(bytes: Uint8Array): Promise<void> {
    await this.put(BINARY_PREFIX);
    const most = Math.max(0, Math.floor((this.options.maxLineBytes - BINARY_PREFIX.length) / 4) * 3);
    const end = Math.min(bytes.length, most);
    for (let at = 0; at < end; at += BASE64_INPUT) {
      const piece = bytes.subarray(at, Math.min(end, at + BASE64_INPUT));
      await this.put(Buffer.from(piece.buffer, piece.byteOffset, piece.length).toString("base64"));
    }
    if (end < bytes.length) await this.cut(end, bytes.length);
  }

  private async cut(printed: number, size: number): Promise<void> {
    await this.put(` [truncated: ${size - printed} more bytes]`);
    this.options.onCut(printed, size);
  }

  /** Appends ASCII text shorter than a chunk. */
  private async put(text: string): Promise<void> {
    if (CHUNK - this.used < text.length) await this.flush();
    this.used += this.chunk.write(text, this.used, "latin1");
  }

  async flush(): Promise<void> {
    if (this.used === 0) return;
    // copy: the output may keep a reference
    const copy = Buffer.from(this.chunk.subarray(0, this.used));
    this.used = 0;
    await this.options.write(copy);
  }
}
