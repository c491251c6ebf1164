import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { END_HEADERS, FRAME, fields as headerBlock, frame } from "./http2-frames.ts";

const ACK = 0x1;

/** Error codes of HTTP/2 (RFC 9113 §7). */
export const ERROR = { NO_ERROR: 0, PROTOCOL_ERROR: 1, INTERNAL_ERROR: 2, FLOW_CONTROL_ERROR: 3, CANCEL: 8 } as const;

const SETTINGS_INITIAL_WINDOW_SIZE = 4;

export interface Http2Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** The fields of a WebSocket handshake; undefined takes one away. */
export function handshakeFields(changes: Readonly<Record<string, string | undefined>> = {}): [string, string][] {
  const fields: Record<string, string | undefined> = {
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": "http",
    ":path": "/",
    ":authority": "localhost",
    "sec-websocket-version": "13",
    ...changes,
  };
  return Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined);
}

/** An HTTP/2 client that sends any bytes, and reads frames. */
export class Http2Wire {
  readonly socket: Socket;
  readonly frames: Http2Frame[] = [];
  /** Whether the server has closed the connection. */
  closed = false;
  private rest = Buffer.alloc(0);
  private wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => this.receive(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
      this.wake?.();
    });
  }

  private receive(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk]);
    while (this.rest.length >= 9) {
      const length = this.rest.readUIntBE(0, 3);
      if (this.rest.length < 9 + length) break;
      const [type = 0, flags = 0] = this.rest.subarray(3, 5);
      const received = { type, flags, id: this.rest.readUInt32BE(5), payload: this.rest.subarray(9, 9 + length) };
      this.rest = this.rest.subarray(9 + length);
      this.frames.push(received);
      if (type === FRAME.settings && (flags & ACK) === 0) this.send(FRAME.settings, ACK, 0);
    }
    this.wake?.();
  }

  send(type: number, flags: number, id: number, payload?: Buffer): void {
    this.socket.write(frame(type, flags, id, payload));
  }

  /** Opens a stream by a request. */
  request(id: number, fields: Iterable<readonly [string, string]> = handshakeFields(), flags = END_HEADERS): void {
    this.send(FRAME.headers, flags, id, headerBlock(...fields));
  }

  reset(id: number, code: number = ERROR.CANCEL): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(code);
    this.send(FRAME.rstStream, 0, id, payload);
  }

  goAway(code: number): void {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(code, 4);
    this.send(FRAME.goaway, 0, 0, payload);
  }

  initialWindow(size: number): void {
    const payload = Buffer.alloc(6);
    payload.writeUInt16BE(SETTINGS_INITIAL_WINDOW_SIZE);
    payload.writeUInt32BE(size, 2);
    this.send(FRAME.settings, 0, 0, payload);
  }

  updateWindow(id: number, increment: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(increment);
    this.send(FRAME.windowUpdate, 0, id, payload);
  }

  /** Waits until `done` holds; throws if the connection is closed before. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.closed) throw new Error("the server has closed the connection");
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  async untilClosed(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => (this.wake = resolve));
  }

  /**
   * Waits for the outcome of a request: its status, or the code of RST_STREAM as "reset N", or
   * "closed".
   */
  async outcome(id: number): Promise<number | string> {
    const find = (): Http2Frame | undefined =>
      this.frames.find((each) => each.id === id && (each.type === FRAME.headers || each.type === FRAME.rstStream));
    await this.until(() => find() !== undefined || this.closed).catch(() => undefined);
    const frame = find();
    if (frame === undefined) return "closed";
    return frame.type === FRAME.headers ? statusOf(frame.payload) : `reset ${frame.payload.readUInt32BE()}`;
  }

  /** The bytes of DATA of a stream. */
  dataOf(id: number): Buffer {
    return Buffer.concat(
      this.frames.filter((each) => each.type === FRAME.data && each.id === id).map(({ payload }) => payload),
    );
  }

  get goAways(): readonly number[] {
    return this.frames.filter(({ type }) => type === FRAME.goaway).map(({ payload }) => payload.readUInt32BE(4));
  }
}

/** Connects with prior knowledge (RFC 9113 §3.3), and waits for the settings of the server. */
export async function openWire(port: number, t: { after(end: () => void): void }): Promise<Http2Wire> {
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  await once(socket, "connect");
  socket.setNoDelay(true);
  const wire = new Http2Wire(socket);
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  wire.send(FRAME.settings, 0, 0);
  await wire.until(() => wire.frames.some(({ type, flags }) => type === FRAME.settings && flags === ACK));
  return wire;
}

/** Statuses of the static table (RFC 7541, Appendix A), from index 8. */
const STATIC_STATUSES = [200, 204, 206, 304, 400, 404, 500];

/** The :status of a block, which is its first field. */
function statusOf(block: Buffer): number {
  let at = 0;
  while (((block[at] ?? 0) & 0xe0) === 0x20) at++; // a size of the dynamic table of less than 31 bytes
  const first = block[at] ?? 0;
  if ((first & 0x80) !== 0) return STATIC_STATUSES[(first & 0x7f) - 8] ?? 0;
  const length = block[at + 1] ?? 0;
  const value = block.subarray(at + 2, at + 2 + (length & 0x7f));
  return Number((length & 0x80) === 0 ? value.toString("latin1") : huffmanDigits(value));
}

/** Decodes three digits (RFC 7541, Appendix B): 0 to 2 have five bits, 3 to 9 six. */
function huffmanDigits(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  let text = "";
  for (let at = 0; text.length < 3;) {
    const five = Number.parseInt(bits.slice(at, at + 5), 2);
    const isShort = five <= 2;
    text += isShort ? five : Number.parseInt(bits.slice(at, at + 6), 2) - 0b011001 + 3;
    at += isShort ? 5 : 6;
  }
  return text;
}
