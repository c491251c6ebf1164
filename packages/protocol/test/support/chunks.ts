// bytes; above it, splits around the start and the end, and some between
const ALL_OFFSETS_UP_TO = 400;
const EDGE = 16; // bytes; longer than any header

/** The splits of every vector: whole, byte by byte, and once at each offset. */
export function* chunkings(bytes: Uint8Array): Generator<readonly Uint8Array[]> {
  yield [bytes];
  yield Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  for (let at = 0; at <= bytes.length; at++) {
    if (bytes.length > ALL_OFFSETS_UP_TO && at > EDGE && at < bytes.length - EDGE && at % 20_011 !== 0) continue;
    yield [bytes.subarray(0, at), bytes.subarray(at)];
  }
}

/** Splits `bytes` at the given places, in any order, some outside. */
export function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const inside = places.filter((place) => place >= 0 && place <= bytes.length).sort((a, b) => a - b);
  return [...inside, bytes.length].map((end, i) => bytes.subarray(i === 0 ? 0 : inside[i - 1], end));
}

/**
 * Passes each chunk to `receive` as a process with one read buffer does: at an offset of a buffer
 * that is overwritten afterwards. Throws if the receiver changed it.
 */
export function lend(
  chunks: readonly Uint8Array[],
  receive: (chunk: Uint8Array, start: number, end: number) => void,
): void {
  const largest = chunks.reduce((size, chunk) => Math.max(size, chunk.length), 0);
  const buffer = new Uint8Array(largest + 16);
  chunks.forEach((chunk, i) => {
    const view = buffer.subarray(i % 3); // not every view starts at the start of its buffer
    const start = (i * 5) % 8;
    const end = start + chunk.length;
    view.fill(0xee);
    view.set(chunk, start);
    receive(view, start, end);
    for (let at = 0; at < view.length; at++) {
      const before = at >= start && at < end ? chunk[at - start] : 0xee;
      if (view[at] !== before) throw new Error(`byte ${at - start} of a borrowed chunk was changed`);
    }
    buffer.fill(0x5a);
  });
}
