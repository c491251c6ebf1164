import { once } from "node:events";
import type { Socket } from "node:net";

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;

/** A message or a Close received by a client. */
export interface Frame {
  readonly kind: "text" | "binary" | "close";
  readonly payload: Buffer;
}

/** The client's end of a WebSocket as SDK libraries write it: a request head and masked frames. */
export class SdkBytes {
  private readonly socket: Socket;
  private received = Buffer.alloc(0);
  private ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => (this.received = Buffer.concat([this.received, chunk])));
    socket.on("error", () => undefined);
    socket.on("close", () => (this.ended = true));
  }

  /** Sends a request head; returns the response head. */
  async handshake(lines: readonly string[]): Promise<string> {
    this.socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    for (;;) {
      const end = this.received.indexOf("\r\n\r\n");
      if (end >= 0) {
        const head = this.received.toString("latin1", 0, end);
        this.received = this.received.subarray(end + 4);
        return head;
      }
      await this.more();
    }
  }

  text(payload: string): void {
    this.frame(TEXT, Buffer.from(payload));
  }

  binary(payload: Uint8Array): void {
    this.frame(BINARY, payload);
  }

  /** Answers a Close, as clients do. */
  close(payload: Uint8Array): void {
    this.frame(CLOSE, payload);
  }

  /** Returns the next message or Close; ignores pings. */
  async next(): Promise<Frame> {
    for (;;) {
      const frame = this.parse();
      if (frame !== undefined) return frame;
      await this.more();
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  private frame(opcode: number, payload: Uint8Array): void {
    const mask = Buffer.from([1, 2, 3, 4]);
    const length =
      payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 255];
    const masked = Buffer.from(payload).map((byte, i) => byte ^ (mask[i % 4] ?? 0));
    this.socket.write(Buffer.concat([Buffer.from([0x80 | opcode, ...length]), mask, masked]));
  }

  private parse(): Frame | undefined {
    const { received } = this;
    if (received.length < 2) return undefined;
    const opcode = received.readUInt8(0) & 15;
    const short = received.readUInt8(1);
    const start = short === 126 ? 4 : 2;
    if (received.length < start) return undefined;
    const length = short === 126 ? received.readUInt16BE(2) : short;
    if (received.length < start + length) return undefined;
    const payload = received.subarray(start, start + length);
    this.received = received.subarray(start + length);
    if (opcode === CLOSE) return { kind: "close", payload };
    if (opcode === TEXT || opcode === BINARY) return { kind: opcode === TEXT ? "text" : "binary", payload };
    return this.parse();
  }

  private async more(): Promise<void> {
    if (this.ended) throw new Error("the connection has ended");
    await Promise.race([once(this.socket, "data"), once(this.socket, "close")]);
  }
}
