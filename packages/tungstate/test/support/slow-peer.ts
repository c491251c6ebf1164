import { acceptValue } from "@tungstate/protocol";
import type { Duplex } from "node:stream";
import { sha1 } from "../../src/native/primitives.ts";
import type { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { CLOSE, closePayload, frame, upgradeRequest, upgradeResponse } from "./raw.ts";

/** A peer that sends bytes and reads exactly as much as told. */
export class SlowPeer {
  /** Bytes received after the head. */
  received = 0;
  ended = false;
  /** The last received bytes. */
  tail: Buffer = Buffer.alloc(0);
  private readonly stream: Duplex;
  private readonly masked: boolean;
  private gone = false;
  private wake: () => void = () => undefined;

  /** `masked`: it is a client. */
  constructor(stream: Duplex, masked: boolean) {
    this.stream = stream;
    this.masked = masked;
    stream.on("readable", () => this.wake());
    stream.on("end", () => {
      this.ended = true;
      this.wake();
    });
    stream.on("error", () => (this.gone = true));
    stream.on("close", () => {
      this.gone = true;
      this.wake();
    });
  }

  /** Performs a client's handshake. */
  async handshake(target = "/", headers: Readonly<Record<string, string>> = {}): Promise<void> {
    this.stream.write(upgradeRequest(target, headers));
    let head = Buffer.alloc(0);
    while (!head.includes("\r\n\r\n")) {
      const chunk = await this.chunk(Infinity);
      if (chunk === undefined) throw new Error("the stream ended before the response");
      head = Buffer.concat([head, chunk]);
    }
    const end = head.indexOf("\r\n\r\n") + 4;
    if (!head.subarray(0, end).includes(" 101 ")) throw new Error(head.toString("latin1"));
    this.count(head.subarray(end));
  }

  /** Performs a server's handshake. */
  async answerHandshake(): Promise<void> {
    let head = Buffer.alloc(0);
    while (!head.includes("\r\n\r\n")) {
      const chunk = await this.chunk(Infinity);
      if (chunk === undefined) throw new Error("the stream ended before the request");
      head = Buffer.concat([head, chunk]);
    }
    const key = /^Sec-WebSocket-Key: (\S+)\r$/im.exec(head.toString("latin1"))?.[1] ?? "";
    this.stream.write(upgradeResponse(acceptValue(key, sha1)));
  }

  /** Reads that many bytes, or up to the Close, or to the end. */
  async read(size: number): Promise<void> {
    const enough = this.received + size;
    while (this.received < enough && !this.hasClose) {
      const chunk = await this.chunk(enough - this.received);
      if (chunk === undefined) return;
      this.count(chunk);
    }
  }

  /** Reads what has arrived, at most that many bytes. */
  take(size: number): void {
    for (let left = size; left > 0 && this.stream.readableLength > 0;) {
      const got: unknown = this.stream.read(Math.min(left, this.stream.readableLength));
      if (!(got instanceof Buffer)) return;
      this.count(got);
      left -= got.length;
    }
  }

  /**
   * Reads at a steady rate of the clock, in bytes per second, until the Close has arrived, the
   * stream has ended, or `most` bytes have arrived.
   */
  async readSteadily(clock: VirtualClock, rate: number, most = Infinity): Promise<void> {
    while (!this.over && !this.hasClose && this.received < most) {
      await this.read(rate);
      await clock.advance(1000);
    }
  }

  send(bytes: Uint8Array): void {
    this.stream.write(bytes);
  }

  /** Sends a Close and ends its half. */
  close(code: number): void {
    this.stream.end(frame(CLOSE, closePayload(code), { masked: this.masked }));
  }

  /** Ends its half. */
  end(): void {
    this.stream.end();
  }

  destroy(): void {
    this.stream.destroy();
  }

  get over(): boolean {
    return this.ended || this.gone;
  }

  /**
   * Whether the last bytes are a Close with a code and no reason. The payloads of these tests are
   * zeros.
   */
  get hasClose(): boolean {
    return this.closeCode !== undefined;
  }

  get closeCode(): number | undefined {
    const { tail } = this;
    if (this.masked) return tail.at(-4) === 0x88 && tail.at(-3) === 2 ? tail.readUInt16BE(tail.length - 2) : undefined;
    return tail.at(-8) === 0x88 && tail.at(-7) === 0x82 ? 0 : undefined; // its code is masked
  }

  private count(chunk: Buffer): void {
    this.received += chunk.length;
    this.tail = Buffer.from(Buffer.concat([this.tail, chunk]).subarray(-8));
  }

  /** Reads the next bytes, at most that many; undefined at the end. */
  private async chunk(most: number): Promise<Buffer | undefined> {
    for (;;) {
      if (this.over) return undefined;
      const { readableLength } = this.stream;
      const got: unknown = readableLength === 0 ? this.stream.read() : this.stream.read(Math.min(most, readableLength));
      if (got instanceof Buffer) return got;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}
