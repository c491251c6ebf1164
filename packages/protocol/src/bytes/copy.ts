const NATIVE_PAYS = 192; // bytes up to which a loop is faster than a view and `set`

/**
 * Copies small payloads out of shared memory. Remembers the array that it copied from last, its
 * buffer and a view of it: successive payloads are mostly in the same array, and asking an array
 * for its buffer is slow.
 */
export class SharedCopier {
  private viewed: Uint8Array = new Uint8Array(0);
  private buffer: ArrayBufferLike = this.viewed.buffer;
  private offset = 0;
  private view: DataView = new DataView(this.buffer);

  /**
   * Copies `source[start..start + length)` to `target[at]`. `targetView` is a view of target's
   * whole buffer, in which target starts at byte 0.
   */
  copy(source: Uint8Array, start: number, length: number, target: Uint8Array, at: number, targetView: DataView): void {
    if (source !== this.viewed) {
      this.viewed = source;
      this.buffer = source.buffer;
      this.offset = source.byteOffset;
      this.view = new DataView(this.buffer, this.offset);
    }
    if (length > NATIVE_PAYS) {
      target.set(new Uint8Array(this.buffer, this.offset + start, length), at);
      return;
    }
    const { view } = this;
    const end = start + length;
    // words, which need not be aligned, are several times as fast as bytes
    for (const lastWord = end - 3; start < lastWord; start += 4, at += 4) {
      targetView.setInt32(at, view.getInt32(start, true), true);
    }
    for (; start < end; start++, at++) target[at] = source[start];
  }
}

const LOOP_PAYS = 24; // bytes up to which a loop is faster than `set`

/** Copies `source[start..start + length)` to `target[at]`. */
export function copyBytes(source: Uint8Array, start: number, length: number, target: Uint8Array, at: number): void {
  if (length <= LOOP_PAYS) {
    for (const end = start + length; start < end; start++, at++) target[at] = source[start];
  } else {
    target.set(start === 0 && length === source.length ? source : source.subarray(start, start + length), at);
  }
}
