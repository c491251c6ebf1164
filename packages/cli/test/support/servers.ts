import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server as NetServer } from "node:net";
import { type WebSocketConnection, WebSocketServer, type WebSocketServerOptions } from "tungstate";

/** Starts a WebSocket server for one test and returns its URL. */
export async function serve(
  onConnection: (connection: WebSocketConnection) => void,
  options: WebSocketServerOptions = {},
): Promise<{ url: string; server: WebSocketServer } & AsyncDisposable> {
  const server = new WebSocketServer(options);
  server.on("connection", onConnection);
  const address = await server.listen({ port: 0 });
  assert.ok(typeof address === "object");
  return {
    url: `ws://127.0.0.1:${address.port}/`,
    server,
    [Symbol.asyncDispose]: () => server.close(1001, "", 100),
  };
}

/** Starts a TCP server that handles each connection with `onData`. */
export async function listen(onData: (write: (text: string) => void, end: () => void) => void): Promise<NetServer> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      onData(
        (text) => socket.write(text),
        () => socket.destroy(),
      );
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

export function portOf(server: NetServer): number {
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}
