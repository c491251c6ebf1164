import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server as HttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { WebSocketServer } from "tungstate";
import { acceptUpgrades as acceptExpressUpgrades, websocket as expressWebSocket } from "tungstate/express";
import { websocket as fastifyWebSocket } from "tungstate/fastify";
import { acceptUpgrades as acceptHonoUpgrades, websocket as honoWebSocket } from "tungstate/hono";
import type { Hub } from "../../src/hub/hub.ts";
import { attachSocket, HUB_SUBPROTOCOLS } from "../../src/hub/socket.ts";

export const HUB_PATH = "/connection/websocket";

const OPTIONS = { origin: "any", maxMessageSize: 65_536, protocols: HUB_SUBPROTOCOLS } as const;

/** A hub with a URL. */
export interface RoutedHub {
  readonly url: string;
  /** Opens a connection for a client that sends bytes. */
  open(): Promise<Socket>;
  close(): Promise<void>;
}

/** A route by which clients reach a hub. */
export interface HubRoute {
  readonly name: string;
  start(hub: Hub): Promise<RoutedHub>;
}

interface Certificate {
  readonly cert: string;
  readonly key: string;
}

let certificate: Certificate | undefined;

/** Self-signed, for localhost. */
function selfSigned(): Certificate {
  if (certificate !== undefined) return certificate;
  const folder = mkdtempSync(join(tmpdir(), "tungstate-hub-"));
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const how = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const what = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  try {
    execFileSync("openssl", [...how, ...what, "-keyout", keyFile, "-out", certFile], { stdio: "ignore" });
    certificate = { cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
    return certificate;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function routed(port: number, secure: boolean, close: () => Promise<unknown>): RoutedHub {
  return {
    url: `${secure ? "wss" : "ws"}://localhost:${port}${HUB_PATH}`,
    async open() {
      const at = { port, host: "127.0.0.1" };
      const socket = secure ? tlsConnect({ ...at, ca: selfSigned().cert, servername: "localhost" }) : connect(at);
      await once(socket, secure ? "secureConnect" : "connect");
      return socket;
    },
    close: async () => void (await close()),
  };
}

function serverFor(hub: Hub): WebSocketServer {
  const server = new WebSocketServer({ ...OPTIONS, path: HUB_PATH });
  return server.on("connection", (socket, request) => void attachSocket(hub, socket, request));
}

function ownPort(secure: boolean): HubRoute {
  return {
    name: secure ? "a port of its own with TLS" : "a port of its own",
    async start(hub) {
      const server = serverFor(hub);
      const { port } = (await server.listen(secure ? { tls: selfSigned() } : {})) as AddressInfo;
      return routed(port, secure, () => server.close(1001, "", 100));
    },
  };
}

function attached(secure: boolean): HubRoute {
  return {
    name: secure ? "attached to node:https" : "attached to node:http",
    async start(hub) {
      const http: HttpServer = secure ? createHttpsServer(selfSigned()) : createServer();
      const server = serverFor(hub).attach(http);
      await once(http.listen(0, "127.0.0.1"), "listening");
      return routed(portOf(http), secure, () => closeBoth(server, http));
    },
  };
}

const FASTIFY: HubRoute = {
  name: "a route of Fastify",
  async start(hub) {
    const app = fastify();
    await app.register(fastifyWebSocket, OPTIONS);
    app.get(HUB_PATH, { websocket: true }, (connection, request) => void attachSocket(hub, connection, request));
    await app.listen({ port: 0, host: "127.0.0.1" });
    return routed(portOf(app.server), false, () => app.close());
  },
};

const EXPRESS: HubRoute = {
  name: "a route of Express",
  async start(hub) {
    const app = express();
    const server = new WebSocketServer(OPTIONS);
    app.get(
      HUB_PATH,
      expressWebSocket(server, (connection, request) => void attachSocket(hub, connection, request)),
    );
    const http = app.listen(0, "127.0.0.1");
    acceptExpressUpgrades(http);
    await once(http, "listening");
    return routed(portOf(http), false, () => closeBoth(server, http));
  },
};

const HONO: HubRoute = {
  name: "a route of Hono",
  async start(hub) {
    const app = new Hono();
    const server = new WebSocketServer(OPTIONS);
    app.get(
      HUB_PATH,
      honoWebSocket(server, (connection, context) => void attachSocket(hub, connection, context)),
    );
    const http = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }) as HttpServer;
    acceptHonoUpgrades(http);
    if (!http.listening) await once(http, "listening");
    return routed(portOf(http), false, () => closeBoth(server, http));
  },
};

function portOf(http: HttpServer): number {
  return (http.address() as AddressInfo).port;
}

async function closeBoth(server: WebSocketServer, http: HttpServer): Promise<void> {
  await server.close(1001, "", 100);
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
}

export const HUB_ROUTES: readonly HubRoute[] = [
  ownPort(false),
  ownPort(true),
  attached(false),
  attached(true),
  FASTIFY,
  EXPRESS,
  HONO,
];
