import type { Duplex } from "node:stream";

const HEADER = 4; // bytes; payload length, little-endian
// bytes; both processes run the same version and stay far below this
const MAX_PAYLOAD = 256 * 1024 * 1024;

/**
 * Packets over a byte stream. Each packet arrives whole and in order, or not at all if the stream
 * ends.
 */
export class Packets {
  private readonly stream: Duplex;
  private chunks: Buffer[] = [];
  private size = 0;
  private needed = HEADER;

  /** `receive` may pause the stream. `ended` is called once. */
  constructor(stream: Duplex, on: { readonly receive: (payload: Buffer) => void; readonly ended: () => void }) {
    this.stream = stream;
    stream.on("data", (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.size += chunk.length;
      if (this.size >= this.needed) this.split(on.receive);
    });
    stream.on("error", () => stream.destroy());
    stream.once("end", () => stream.destroy());
    stream.once("close", on.ended);
  }

  /** Sends a packet. `done` is called when the system has accepted it or it is lost. */
  send(payload: Buffer, done: () => void): void {
    const header = Buffer.allocUnsafe(HEADER);
    header.writeUInt32LE(payload.length);
    this.stream.cork();
    this.stream.write(header);
    this.stream.write(payload, () => done());
    this.stream.uncork();
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  destroy(): void {
    this.stream.destroy();
  }

  private split(receive: (payload: Buffer) => void): void {
    const bytes =
      this.chunks.length === 1 && this.chunks[0] !== undefined ? this.chunks[0] : Buffer.concat(this.chunks);
    let at = 0;
    let needed = HEADER;
    while (bytes.length - at >= HEADER) {
      const length = bytes.readUInt32LE(at);
      if (length > MAX_PAYLOAD) {
        this.stream.destroy();
        return;
      }
      needed = HEADER + length;
      if (bytes.length - at < needed) break;
      receive(bytes.subarray(at + HEADER, at + needed));
      at += needed;
      needed = HEADER;
    }
    const rest = bytes.subarray(at);
    this.chunks = rest.length === 0 ? [] : [rest];
    this.size = rest.length;
    this.needed = needed;
  }
}
