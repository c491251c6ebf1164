import { primitives } from "./primitives.ts";

const LEAST = 16 * 1024; // bytes; below, new memory costs little
const MOST_KEPT = 4 * 1024 * 1024; // bytes for the process

/** Memory of large payloads that nobody can see any more. The last that came is the one still in the cache. */
const free: Uint8Array[] = [];
let kept = 0;

/** An array of `size` bytes, or, of those that were given back, one of up to `most`. What it holds is anything; it is at the start of a buffer of its own. */
export function takePiece(size: number, most: number): Uint8Array {
  if (size >= LEAST) {
    for (let at = free.length - 1; at >= 0; at--) {
      const piece = free[at];
      if (piece.length < size || piece.length > most) continue;
      free.splice(at, 1);
      kept -= piece.length;
      return piece;
    }
  }
  return primitives.allocate(size);
}

/** Lets other messages use the memory of a piece of one that nobody can read any more. */
export function giveBackPiece(piece: Uint8Array): void {
  const { buffer } = piece;
  const size = buffer.byteLength;
  if (size < LEAST || kept + size > MOST_KEPT) return;
  kept += size;
  free.push(piece.length === size ? piece : new Uint8Array(buffer)); // the last one of a message may have been cut
}
