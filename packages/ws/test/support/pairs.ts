// Connected clients and servers, which a test's end closes.
import { once } from "node:events";
import { createServer, type RequestListener, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { Implementation, Options, Server, Socket } from "./implementations.ts";

export interface Listening {
  readonly server: Server;
  readonly port: number;
  readonly url: string;
}

/** Closes a server and all its clients at the end of the test. */
export function closeAfter(t: TestContext, server: Server): void {
  t.after(() => {
    for (const client of server.clients ?? []) client.terminate();
    server.close();
  });
}

/** Terminates a socket at the end of the test, in whatever state it is. */
export function terminateAfter(t: TestContext, socket: Socket): void {
  t.after(() => {
    socket.on("error", () => {});
    socket.terminate();
  });
}

/** Starts a WebSocketServer on a free port of its own. */
export async function listen(t: TestContext, ws: Implementation, options: Options = {}): Promise<Listening> {
  const server = new ws.WebSocketServer({ port: 0, host: "127.0.0.1", ...options });
  closeAfter(t, server);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { server, port, url: `ws://127.0.0.1:${port}` };
}

export interface Pair extends Listening {
  /** The client's side. */
  readonly client: Socket;
  /** The server's side. */
  readonly peer: Socket;
}

/** Connects a client to a server of the same implementation. */
export async function pair(
  t: TestContext,
  ws: Implementation,
  { server: serverOptions = {}, client: clientOptions = {} }: { server?: Options; client?: Options } = {},
): Promise<Pair> {
  const listening = await listen(t, ws, serverOptions);
  const client = new ws.WebSocket(listening.url, clientOptions);
  terminateAfter(t, client);
  const [[peer]] = await Promise.all([once(listening.server, "connection") as Promise<[Socket]>, once(client, "open")]);
  return { ...listening, client, peer };
}

/** Starts an HTTP server on a free port. */
export async function listenHttp(
  t: TestContext,
  listener?: RequestListener,
): Promise<{ http: HttpServer; port: number }> {
  const http = createServer(listener);
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  t.after(() => {
    http.close();
    http.closeAllConnections();
  });
  return { http, port: (http.address() as AddressInfo).port };
}

/** Resolves with the arguments of the next event. Unlike `once`, an error event does not reject. */
export function event(emitter: NodeJS.EventEmitter, name: string): Promise<unknown[]> {
  return new Promise((resolve) => emitter.once(name, (...args: unknown[]) => resolve(args)));
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
  readonly errors: readonly (Error & { code?: string })[];
}

/** Collects the errors of a connection until it is closed. */
export function closing(socket: Socket): Promise<Closed> {
  const errors: (Error & { code?: string })[] = [];
  socket.on("error", (error: Error) => errors.push(error));
  return new Promise((resolve) =>
    socket.on("close", (code: number, reason: Buffer) => resolve({ code, reason: reason.toString(), errors })),
  );
}

/** Resolves with the next message. */
export async function message(socket: Socket): Promise<{ data: unknown; isBinary: boolean }> {
  const [data, isBinary] = (await event(socket, "message")) as [unknown, boolean];
  return { data, isBinary };
}

/** Resolves with the next `count` messages as text. */
export function messages(socket: Socket, count: number): Promise<string[]> {
  const texts: string[] = [];
  return new Promise((resolve) => {
    socket.on("message", function collect(data: unknown) {
      texts.push(String(data));
      if (texts.length === count) {
        socket.off("message", collect);
        resolve(texts);
      }
    });
  });
}
