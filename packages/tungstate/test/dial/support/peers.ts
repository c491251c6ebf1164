import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";

/** A TCP server that is closed with its connections when the test ends. */
export interface Peer {
  readonly host: string;
  readonly port: number;
  /** Accepted connections that are not closed. */
  readonly sockets: ReadonlySet<Socket>;
  /** Resolves with the next accepted connection. */
  accepted(): Promise<Socket>;
  /** Resolves when there are no connections left. */
  idle(): Promise<void>;
}

export async function listen(
  t: TestContext,
  // Read, otherwise it does not detect the other end's close.
  onConnection: (socket: Socket) => void = (socket) => socket.resume(),
  where: { readonly host?: string; readonly port?: number; readonly path?: string } = {},
): Promise<Peer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      sockets.delete(socket);
      if (sockets.size === 0) server.emit("idle");
    });
    onConnection(socket);
  });
  const { host = "127.0.0.1", port: wanted = 0, path } = where;
  server.listen(path === undefined ? { host, port: wanted } : { path });
  await once(server, "listening");
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  const port = path === undefined ? (server.address() as AddressInfo).port : 0;
  return {
    host,
    port,
    sockets,
    accepted: async () => ((await once(server, "connection")) as [Socket])[0],
    idle: async () => {
      if (sockets.size > 0) await once(server, "idle");
    },
  };
}

/** A server that reads and sends nothing, and reports when it has read something. */
export async function silentPeer(t: TestContext): Promise<{ peer: Peer; spokenTo: Promise<unknown> }> {
  let spoken = (): void => undefined;
  const spokenTo = new Promise<void>((resolve) => (spoken = resolve));
  const peer = await listen(t, (socket) => socket.on("data", () => spoken()));
  return { peer, spokenTo };
}

/** An echo server. */
export function listenEcho(
  t: TestContext,
  where: { readonly host?: string; readonly port?: number; readonly path?: string } = {},
): Promise<Peer> {
  return listen(t, (socket) => socket.pipe(socket), where);
}

/** A port of this host without a listener. */
export async function closedPort(host = "127.0.0.1"): Promise<number> {
  const server = createServer();
  server.listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/**
 * A listener in a thread that never accepts. Node uses its default for a backlog of 0; 1 has room
 * for two connections.
 */
const DEAF_SERVER = `
  const { parentPort } = require("node:worker_threads");
  const server = require("node:net").createServer();
  server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  });
`;

/** A port that answers nothing, not even a SYN: that of a listener with a full queue. */
export async function silentPort(t: TestContext): Promise<number> {
  const worker = new Worker(DEAF_SERVER, { eval: true });
  t.after(() => worker.terminate());
  const [port] = (await once(worker, "message")) as [number];
  const fillers = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  t.after(() => fillers.forEach((filler) => filler.destroy()));
  for (const filler of fillers) {
    filler.on("error", () => undefined);
    if (filler.connecting) await once(filler, "connect");
  }
  return port;
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const HAS_IPV6 = Object.values(networkInterfaces()).some((infos) =>
  infos?.some(({ address }) => address === "::1"),
);

export const LOOPBACK =
  Object.entries(networkInterfaces()).find(([, infos]) => infos?.every(({ internal }) => internal))?.[0] ?? "lo";
