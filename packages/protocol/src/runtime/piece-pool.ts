/** The smallest piece that is pooled, in bytes. Below, new memory costs little. */
export const LEAST_RECYCLED = 16 * 1024;
const MOST_KEPT = 4 * 1024 * 1024; // bytes in one pool

/**
 * Recycles the memory of large payloads that are no longer visible to any caller. The piece
 * released last is acquired first: it is still in the processor's cache.
 */
export class PiecePool {
  private readonly allocate: (size: number) => Uint8Array;
  private readonly free: Uint8Array[] = [];
  private kept = 0;

  constructor(allocate: (size: number) => Uint8Array) {
    this.allocate = allocate;
  }

  /**
   * Returns an array of `size` bytes, or a recycled one of up to `most` bytes. It is at the start
   * of a buffer of its own and uninitialised.
   */
  acquire(size: number, most: number): Uint8Array {
    if (size >= LEAST_RECYCLED) {
      for (let at = this.free.length - 1; at >= 0; at--) {
        const piece = this.free[at];
        if (piece.length < size || piece.length > most) continue;
        this.free.splice(at, 1);
        this.kept -= piece.length;
        return piece;
      }
    }
    return this.allocate(size);
  }

  /** Recycles the memory of a piece that no caller can read any more. */
  release(piece: Uint8Array): void {
    const { buffer } = piece;
    const size = buffer.byteLength;
    if (size < LEAST_RECYCLED || size > MOST_KEPT) return;
    this.kept += size;
    // the piece released longest ago has a size that is no longer used
    let evicted = 0;
    while (this.kept > MOST_KEPT) this.kept -= this.free[evicted++].length;
    if (evicted > 0) this.free.splice(0, evicted);
    // the last piece of a message may have been cut
    this.free.push(piece.length === size ? piece : new Uint8Array(buffer));
  }
}
