import { acceptConnect, checkConnect, type Http2Fields } from "@tungstate/protocol";
import { once } from "node:events";
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { describe, type TestContext } from "node:test";
import { openConnection } from "../../src/connection/connection.ts";
import { connectionSettings } from "../../src/connection/options.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { serverCompression } from "../../src/deflate/settings.ts";
import { pairsOf } from "../../src/http2/fields.ts";
import { Http2StreamTransport } from "../../src/http2/stream-transport.ts";
import { platform } from "../../src/native/platform.ts";
import { selfSigned } from "./pairs.ts";
import { until } from "./until.ts";

/** Whether clients work over HTTP/2 in this runtime: see `loadHttp2`. */
export const hasHttp2Clients: boolean = platform.name !== "Bun";

/** As `describe`, for tests of such clients. */
export const describeHttp2: typeof describe = hasHttp2Clients ? describe : (describe.skip as typeof describe);

/** Answers a request for a WebSocket. */
export type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, fields: Http2Fields) => void;

/** A server of node:http2, and what came to it. */
export class Http2Peer {
  readonly port: number;
  readonly server: Http2Server;
  readonly secure: boolean;
  readonly sockets: Socket[] = [];
  readonly sessions: ServerHttp2Session[] = [];
  readonly streams: ServerHttp2Stream[] = [];
  /** Sessions whose client has sent its SETTINGS. */
  greeted = 0;

  constructor(server: Http2Server, secure: boolean) {
    this.server = server;
    this.secure = secure;
    this.port = (server.address() as AddressInfo).port;
  }

  get url(): string {
    return this.secure ? `wss://localhost:${this.port}/` : `ws://127.0.0.1:${this.port}/`;
  }

  /** Waits until so many sessions are open. */
  async hasSessions(count: number): Promise<void> {
    await until(() => this.sessions.filter(({ destroyed }) => !destroyed).length === count, `${count} sessions`);
  }
}

/** Starts a server with extended CONNECT, whose connections end with the test. */
export async function http2Peer(
  t: Pick<TestContext, "after">,
  onStream: OnStream,
  options: SecureServerOptions & { readonly secure?: boolean } = {},
): Promise<Http2Peer> {
  const { secure = false, ...given } = options;
  const settings = { enableConnectProtocol: true, ...given.settings };
  const server = secure
    ? createSecureServer({ ...selfSigned(), ...given, settings })
    : createServer({ ...given, settings });
  server.on("sessionError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const peer = new Http2Peer(server, secure);
  server.on(secure ? "secureConnection" : "connection", (socket: Socket) => {
    peer.sockets.push(socket);
    socket.on("error", () => undefined);
  });
  server.on("session", (session) => {
    peer.sessions.push(session);
    session.once("remoteSettings", () => peer.greeted++);
  });
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: unknown) => {
    peer.streams.push(stream);
    stream.on("error", () => undefined);
    onStream(stream, headers, pairsOf(raw as readonly string[]));
  });
  t.after(async () => {
    const closed = once(server, "close");
    server.close();
    for (const socket of peer.sockets) socket.destroy();
    await closed;
  });
  return peer;
}

/** Accepts each request as a WebSocket; `handler` gets the connection. */
export function accepting(
  handler: (connection: WebSocketConnection, stream: ServerHttp2Stream) => void = echo,
  options: { readonly protocols?: readonly string[]; readonly compression?: boolean } = {},
): OnStream {
  const settings = connectionSettings("server", { compression: options.compression ?? false });
  return (stream, _headers, fields) => {
    const request = checkConnect(fields);
    if (request instanceof Error) throw request;
    const protocol = request.protocols.find((each) => options.protocols?.includes(each));
    const extensions = settings.deflate === undefined ? [] : [serverCompression(settings.deflate.compression)];
    const accepted = acceptConnect(request, { extensions }, { protocol });
    const { session } = stream;
    if (session === undefined) return;
    stream.respond(Object.fromEntries(accepted.fields));
    const codec = settings.deflate?.codecFor(accepted.extensions, "server");
    const transport = new Http2StreamTransport(stream, session);
    const agreed = { protocol: accepted.protocol, extensions: accepted.extensionsHeader, codec };
    handler(openConnection(transport, settings, agreed, request.headers, new Uint8Array(0)).connection, stream);
  };
}

/** Sends each message back. */
export function echo(connection: WebSocketConnection): void {
  connection.on("message", (message) => connection.write(message));
}
