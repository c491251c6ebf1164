import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TestContext } from "node:test";

/**
 * One end of a byte stream without a protocol: sends what it is given and records what it receives.
 */
export class Wire {
  readonly stream: Duplex;
  ended = false;
  closed = false;
  private chunks: Buffer[] = [];
  private wake: (() => void) | undefined;

  constructor(stream: Duplex) {
    this.stream = stream;
    const changed = (): void => this.wake?.();
    stream.on("data", (chunk: Buffer) => {
      this.chunks.push(chunk);
      changed();
    });
    stream.on("end", () => {
      this.ended = true;
      changed();
    });
    stream.on("error", () => undefined); // the other end may close at any time: `close` follows
    stream.on("close", () => {
      this.closed = true;
      changed();
    });
  }

  /** Connects to a port of this host. Closed when the test ends. */
  static async to(t: TestContext, port: number): Promise<Wire> {
    const socket: Socket = connect(port, "127.0.0.1");
    t.after(() => socket.destroy());
    await once(socket, "connect");
    socket.setNoDelay(true);
    return new Wire(socket);
  }

  get received(): Buffer {
    if (this.chunks.length > 1) this.chunks = [Buffer.concat(this.chunks)];
    return this.chunks[0] ?? Buffer.alloc(0);
  }

  /** Whether the other end accepts or sends no more. */
  get over(): boolean {
    return this.ended || this.closed;
  }

  send(...parts: (string | Uint8Array)[]): this {
    if (!this.over && this.stream.writable) this.stream.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
    return this;
  }

  /**
   * Sends pieces, waiting for the other end as needed; stops when it has closed. Returns the number
   * of bytes sent.
   */
  async pour(pieces: Iterable<Uint8Array>): Promise<number> {
    let sent = 0;
    for (const piece of pieces) {
      if (this.over || !this.stream.writable) break;
      sent += piece.length;
      if (!this.stream.write(piece)) await this.drained();
    }
    return sent;
  }

  private async drained(): Promise<void> {
    while (this.stream.writableNeedDrain && !this.over) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        this.stream.once("drain", resolve);
      });
    }
  }

  /** Waits until `enough` accepts the received bytes, or nothing more can arrive. */
  async until(enough: (got: Buffer) => boolean): Promise<Buffer> {
    while (!enough(this.received) && !this.over) await new Promise<void>((resolve) => (this.wake = resolve));
    return this.received;
  }

  /** Waits for `count` bytes and removes them from `received`. */
  async take(count: number): Promise<Buffer> {
    const got = await this.until((bytes) => bytes.length >= count);
    if (got.length < count) throw new Error(`it ended after ${got.length} of ${count} bytes`);
    this.chunks = [got.subarray(count)];
    return got.subarray(0, count);
  }

  /** Waits for the end of a head; the bytes after it stay in `received`. */
  async head(): Promise<Head> {
    const got = await this.until((bytes) => bytes.includes("\r\n\r\n"));
    const end = got.indexOf("\r\n\r\n");
    if (end < 0) throw new Error(`no whole head: ${JSON.stringify(got.toString("latin1").slice(0, 200))}`);
    this.chunks = [got.subarray(end + 4)];
    const [line = "", ...fields] = got.toString("latin1", 0, end).split("\r\n");
    return { line, status: Number(line.split(" ")[1]), fields };
  }

  /** Waits until the other end has ended its half. */
  async end(): Promise<Buffer> {
    return this.until(() => false);
  }
}

export interface Head {
  readonly line: string;
  /** Of a response; NaN for a request. */
  readonly status: number;
  /** `Name: value`, as received. */
  readonly fields: readonly string[];
}

/** Returns the values of a header field. */
export function valuesOf(head: Head, name: string): string[] {
  const prefix = `${name.toLowerCase()}:`;
  return head.fields
    .filter((field) => field.toLowerCase().startsWith(prefix))
    .map((field) => field.slice(prefix.length).trim());
}
