// Frames and handshakes as bytes, independent of any implementation.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { TestContext } from "node:test";

export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Frame {
  readonly fin: boolean;
  readonly rsv1: boolean;
  readonly opcode: number;
  readonly masked: boolean;
  readonly mask: Buffer;
  readonly payload: Buffer;
}

interface FrameOptions {
  readonly fin?: boolean;
  readonly rsv?: number;
  /** Masks the payload with these four bytes. */
  readonly mask?: readonly number[];
}

const MASK = [1, 2, 3, 4] as const;

/** Returns the bytes of a frame. */
export function frame(opcode: number, payload: Uint8Array | string = "", options: FrameOptions = {}): Buffer {
  const { fin = true, rsv = 0, mask } = options;
  const data = Buffer.from(payload as string);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const bit = mask === undefined ? 0 : 0x80;
  if (data.length < 126) head.push(bit | data.length);
  else if (data.length < 65_536) head.push(bit | 126, data.length >> 8, data.length & 255);
  else head.push(bit | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (data.length >>> shift) & 255));
  if (mask === undefined) return Buffer.concat([Buffer.from(head), data]);
  return Buffer.concat([Buffer.from([...head, ...mask]), data.map((byte, at) => byte ^ (mask[at & 3] ?? 0))]);
}

/** Returns a masked frame, as a client sends it. */
export function masked(opcode: number, payload: Uint8Array | string = "", options: FrameOptions = {}): Buffer {
  return frame(opcode, payload, { mask: MASK, ...options });
}

export function closePayload(code: number, reason = ""): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
}

/** Takes frames out of a byte sequence. */
export class FrameReader {
  private bytes = Buffer.alloc(0);

  push(chunk: Uint8Array): Frame[] {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    const frames: Frame[] = [];
    for (;;) {
      const next = this.take();
      if (next === undefined) return frames;
      frames.push(next);
    }
  }

  private take(): Frame | undefined {
    const { bytes } = this;
    if (bytes.length < 2) return undefined;
    const [first, second] = [bytes.readUInt8(0), bytes.readUInt8(1)];
    let [length, offset] = [second & 127, 2];
    if (length >= 126) {
      const size = length === 126 ? 2 : 8;
      if (bytes.length < 2 + size) return undefined;
      length = size === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
      offset += size;
    }
    const isMasked = (second & 128) !== 0;
    const mask = isMasked ? bytes.subarray(offset, offset + 4) : Buffer.alloc(0);
    if (isMasked) offset += 4;
    if (bytes.length < offset + length) return undefined;
    const data = bytes.subarray(offset, offset + length);
    this.bytes = bytes.subarray(offset + length);
    return {
      fin: (first & 128) !== 0,
      rsv1: (first & 64) !== 0,
      opcode: first & 15,
      masked: isMasked,
      mask,
      payload: Buffer.from(isMasked ? data.map((byte, at) => byte ^ (mask[at & 3] ?? 0)) : data),
    };
  }
}

/** A TCP peer after its handshake, which reads frames. */
export class WirePeer {
  readonly socket: Socket;
  /** Head of the peer's request or response. */
  readonly head: string;
  private readonly reader = new FrameReader();
  private readonly frames: Frame[] = [];
  private waiting: (() => void) | undefined;
  private ended = false;

  constructor(socket: Socket, head: string, rest: Buffer) {
    this.socket = socket;
    this.head = head;
    socket.on("error", () => {});
    const take = (chunk: Buffer): void => {
      this.frames.push(...this.reader.push(chunk));
      this.waiting?.();
    };
    take(rest);
    socket.on("data", take);
    const end = (): void => {
      this.ended = true;
      this.waiting?.();
    };
    socket.on("end", end).on("close", end);
    socket.resume();
  }

  write(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Returns the next frame. Rejects if the stream ends before it. */
  async next(): Promise<Frame> {
    for (;;) {
      const first = this.frames.shift();
      if (first !== undefined) return first;
      if (this.ended) throw new Error("the stream ended before the expected frame");
      await new Promise<void>((resolve) => (this.waiting = resolve));
    }
  }

  /** Returns all frames until the stream ends. */
  async untilEnd(): Promise<readonly Frame[]> {
    while (!this.ended) await new Promise<void>((resolve) => (this.waiting = resolve));
    return this.frames.splice(0);
  }
}

async function readHead(socket: Socket): Promise<[head: string, rest: Buffer]> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.indexOf("\r\n\r\n");
    if (end === -1) continue;
    socket.pause();
    return [bytes.toString("latin1", 0, end), bytes.subarray(end + 4)];
  }
}

/** Returns the lines of a valid handshake request, with some of its fields replaced or removed. */
export function request(fields: Readonly<Record<string, string | undefined>> = {}, line = "GET / HTTP/1.1"): string {
  const all: Record<string, string | undefined> = {
    Host: "localhost",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return `${[line, ...lines].join("\r\n")}\r\n\r\n`;
}

/** Connects to a server by TCP and sends a handshake request, followed by `early`. */
export async function wireClient(
  t: TestContext,
  port: number,
  fields: Readonly<Record<string, string | undefined>> = {},
  early: Uint8Array = Buffer.alloc(0),
): Promise<WirePeer> {
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.write(Buffer.concat([Buffer.from(request(fields)), early]));
  const [head, rest] = await readHead(socket);
  if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(`expected 101, got ${head.split("\r\n")[0]}`);
  return new WirePeer(socket, head, rest);
}

/** Sends a request and returns the whole response as text, once the server ended the connection. */
export async function exchange(t: TestContext, port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.write(text);
  let response = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => (response += chunk));
  await once(socket, "close");
  return response;
}

export function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

export interface WireServer {
  readonly port: number;
  readonly url: string;
  /** Resolves with the next connection after its handshake. */
  next(): Promise<WirePeer>;
}

/** Builds a response from the request's key. The default accepts. */
export type Respond = (key: string, head: string) => string;

export const accepting =
  (fields: Readonly<Record<string, string | undefined>> = {}, status = "101 Switching Protocols"): Respond =>
  (key) => {
    const all: Record<string, string | undefined> = {
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Accept": acceptOf(key),
      ...fields,
    };
    const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
    return `${[`HTTP/1.1 ${status}`, ...lines].join("\r\n")}\r\n\r\n`;
  };

/** Listens for handshake requests by TCP and answers each with `respond`, followed by `early`. */
export async function wireServer(
  t: TestContext,
  respond: Respond = accepting(),
  early: Uint8Array = Buffer.alloc(0),
): Promise<WireServer> {
  const peers: WirePeer[] = [];
  let waiting: (() => void) | undefined;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    void readHead(socket).then(
      ([head, rest]) => {
        const key = /^sec-websocket-key: (.*)$/im.exec(head)?.[1]?.trim() ?? "";
        socket.write(Buffer.concat([Buffer.from(respond(key, head), "latin1"), early]));
        peers.push(new WirePeer(socket, head, rest));
        waiting?.();
      },
      socket.destroy.bind(socket, undefined),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `ws://127.0.0.1:${port}`,
    async next() {
      for (;;) {
        const first = peers.shift();
        if (first !== undefined) return first;
        await new Promise<void>((resolve) => (waiting = resolve));
      }
    },
  };
}

/** Returns the response with which ws refuses an upgrade. */
export const refusal = (status: string, body: string, extra = ""): string =>
  `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: ${body.length}\r\n${extra}\r\n${body}`;
