import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TestContext } from "node:test";
import { connect as connectTls } from "node:tls";

/** The key of RFC 6455 §1.3, and its accept value. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
export const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const UPGRADE: Readonly<Record<string, string>> = {
  Host: "localhost",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": KEY,
  "Sec-WebSocket-Version": "13",
};

/**
 * Returns a client's request; `headers` are added to the usual ones, or replace them (undefined:
 * removed).
 */
export function upgradeRequest(
  target = "/",
  headers: Readonly<Record<string, string | undefined>> = {},
  line = `GET ${target} HTTP/1.1`,
): string {
  const fields = Object.entries({ ...UPGRADE, ...headers }).filter(([, value]) => value !== undefined);
  return `${line}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

/** Returns a server's response to `upgradeRequest` or, with its key, to any other. */
export function upgradeResponse(accept = ACCEPT, more = ""): string {
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${more}\r\n`;
}

const MASK = [0x37, 0xfa, 0x21, 0x3d];

/** Returns one frame, byte by byte as in RFC 6455 §5.2. */
export function frame(
  opcode: number,
  payload: string | Uint8Array = "",
  { fin = true, masked = true }: { readonly fin?: boolean; readonly masked?: boolean } = {},
): Buffer {
  const bytes = Buffer.from(payload);
  const length = bytes.length < 126 ? [bytes.length] : [126, bytes.length >> 8, bytes.length & 0xff];
  if (bytes.length > 0xffff) throw new RangeError("these frames are for small payloads");
  length[0] = (length[0] ?? 0) | (masked ? 0x80 : 0);
  const body = masked ? bytes.map((byte, at) => byte ^ (MASK[at & 3] ?? 0)) : bytes;
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, ...length, ...(masked ? MASK : [])]), body]);
}

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export function closePayload(code: number, reason = ""): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Everything received after the head. */
  readonly rest: Buffer;
}

/**
 * The other end of a byte stream without a protocol: sends what it is given and records what it
 * receives.
 */
export class Raw {
  readonly stream: Duplex;
  ended = false;
  closed = false;
  error: Error | undefined;
  private got = Buffer.alloc(0);
  private wake: (() => void) | undefined;

  constructor(stream: Duplex) {
    this.stream = stream;
    const changed = (): void => this.wake?.();
    stream.on("data", (chunk: Buffer) => {
      this.got = Buffer.concat([this.got, chunk]);
      changed();
    });
    stream.on("end", () => {
      this.ended = true;
      changed();
    });
    stream.on("error", (error) => (this.error = error));
    stream.on("close", () => {
      this.closed = true;
      changed();
    });
  }

  /**
   * Connects to a port of this host, or to a Unix socket; over TLS if a CA is given. Closed when
   * the test ends.
   */
  static to(
    t: TestContext,
    where: { readonly port: number; readonly host?: string } | { readonly path: string },
    ca?: string,
  ): Raw {
    const place = "port" in where ? { host: "127.0.0.1", ...where } : where;
    const socket: Socket = ca === undefined ? connect(place) : connectTls({ ...place, ca, servername: "localhost" });
    socket.setNoDelay(true);
    t.after(() => socket.destroy());
    return new Raw(socket);
  }

  get received(): Buffer {
    return this.got;
  }

  send(...parts: (string | Uint8Array)[]): this {
    this.stream.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
    return this;
  }

  /** Waits until `enough` accepts the received bytes, or nothing more can arrive. */
  async until(enough: (got: Buffer) => boolean): Promise<Buffer> {
    while (!enough(this.got) && !this.ended && !this.closed) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    return this.got;
  }

  /** Waits for the head of a response. */
  async head(): Promise<Answer> {
    return parseAnswer(await this.until((got) => got.includes("\r\n\r\n")));
  }

  /** Waits for the end of the stream and parses what was received as a response. */
  async answer(): Promise<Answer> {
    return parseAnswer(await this.until(() => false));
  }

  /**
   * Returns the unmasked small frames received after a head of `skip` bytes until the stream ended
   * or there were `count`.
   */
  async frames(count = Infinity): Promise<{ readonly opcode: number; readonly payload: Buffer }[]> {
    const all = await this.until((got) => parseFrames(behindHead(got)).length >= count);
    return parseFrames(behindHead(all));
  }

  /** Waits until both directions have ended. */
  async gone(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => (this.wake = resolve));
  }
}

function behindHead(bytes: Buffer): Buffer {
  const end = bytes.indexOf("\r\n\r\n");
  return end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 4);
}

function parseAnswer(bytes: Buffer): Answer {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) throw new Error(`no whole head: ${JSON.stringify(bytes.toString("latin1").slice(0, 200))}`);
  const [line = "", ...fields] = bytes.toString("latin1", 0, end).split("\r\n");
  const pairs = fields.map((field) => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const;
  });
  return { status: Number(line.split(" ")[1]), headers: Object.fromEntries(pairs), rest: bytes.subarray(end + 4) };
}

function parseFrames(bytes: Buffer): { readonly opcode: number; readonly payload: Buffer }[] {
  const frames = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    if (short === 126 && at + 4 > bytes.length) break;
    const start = at + (short === 126 ? 4 : 2);
    const end = start + (short === 126 ? bytes.readUInt16BE(at + 2) : short);
    if (end > bytes.length) break;
    frames.push({ opcode: (bytes[at] ?? 0) & 0x0f, payload: bytes.subarray(start, end) });
    at = end;
  }
  return frames;
}
