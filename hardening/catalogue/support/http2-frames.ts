import { once } from "node:events";
import { createServer, type AddressInfo, type Server } from "node:net";
import type { Duplex } from "node:stream";
import type { TestContext } from "node:test";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { Wire } from "./wire.ts";

// Frames of HTTP/2 (RFC 9113 §6), written by hand: node:http2 sends no wrong ones.

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export const FRAME = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
  origin: 12,
} as const;

export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;

export function frame(type: number, flags: number, stream: number, payload: Uint8Array | string = ""): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload, "latin1") : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

export function settings(entries: Readonly<Record<number, number>>): Buffer {
  const payload = Buffer.alloc(6 * Object.keys(entries).length);
  Object.entries(entries).forEach(([id, value], at) => {
    payload.writeUInt16BE(Number(id), 6 * at);
    payload.writeUInt32BE(value, 6 * at + 2);
  });
  return frame(FRAME.settings, 0, 0, payload);
}

export const ENABLE_CONNECT_PROTOCOL = 8;
export const MAX_CONCURRENT_STREAMS = 3;
export const INITIAL_WINDOW_SIZE = 4;

/** Extended CONNECT is enabled. */
export const ENABLED: Buffer = settings({ [ENABLE_CONNECT_PROTOCOL]: 1 });

/** Literal fields without a table and without Huffman codes (RFC 7541 §6.2.2). */
export function fields(...pairs: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(pairs.flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  const head = bytes.length < 127 ? [bytes.length] : [127];
  for (let rest = bytes.length - 127; head[0] === 127 && rest >= 0; rest = Math.floor(rest / 128)) {
    head.push(rest < 128 ? rest : (rest % 128) + 128);
    if (rest < 128) break;
  }
  return Buffer.concat([Buffer.from(head), bytes]);
}

export function headers(block: Uint8Array, flags = 0, stream = 1): Buffer {
  return frame(FRAME.headers, END_HEADERS | flags, stream, block);
}

export const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export const rstStream = (code: number, stream = 1): Buffer => frame(FRAME.rstStream, 0, stream, number(code));
export const goaway = (code: number, last = 0): Buffer =>
  frame(FRAME.goaway, 0, 0, Buffer.concat([number(last), number(code)]));

/** A connection of a client, to which frames are sent by hand. */
export class Http2Wire {
  readonly wire: Wire;
  constructor(stream: Duplex) {
    this.wire = new Wire(stream);
  }

  /** Waits for the preface of the client. */
  async preface(): Promise<void> {
    await this.wire.take(PREFACE.length);
  }

  /** Waits for a frame of this type. Frames before it are skipped. */
  async next(type: number): Promise<{ readonly stream: number; readonly payload: Buffer }> {
    for (;;) {
      const head = await this.wire.take(9);
      const payload = await this.wire.take(head.readUIntBE(0, 3));
      if (head[3] === type) return { stream: head.readUInt32BE(5), payload };
    }
  }

  /** Reads and drops what the client sends from now on. */
  discard(): void {
    this.wire.stream.removeAllListeners("data");
    this.wire.stream.resume();
  }

  send(...frames: readonly Buffer[]): this {
    this.wire.send(Buffer.concat(frames));
    return this;
  }
}

/** A server whose connections are answered by `answer`; they end with the test. */
export async function http2Server(
  t: TestContext,
  answer: (peer: Http2Wire) => Promise<void>,
  tls?: TlsOptions,
): Promise<number> {
  const onStream = (stream: Duplex): void => {
    t.after(() => stream.destroy());
    answer(new Http2Wire(stream)).catch(() => undefined); // the client may end it at any time
  };
  const server: Server = tls === undefined ? createServer(onStream) : createTlsServer(tls, onStream);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}
