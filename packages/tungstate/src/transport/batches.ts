/**
 * Size of a batch in bytes. A stream reports a write only when all of it was sent. Several smaller
 * writes show that a slow peer still reads.
 */
const BATCH_SIZE = 64 * 1024;

/** The stream that batches are written to. */
export interface BatchStream {
  /**
   * Writes pieces of `size` bytes in total. Calls `Batches.written` for each piece, or
   * `Batches.batchWritten` once for all.
   */
  writeBatch(pieces: readonly Uint8Array[], size: number): void;
  /** Called when nothing is queued any more. */
  onBatchesWritten(): void;
}

/** Writes bytes to a stream in order, one batch at a time. */
export class Batches {
  private readonly stream: BatchStream;
  /**
   * Pieces of the current batch that the stream has not written, and the size of that batch in
   * bytes.
   */
  private pending = 0;
  private batchSize = 0;
  /** Pieces queued behind the current batch; the first one is at `first`. */
  private waiting: Uint8Array[] = [];
  private first = 0;
  private waitingSize = 0;

  private readonly size: number;

  /** `size`: the most bytes of a batch. */
  constructor(stream: BatchStream, size = BATCH_SIZE) {
    this.stream = stream;
    this.size = size;
  }

  /** Bytes whose write the stream has not reported as complete. */
  get unsent(): number {
    return this.batchSize + this.waitingSize;
  }

  write(pieces: readonly Uint8Array[]): void {
    let size = 0;
    for (const piece of pieces) size += piece.length;
    if (this.pending === 0 && size <= this.size) {
      this.start(pieces, size);
      return;
    }
    for (const piece of pieces) this.waiting.push(piece);
    this.waitingSize += size;
    if (this.pending === 0) this.next();
  }

  /** Registers a batch that the stream has begun to write. Only while nothing is queued. */
  begun(size: number): void {
    this.pending = 1;
    this.batchSize = size;
  }

  /** Call when the stream has written a piece. */
  written(): void {
    if (--this.pending === 0) this.batchWritten();
  }

  /** Call when the stream has written the current batch. */
  batchWritten(): void {
    this.pending = 0;
    this.batchSize = 0;
    if (this.waitingSize > 0) this.next();
    else this.stream.onBatchesWritten();
  }

  /** Drops the queued pieces. */
  clear(): void {
    this.waiting = [];
    this.first = this.waitingSize = 0;
  }

  private next(): void {
    const { waiting } = this;
    const batch: Uint8Array[] = [];
    let room = this.size;
    while (room > 0 && this.first < waiting.length) {
      const piece = waiting[this.first];
      if (piece.length <= room) {
        batch.push(piece);
        room -= piece.length;
        this.first++;
      } else {
        batch.push(piece.subarray(0, room));
        waiting[this.first] = piece.subarray(room);
        room = 0;
      }
    }
    const size = this.size - room;
    this.waitingSize -= size;
    if (this.waitingSize === 0) this.clear();
    this.start(batch, size);
  }

  private start(pieces: readonly Uint8Array[], size: number): void {
    this.pending = pieces.length;
    this.batchSize = size;
    this.stream.writeBatch(pieces, size);
  }
}
