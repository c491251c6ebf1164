import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import type { TestContext } from "node:test";
import {
  type CompressionOptions,
  connect,
  type ConnectionOptions,
  type ConnectOptions,
  type WebSocketConnection,
  type WebSocketError,
  WebSocketServer,
  type WebSocketServerOptions,
} from "tungstate";
import { type FrameOptions, frame, header, readFrames, type ReadFrame } from "./frames.ts";
import { type Fields, request, response } from "./handshakes.ts";
import { valuesOf, Wire } from "./wire.ts";

/** Our role in the connection. The other end is a `Wire`. */
export type Role = "server" | "client";
export const ROLES: readonly Role[] = ["server", "client"];

export interface EndOptions extends ConnectionOptions {
  readonly compression?: boolean | CompressionOptions;
  /** The peer's Sec-WebSocket-Extensions. */
  readonly extensions?: string;
  /** What the peer sends together with its half of the handshake. */
  readonly early?: Uint8Array;
}

/** A hostile peer, and our end of its connection. */
export interface Ends {
  readonly ours: WebSocketConnection;
  readonly peer: Peer;
}

/** The hostile end: a wire that sends frames of its role. */
export class Peer {
  readonly wire: Wire;
  /** Whether it is a client, whose frames are masked. */
  readonly masks: boolean;

  constructor(wire: Wire, masks: boolean) {
    this.wire = wire;
    this.masks = masks;
  }

  frame(opcode: number, payload: string | Uint8Array = "", options?: FrameOptions): Buffer {
    return frame(opcode, payload, this.masks, options);
  }

  header(opcode: number, length: number | bigint, options?: FrameOptions & { readonly bits?: 7 | 16 | 64 }): Buffer {
    return header(opcode, length, this.masks, options);
  }

  send(...parts: (string | Uint8Array)[]): this {
    this.wire.send(...parts);
    return this;
  }

  /** Resolves with the received frames when there are `count`, or when the other end has closed. */
  async frames(count = Infinity): Promise<ReadFrame[]> {
    return readFrames(await this.wire.until((got) => readFrames(got).length >= count));
  }

  /** Resolves with the code of the final Close, or undefined if there is none. */
  async closeCode(): Promise<number | undefined> {
    const last = (await this.frames()).at(-1);
    return last?.opcode === 8 && last.payload.length >= 2 ? last.payload.readUInt16BE(0) : undefined;
  }
}

/**
 * Opens a connection over TCP in the given role, with the handshake completed. Closed when the test
 * ends.
 */
export function open(t: TestContext, role: Role, options: EndOptions = {}): Promise<Ends> {
  return role === "server" ? openServer(t, options) : openClient(t, options);
}

async function openServer(t: TestContext, { extensions, early, ...options }: EndOptions): Promise<Ends> {
  const served = await serve(t, options);
  const wire = await Wire.to(t, served.port);
  wire.send(request({ "Sec-WebSocket-Extensions": extensions }), early ?? "");
  const ours = await served.connection();
  await wire.head();
  return { ours, peer: new Peer(wire, true) };
}

async function openClient(t: TestContext, { extensions, early, ...options }: EndOptions): Promise<Ends> {
  const { port, wire } = await answering(t, { "Sec-WebSocket-Extensions": extensions }, early);
  const ours = await connect(`ws://127.0.0.1:${port}/`, { proxy: false, ...options });
  t.after(() => ours.terminate());
  return { ours, peer: new Peer(await wire, false) };
}

/**
 * Listens on a port, answers one handshake with `changes`, and resolves with its end of the
 * connection.
 */
export async function answering(
  t: TestContext,
  changes: Fields = {},
  early: string | Uint8Array = "",
): Promise<{ readonly port: number; readonly wire: Promise<Wire> }> {
  const { port, wire } = await listening(t);
  const answered = wire.then(async (each) => {
    const [key = ""] = valuesOf(await each.head(), "Sec-WebSocket-Key");
    return each.send(response(key, changes), early);
  });
  return { port, wire: answered };
}

/** Listens on a port that accepts one connection and sends nothing. */
export async function listening(t: TestContext): Promise<{ readonly port: number; readonly wire: Promise<Wire> }> {
  const server = createServer();
  const wire = once(server, "connection").then(([socket]) => {
    t.after(() => socket.destroy());
    return new Wire(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, wire };
}

/** A server under test, and its events. */
export class Served {
  readonly server: WebSocketServer;
  readonly port: number;
  readonly refused: WebSocketError[] = [];
  /** Arguments of its `error` events. */
  readonly errors: unknown[] = [];
  private readonly connections: WebSocketConnection[] = [];
  private wake: (() => void) | undefined;

  constructor(server: WebSocketServer, port: number) {
    this.server = server;
    this.port = port;
    server.on("connection", (connection) => {
      this.connections.push(connection);
      this.wake?.();
    });
    server.on("refused", (error) => {
      this.refused.push(error);
      this.wake?.();
    });
    server.on("error", (error) => this.errors.push(error));
  }

  /** Resolves with the next connection. */
  async connection(): Promise<WebSocketConnection> {
    for (;;) {
      const next = this.connections.shift();
      if (next !== undefined) return next;
      const [refused] = this.refused;
      if (refused !== undefined) throw refused;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Resolves with the error of the next rejected handshake. */
  async refusal(): Promise<WebSocketError> {
    for (;;) {
      const next = this.refused.shift();
      if (next !== undefined) return next;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Connects our client to it, and resolves with both ends. */
  async pair(options: ConnectOptions = {}): Promise<{ client: WebSocketConnection; server: WebSocketConnection }> {
    const client = await connect(`ws://127.0.0.1:${this.port}/`, { proxy: false, ...options });
    return { client, server: await this.connection() };
  }
}

/** Starts a WebSocketServer on its own port. Closed when the test ends. */
export async function serve(t: TestContext, options: WebSocketServerOptions = {}): Promise<Served> {
  const server = new WebSocketServer(options);
  const { port } = (await server.listen()) as AddressInfo;
  t.after(async () => {
    for (const connection of server.connections) connection.terminate();
    await server.close();
  });
  return new Served(server, port);
}

export const ticks = async (count: number): Promise<void> => {
  for (let tick = 0; tick < count; tick++) await new Promise((resolve) => setImmediate(resolve));
};
