import type { Duplex } from "node:stream";

/** Records writes to a stream: one array of bytes for each write. */
export function recordWrites(stream: Duplex, written: Uint8Array[]): void {
  const write = stream._write.bind(stream);
  stream._write = (chunk: Uint8Array, encoding, done) => {
    written.push(chunk);
    write(chunk, encoding, done);
  };
}
