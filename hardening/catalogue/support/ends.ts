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

/** Which end of the connection is ours. The other one is a `Wire`. */
export type Role = "server" | "client";
export const ROLES: readonly Role[] = ["server", "client"];

export interface EndOptions extends ConnectionOptions {
  readonly compression?: boolean | CompressionOptions;
  /** What the peer says in Sec-WebSocket-Extensions. */
  readonly extensions?: string;
  /** What the peer sends in one piece with its half of the handshake. */
  readonly early?: Uint8Array;
}

/** A hostile peer, and our end of its connection. */
export interface Ends {
  readonly ours: WebSocketConnection;
  readonly peer: Peer;
}

/** The hostile end: a wire, and frames as its role has them. */
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

  /** The frames that came, once there are `count` or the other end has hung up. */
  async frames(count = Infinity): Promise<ReadFrame[]> {
    return readFrames(await this.wire.until((got) => readFrames(got).length >= count));
  }

  /** The code of the Close that ends what comes; undefined: it ended without one. */
  async closeCode(): Promise<number | undefined> {
    const last = (await this.frames()).at(-1);
    return last?.opcode === 8 && last.payload.length >= 2 ? last.payload.readUInt16BE(0) : undefined;
  }
}

/** Our end in the given role, over TCP, with the handshake done. Gone when the test ends. */
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

/** A port that answers one handshake as `changes` say, and what then is at its end of the connection. */
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

/** A port of this host that takes one connection and says nothing. */
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

/** A server of ours, and what it has told. */
export class Served {
  readonly server: WebSocketServer;
  readonly port: number;
  readonly refused: WebSocketError[] = [];
  /** What its `error` event was told. */
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

  /** The next connection that was not asked for before. */
  async connection(): Promise<WebSocketConnection> {
    for (;;) {
      const next = this.connections.shift();
      if (next !== undefined) return next;
      const [refused] = this.refused;
      if (refused !== undefined) throw refused;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Why the next handshake was refused. */
  async refusal(): Promise<WebSocketError> {
    for (;;) {
      const next = this.refused.shift();
      if (next !== undefined) return next;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Our client of it, and its end. */
  async pair(options: ConnectOptions = {}): Promise<{ client: WebSocketConnection; server: WebSocketConnection }> {
    const client = await connect(`ws://127.0.0.1:${this.port}/`, { proxy: false, ...options });
    return { client, server: await this.connection() };
  }
}

/** A WebSocketServer on a port of its own, gone when the test ends. */
export async function serve(t: TestContext, options: WebSocketServerOptions = {}): Promise<Served> {
  const server = new WebSocketServer(options);
  const { port } = (await server.listen()) as AddressInfo;
  t.after(async () => {
    for (const connection of server.connections) connection.terminate();
    await server.close();
  });
  return new Served(server, port);
}

export const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};
