/** The longest line: what the largest frame of most servers takes. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Input that can't be sent; `message` says which line, and why. */
export class LineError extends Error {
  override readonly name = "LineError";
}

/**
 * The lines of UTF-8 text, as many at a time as a chunk has brought. A line ends with LF or CR LF and with nothing else: a lone CR, or U+2028,
 * is part of it. The last one needs no end. Throws LineError behind the last good line.
 */
export async function* linesOf(
  input: AsyncIterable<Uint8Array>,
  maxLineBytes: number = MAX_LINE_BYTES,
): AsyncGenerator<readonly string[], void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let pieces: Uint8Array[] = [];
  let kept = 0;
  let count = 0;

  /** Lines without the end of the last one. */
  function* decode(bytes: Uint8Array): Generator<readonly string[], void> {
    if (bytes.length <= maxLineBytes) {
      try {
        const lines = decoder.decode(bytes).split("\n");
        count += lines.length;
        yield lines.map(withoutCr);
        return;
      } catch {
        // which line it is shows below
      }
    }
    const good: string[] = [];
    for (const line of splitAtLf(bytes)) {
      count++;
      try {
        if (line.length > maxLineBytes) throw tooLong();
        good.push(withoutCr(decoder.decode(line)));
      } catch (error) {
        yield good;
        throw error instanceof LineError ? error : new LineError(`line ${count} is not UTF-8`, { cause: error });
      }
    }
    yield good;
  }

  function tooLong(): LineError {
    return new LineError(`line ${count} is longer than ${maxLineBytes} bytes`);
  }

  for await (const chunk of input) {
    const end = chunk.lastIndexOf(LF);
    if (end >= 0) {
      yield* decode(Buffer.concat([...pieces, chunk.subarray(0, end)]));
      pieces = [];
      kept = 0;
    }
    if (end + 1 === chunk.length) continue;
    // the rest of a chunk may keep much more alive than itself
    pieces.push(new Uint8Array(chunk.subarray(end + 1)));
    kept += chunk.length - end - 1;
    if (kept > maxLineBytes) {
      count++;
      throw tooLong();
    }
  }
  if (kept > 0) yield* decode(Buffer.concat(pieces));
}

const LF = 0x0a;

function withoutCr(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}

function* splitAtLf(bytes: Uint8Array): Generator<Uint8Array, void> {
  let start = 0;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, start)) {
    yield bytes.subarray(start, at);
    start = at + 1;
  }
  yield bytes.subarray(start);
}
