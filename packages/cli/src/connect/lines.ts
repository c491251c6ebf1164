/** Maximum length of a line: 16 MiB, the frame limit of most servers. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Input that cannot be sent. The message gives the line number and the problem. */
export class LineError extends Error {
  override readonly name = "LineError";
}

/**
 * Yields the lines of UTF-8 text in batches, one for each chunk. A line ends with LF or CR LF; a
 * lone CR and U+2028 are part of the line. The last line needs no line ending. Throws `LineError`
 * after yielding the valid lines before the error.
 */
export async function* linesOf(
  input: AsyncIterable<Uint8Array>,
  maxLineBytes: number = MAX_LINE_BYTES,
): AsyncGenerator<readonly string[], void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let pieces: Uint8Array[] = [];
  let kept = 0;
  let count = 0;

  /** Splits and decodes complete lines. The last one has no line ending. */
  function* decode(bytes: Uint8Array): Generator<readonly string[], void> {
    if (bytes.length <= maxLineBytes) {
      try {
        const lines = decoder.decode(bytes).split("\n");
        count += lines.length;
        yield lines.map(withoutCr);
        return;
      } catch {
        // the loop below finds the invalid line
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
    // copy: a view would keep the whole chunk in memory
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
