const ALL_OFFSETS_UP_TO = 400; // bytes; above it, those around the beginning and the end, and some between
const EDGE = 16; // bytes; longer than any header

/** The ways in which every vector is cut: whole, byte by byte, and once at each byte offset. */
export function* chunkings(bytes: Uint8Array): Generator<readonly Uint8Array[]> {
  yield [bytes];
  yield Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  for (let at = 0; at <= bytes.length; at++) {
    if (bytes.length > ALL_OFFSETS_UP_TO && at > EDGE && at < bytes.length - EDGE && at % 20_011 !== 0) continue;
    yield [bytes.subarray(0, at), bytes.subarray(at)];
  }
}

/** `bytes` cut at the given places, which need be neither in order nor inside. */
export function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const inside = places.filter((place) => place >= 0 && place <= bytes.length).sort((a, b) => a - b);
  return [...inside, bytes.length].map((end, i) => bytes.subarray(i === 0 ? 0 : inside[i - 1], end));
}

/**
 * Gives each chunk to `receive` as a process with one read buffer would: at some offset of a buffer that is written over
 * afterwards. Throws if the receiver changed it.
 */
export function lend(
  chunks: readonly Uint8Array[],
  receive: (chunk: Uint8Array, start: number, end: number) => void,
): void {
  const largest = chunks.reduce((size, chunk) => Math.max(size, chunk.length), 0);
  const buffer = new Uint8Array(largest + 16);
  chunks.forEach((chunk, i) => {
    const view = buffer.subarray(i % 3); // not every view begins where its buffer does
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
