import type { Message } from "tungstate";
import { escapeInto, LONGEST_ESCAPE, type Progress } from "./escape.ts";

const CHUNK = 64 * 1024; // bytes that are escaped before they are written
const BASE64_INPUT = 3 * 8 * 1024; // bytes of a binary message that are encoded at a time; a multiple of 3, so that no padding comes in between
const NEWLINE = 0x0a;
const BINARY_PREFIX = "base64:";

/** Where lines go. Resolves when more may be written; undefined: at once. */
export type WriteChunk = (chunk: Uint8Array) => Promise<void> | undefined;

export interface PrinterOptions {
  /** Bytes of a line, as they are printed, behind which it is cut; its end says so. */
  readonly maxLineBytes: number;
  readonly write: WriteChunk;
  /** Called for each line that was cut: how many bytes of the message were printed, and how many it has. */
  readonly onCut: (printed: number, size: number) => void;
}

/**
 * Prints each message as a line: text with its control characters escaped, a binary message as `base64:` and its bytes in base64. A message is
 * escaped piece by piece while the output takes it, so that printing needs one small buffer, however long a message becomes.
 */
export class MessagePrinter {
  private readonly options: PrinterOptions;
  private readonly chunk = Buffer.allocUnsafe(CHUNK);
  private used = 0;

  constructor(options: PrinterOptions) {
    this.options = options;
  }

  /** Resolves when the next one may be printed. What is left of this one is printed by `flush`. */
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
      if (CHUNK - this.used < LONGEST_ESCAPE) await this.flush();
      const before = this.used;
      progress.written = before;
      // the last character may pass the limit by a few bytes: an escape is never cut
      escapeInto(bytes, this.chunk, Math.min(CHUNK, before + left - 1 + LONGEST_ESCAPE), progress);
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
    await this.put(` [cut: ${size - printed} more bytes]`);
    this.options.onCut(printed, size);
  }

  /** ASCII that is shorter than a chunk. */
  private async put(text: string): Promise<void> {
    if (CHUNK - this.used < text.length) await this.flush();
    this.used += this.chunk.write(text, this.used, "latin1");
  }

  async flush(): Promise<void> {
    if (this.used === 0) return;
    // the output may keep what it is given for later
    const copy = Buffer.from(this.chunk.subarray(0, this.used));
    this.used = 0;
    await this.options.write(copy);
  }
}
