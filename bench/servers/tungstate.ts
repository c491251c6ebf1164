import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { type WebSocketConnection, WebSocketServer } from "tungstate";
import { burster, listening, MAX_MESSAGE, parseBurst, readTls, serverOptions, versionOf } from "./contract.ts";

const { host, port, deflate, tls, route, option } = serverOptions();
const require = createRequire(import.meta.url);

const BACKLOG = 4096;

// Default options, except for the message size that the row of 16 MiB requires.
const server = new WebSocketServer({ maxFrameSize: MAX_MESSAGE, ...(deflate ? { compression: true } : {}) });

function echo(connection: WebSocketConnection): void {
  if (option === "transfer") connection.on("message", (message) => void connection.write(message, { transfer: true }));
  else connection.on("message", (message) => void connection.write(message));
}

function answerBursts(connection: WebSocketConnection): void {
  connection.on("message", (message) => {
    const burst = parseBurst(message.text);
    if (burst === undefined) return;
    const more = burster(burst.count, () => {
      if (connection.write(burst.payload)) return true;
      connection.once("drain", more);
      return false;
    });
    more();
  });
}

server.on("connection", (connection, { path }) => {
  if (path === "/broadcast") connection.on("message", (message) => void server.broadcast(message));
  else if (path === "/burst") answerBursts(connection);
  else echo(connection);
});

async function attached(): Promise<number> {
  const http: Server = tls === undefined ? createServer() : createTlsServer(readTls(tls));
  server.attach(http);
  await new Promise<void>((resolve) => http.listen(port, host, BACKLOG, resolve));
  return (http.address() as AddressInfo).port;
}

async function inFastify(): Promise<number> {
  // not loaded on the other routes: it changes how V8 collects garbage (docs/performance.md)
  const { fastify } = await import("fastify");
  const { websocket } = await import("tungstate/fastify");
  const app = fastify();
  await app.register(websocket, {});
  app.get("/echo", { websocket: true }, echo);
  await app.listen({ host, port, backlog: BACKLOG });
  return (app.server.address() as AddressInfo).port;
}

async function ownPort(): Promise<number> {
  const address = await server.listen({
    host,
    port,
    backlog: BACKLOG,
    ...(tls === undefined ? {} : { tls: readTls(tls) }),
  });
  if (typeof address === "string") throw new Error(`expected a port, got ${address}`);
  return address.port;
}

const bound = await (route === "attach" ? attached() : route === "fastify" ? inFastify() : ownPort());
listening(bound, `tungstate ${versionOf(require.resolve("tungstate/package.json"))}`);
