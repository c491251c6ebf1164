import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocketServer, type WebSocketServerOptions } from "tungstate";
import { Wire } from "../../catalogue/support/wire.ts";

/**
 * How a peer disconnects: by a reset, as a process killed with unread data, or by the end of both
 * directions, as a process that exits.
 */
export type Death = "reset" | "end";
export const DEATHS: readonly Death[] = ["reset", "end"];

export interface Peer {
  readonly wire: Wire;
  kill(death: Death): void;
}

function peerOn(socket: Socket): Peer {
  socket.setNoDelay(true);
  return {
    wire: new Wire(socket),
    kill: (death) => void (death === "reset" ? socket.resetAndDestroy() : socket.destroy()),
  };
}

export async function dialPeer(port: number): Promise<Peer> {
  const socket = connect(port, "127.0.0.1");
  const peer = peerOn(socket);
  await once(socket, "connect");
  return peer;
}

/** A port whose connections are peers. */
export class PeerPort {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly waiting: Peer[] = [];
  private wake: (() => void) | undefined;

  private constructor(server: Server) {
    this.server = server;
    server.on("connection", (socket) => {
      this.sockets.add(socket);
      this.waiting.push(peerOn(socket));
      this.wake?.();
    });
  }

  static async open(): Promise<PeerPort> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new PeerPort(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Resolves with the next connection. */
  async next(): Promise<Peer> {
    for (;;) {
      const peer = this.waiting.shift();
      if (peer !== undefined) return peer;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

/** Runs a server during `work`. */
export async function withServer(
  options: WebSocketServerOptions,
  work: (server: WebSocketServer, port: number) => Promise<void>,
  listen: Parameters<WebSocketServer["listen"]>[0] = {},
): Promise<void> {
  const server = new WebSocketServer(options);
  const address = await server.listen(listen);
  try {
    await work(server, typeof address === "string" ? 0 : address.port);
  } finally {
    for (const connection of server.connections) connection.terminate();
    await server.close();
  }
}

let certificate: { readonly key: string; readonly cert: string } | undefined;

/** A key and a certificate for localhost, created once for the process. */
export function selfSigned(): { readonly key: string; readonly cert: string } {
  if (certificate !== undefined) return certificate;
  const folder = mkdtempSync(join(tmpdir(), "tungstate-"));
  const files = ["-keyout", join(folder, "key"), "-out", join(folder, "cert")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  execFileSync("openssl", ["req", "-x509", ...kind, "-nodes", "-days", "2", ...files, ...subject], { stdio: "ignore" });
  certificate = { key: readFileSync(join(folder, "key"), "utf8"), cert: readFileSync(join(folder, "cert"), "utf8") };
  rmSync(folder, { recursive: true });
  return certificate;
}

export const ticks = async (count: number): Promise<void> => {
  for (let tick = 0; tick < count; tick++) await new Promise((resolve) => setImmediate(resolve));
};

/** Waits for a condition; the runner's timeout ends a wait in vain. */
export async function until(condition: () => boolean): Promise<void> {
  for (let tick = 0; !condition(); tick++) {
    if (tick < 50) await ticks(1);
    else await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
