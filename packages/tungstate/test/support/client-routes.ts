import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect as connectTcp, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import type { TestContext } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import type { ServerHttp2Stream } from "node:http2";
import { acceptValue, type Http2Fields } from "@tungstate/protocol";
import { client } from "../../src/client/client.ts";
import { clientTls, connect, type ConnectOptions } from "../../src/client/connect.ts";
import { Http2Sessions } from "../../src/http2/client/http2-sessions.ts";
import { sha1 } from "../../src/native/primitives.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { hasHttp2Clients, http2Peer } from "./http2-server.ts";
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
  /** Whether the response is sent as text. Over HTTP/2, only its status, fields and body are sent. */
  readonly isText: boolean;
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

/** The fields of HTTP/1.1 that HTTP/2 does not have. */
const NOT_IN_HTTP2: ReadonlySet<string> = new Set(["upgrade", "connection", "sec-websocket-accept"]);

/** Answers a request over HTTP/2 with what `respond` returns as text. */
function speakHttp2(stream: ServerHttp2Stream, fields: Http2Fields, respond: Respond): void {
  const pseudo = new Map(fields.filter(([name]) => name.startsWith(":")));
  const rest = fields.filter(([name]) => !name.startsWith(":"));
  const lines = [["Host", pseudo.get(":authority") ?? ""], ...rest].map(([name, value]) => `${name}: ${value}\r\n`);
  const response = respond(`GET ${pseudo.get(":path")} HTTP/1.1\r\n${lines.join("")}\r\n`, "");
  const text = typeof response === "string" ? response : response.toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  const [status = "", ...head] = text
    .slice(0, end)
    .replaceAll(/\r\n[ \t]+/g, " ")
    .split("\r\n");
  const [, code = ""] = status.split(" ");
  const headers: Record<string, string> = { ":status": code === "101" ? "200" : code };
  for (const line of head) {
    const [, name = "", value = ""] = /^([^:]*):[ \t]*(.*)$/.exec(line) ?? [];
    if (!NOT_IN_HTTP2.has(name.toLowerCase())) headers[name.toLowerCase()] = value;
  }
  stream.respond(headers);
  const body = Buffer.from(text.slice(end + 4), "latin1");
  if (code === "101") {
    stream.resume().once("end", () => stream.end()); // as sockets do
    stream.write(body);
  } else stream.end(body);
}

async function respondingTlsPort(t: TestContext, respond: Respond): Promise<number> {
  const server = createTlsServer(selfSigned(), (socket) => speak(socket, respond));
  return await listening(t, server);
}

const tls = (): { ca: string } => ({ ca: selfSigned().cert });

const allRoutes: readonly ClientRoute[] = [
  {
    name: "connect to ws:",
    isText: true,
    open: async (t, respond, options) =>
      await connect(`ws://127.0.0.1:${await respondingPort(t, respond)}/`, { proxy: false, ...options }),
  },
  {
    name: "connect to wss:",
    isText: true,
    open: async (t, respond, options) => {
      const port = await respondingTlsPort(t, respond);
      return await connect(`wss://localhost:${port}/`, { proxy: false, family: 4, tls: tls(), ...options });
    },
  },
  {
    name: "connect to a Unix socket",
    isText: true,
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
    isText: true,
    open: async (t, respond, options) => {
      const proxy = await respondingPort(t, (request, accept) =>
        request.startsWith("CONNECT ") ? "HTTP/1.1 200 OK\r\n\r\n" : respond(request, accept),
      );
      return await connect("ws://server.example/", { proxy: `http://127.0.0.1:${proxy}`, ...options });
    },
  },
  {
    name: "client on a memory pipe",
    isText: true,
    open: async (_t, respond, options) => {
      const [near, far] = memoryPipe();
      speak(far, respond);
      return await client("ws://server.example/", near, options);
    },
  },
  {
    name: "client on Web streams",
    isText: true,
    open: async (_t, respond, options) => {
      const [near, far] = memoryPipe();
      speak(far, respond);
      return await client("ws://server.example/", Duplex.toWeb(near), options);
    },
  },
  {
    name: "clientTls on a socket",
    isText: true,
    open: async (t, respond, options) => {
      const socket = connectTcp(await respondingTlsPort(t, respond), "127.0.0.1");
      await once(socket, "connect");
      return await clientTls("wss://localhost/", socket, { tls: tls(), ...options });
    },
  },
  {
    name: "connect over HTTP/2",
    isText: false,
    open: async (t, respond, options) => {
      const peer = await http2Peer(t, (stream, _headers, fields) => speakHttp2(stream, fields, respond), {
        secure: true,
      });
      const http2Sessions = new Http2Sessions();
      t.after(() => http2Sessions.close());
      const common = { proxy: false, family: 4, tls: tls(), httpVersion: "auto", http2Sessions } as const;
      const connection = await connect(peer.url, { ...common, ...options });
      assert.equal(connection.route?.httpVersion, "2");
      return connection;
    },
  },
  {
    name: "reconnecting",
    isText: true,
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

/** Every route of a client. */
export const clientRoutes: readonly ClientRoute[] = allRoutes.filter(({ isText }) => isText || hasHttp2Clients);
