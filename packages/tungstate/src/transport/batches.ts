/**
 * Bytes that are written to a stream at a time. A stream that takes a large write as a whole says nothing until all of it has left; in batches it shows that its
 * peer still reads, however slowly.
 */
const BATCH_SIZE = 64 * 1024;

/** The stream that batches are written to. */
export interface BatchStream {
  /** Writes pieces, and has `Batches.written` called for each. */
  writeBatch(pieces: readonly Uint8Array[]): void;
  /** Nothing waits any more. */
  onBatchesWritten(): void;
}

/** Writes bytes to a stream, in order, a batch at a time. */
export class Batches {
  private readonly stream: BatchStream;
  /** Pieces of the batch under way that the stream has not written, and the bytes of all of that batch. */
  private pending = 0;
  private batchSize = 0;
  /** What waits behind it, from `first` on. */
  private waiting: Uint8Array[] = [];
  private first = 0;
  private waitingSize = 0;

  constructor(stream: BatchStream) {
    this.stream = stream;
  }

  /** Bytes that were given and have not left, as far as the stream has said. */
  get unsent(): number {
    return this.batchSize + this.waitingSize;
  }

  write(pieces: readonly Uint8Array[]): void {
    let size = 0;
    for (const piece of pieces) size += piece.length;
    if (this.pending === 0 && size <= BATCH_SIZE) {
      this.start(pieces, size);
      return;
    }
    for (const piece of pieces) this.waiting.push(piece);
    this.waitingSize += size;
    if (this.pending === 0) this.next();
  }

  /** A piece has been written. */
  written(): void {
    if (--this.pending > 0) return;
    this.batchSize = 0;
    if (this.waitingSize > 0) this.next();
    else this.stream.onBatchesWritten();
  }

  /** Drops what waits. */
  clear(): void {
    this.waiting = [];
    this.first = this.waitingSize = 0;
  }

  private next(): void {
    const { waiting } = this;
    const batch: Uint8Array[] = [];
    let room = BATCH_SIZE;
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
    const size = BATCH_SIZE - room;
    this.waitingSize -= size;
    if (this.waitingSize === 0) this.clear();
    this.start(batch, size);
  }

  private start(pieces: readonly Uint8Array[], size: number): void {
    this.pending = pieces.length;
    this.batchSize = size;
    this.stream.writeBatch(pieces);
  }
}
