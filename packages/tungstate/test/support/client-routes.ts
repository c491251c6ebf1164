import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect as connectTcp, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import type { TestContext } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { acceptValue } from "@tungstate/protocol";
import { client } from "../../src/client/client.ts";
import { clientTls, connect, type ConnectOptions } from "../../src/client/connect.ts";
import { sha1 } from "../../src/native/primitives.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { selfSigned } from "./pairs.ts";

/**
 * Bytes that a server sends in response to a request: text is Latin-1. `accept`: the
 * Sec-WebSocket-Accept for its key.
 */
export type Respond = (request: string, accept: string) => string | Buffer;

/**
 * A route from a client to a server. The server answers each head with `respond`; it stays open.
 */
export interface ClientRoute {
  readonly name: string;
  /** Opens a connection, which the caller ends; rejects if the first attempt fails. */
  open(t: TestContext, respond: Respond, options?: RouteOptions): Promise<WebSocketConnection>;
}

/** Options that every route accepts. */
export type RouteOptions = Pick<ConnectOptions, "protocols" | "compression" | "headers" | "signal">;

/** Answers each request head that arrives on a stream. */
export function speak(stream: Duplex, respond: Respond): void {
  let head = "";
  const onData = (chunk: Buffer): void => {
    head += chunk.toString("latin1");
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const request = head.slice(0, end + 4);
    head = "";
    const key = /^Sec-WebSocket-Key: (\S+)\r$/im.exec(request)?.[1] ?? "";
    const response = respond(request, acceptValue(key, sha1));
    stream.write(typeof response === "string" ? Buffer.from(response, "latin1") : response);
  };
  stream.on("data", onData);
  stream.on("error", () => undefined); // a client that rejects the response destroys the stream
}

async function listening(t: TestContext, server: Server, path?: string): Promise<number> {
  const streams = new Set<Duplex>();
  server.on("connection", (socket: Duplex) => {
    streams.add(socket);
    socket.on("error", () => undefined);
  });
  server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
  await once(server, "listening");
  t.after(async () => {
    for (const stream of streams) stream.destroy();
    server.close();
    await once(server, "close");
  });
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

/** A port whose connections are answered by `respond`. */
export async function respondingPort(t: TestContext, respond: Respond): Promise<number> {
  return await listening(
    t,
    createServer((socket) => speak(socket, respond)),
  );
}

async function respondingTlsPort(t: TestContext, respond: Respond): Promise<number> {
  const server = createTlsServer(selfSigned(), (socket) => speak(socket, respond));
  return await listening(t, server);
}

const tls = (): { ca: string } => ({ ca: selfSigned().cert });

/** Every route of a client. */
export const clientRoutes: readonly ClientRoute[] = [
  {
    name: "connect to ws:",
    open: async (t, respond, options) =>
      await connect(`ws://127.0.0.1:${await respondingPort(t, respond)}/`, { proxy: false, ...options }),
  },
  {
    name: "connect to wss:",
    open: async (t, respond, options) => {
      const port = await respondingTlsPort(t, respond);
      return await connect(`wss://localhost:${port}/`, { proxy: false, family: 4, tls: tls(), ...options });
    },
  },
  {
    name: "connect to a Unix socket",
    open: async (t, respond, options) => {
      const folder = mkdtempSync(join(tmpdir(), "tungstate-"));
      t.after(() => rmSync(folder, { recursive: true, force: true }));
      const path = join(folder, "socket");
      await listening(
        t,
        createServer((socket) => speak(socket, respond)),
        path,
      );
      return await connect(`ws+unix:${path}:/`, options);
    },
  },
  {
    name: "connect through an HTTP proxy",
    open: async (t, respond, options) => {
      const proxy = await respondingPort(t, (request, accept) =>
        request.startsWith("CONNECT ") ? "HTTP/1.1 200 OK\r\n\r\n" : respond(request, accept),
      );
      return await connect("ws://server.example/", { proxy: `http://127.0.0.1:${proxy}`, ...options });
    },
  },
  {
    name: "client on a memory pipe",
    open: async (_t, respond, options) => {
      const [near, far] = memoryPipe();
      speak(far, respond);
      return await client("ws://server.example/", near, options);
    },
  },
  {
    name: "client on Web streams",
    open: async (_t, respond, options) => {
      const [near, far] = memoryPipe();
      speak(far, respond);
      return await client("ws://server.example/", Duplex.toWeb(near), options);
    },
  },
  {
    name: "clientTls on a socket",
    open: async (t, respond, options) => {
      const socket = connectTcp(await respondingTlsPort(t, respond), "127.0.0.1");
      await once(socket, "connect");
      return await clientTls("wss://localhost/", socket, { tls: tls(), ...options });
    },
  },
  {
    name: "reconnecting",
    open: async (t, respond, options) => {
      const url = `ws://127.0.0.1:${await respondingPort(t, respond)}/`;
      const connection = reconnecting(url, { proxy: false, backoff: { initialDelay: 1, maxDelay: 1 }, ...options });
      t.after(() => connection.terminate());
      const failed = new Promise<never>((_resolve, reject) => {
        connection.once("waiting", ({ after }) =>
          reject(after.type === "failed" ? after.error : new Error(String(after.info.error))),
        );
      });
      return await Promise.race([connection.ready(), failed]);
    },
  },
];
