import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import { accept } from "../../src/server/accept.ts";
import { WebSocketServer, type WebSocketServerOptions } from "../../src/server/server.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { selfSigned } from "./pairs.ts";
import { Raw } from "./raw.ts";
import { end } from "./server.ts";

/** A server reached by one of the routes into it. It echoes every message unless it is given something else to do. */
export class EchoServer {
  readonly target: string;
  private readonly open: () => Promise<Duplex>;
  private readonly stop: () => Promise<unknown>;
  private readonly streams: Duplex[] = [];

  constructor(target: string, open: () => Promise<Duplex>, stop: () => Promise<unknown>) {
    this.target = target;
    this.open = open;
    this.stop = stop;
  }

  /** A client that speaks bytes. */
  async raw(): Promise<Raw> {
    const stream = await this.open();
    this.streams.push(stream);
    return new Raw(stream);
  }

  /** Drops all clients and closes the server. */
  async close(): Promise<void> {
    for (const stream of this.streams) stream.destroy();
    await this.stop();
  }
}

/** A route by which requests reach a WebSocket server. */
export interface ServerRoute {
  readonly name: string;
  start(): Promise<EchoServer>;
}

function echo(connection: WebSocketConnection): void {
  connection.on("message", (message) => void connection.write(message));
}

async function tcp(port: number): Promise<Duplex> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return socket;
}

async function tls(port: number): Promise<Duplex> {
  const socket = tlsConnect({ port, host: "127.0.0.1", ca: selfSigned().cert, servername: "localhost" });
  await once(socket, "secureConnect");
  return socket;
}

/** What a server does with a connection. */
type OnConnection = (connection: WebSocketConnection) => void;

function ownPort(
  name: string,
  options: WebSocketServerOptions,
  secure: boolean,
  onConnection: OnConnection,
): ServerRoute {
  return {
    name,
    async start() {
      const server = new WebSocketServer(options).on("connection", onConnection);
      const { port } = (await server.listen(secure ? { tls: selfSigned() } : {})) as AddressInfo;
      return new EchoServer(
        "/",
        () => (secure ? tls(port) : tcp(port)),
        () => end(server),
      );
    },
  };
}

function attached(
  name: string,
  options: WebSocketServerOptions,
  create: () => HttpServer,
  onConnection: OnConnection,
): ServerRoute {
  return {
    name,
    async start() {
      const http = create();
      const server = new WebSocketServer(options).on("connection", onConnection);
      server.attach(http);
      await once(http.listen(0, "127.0.0.1"), "listening");
      const { port } = http.address() as AddressInfo;
      return new EchoServer(
        "/",
        () => (name.endsWith("https") ? tls(port) : tcp(port)),
        async () => {
          await end(server);
          await new Promise((resolve) => http.close(resolve));
        },
      );
    },
  };
}

function stream(options: WebSocketServerOptions, onConnection: OnConnection): ServerRoute {
  return {
    name: "accept on a stream",
    async start() {
      const open = async (): Promise<Duplex> => {
        const [near, far] = memoryPipe();
        accept(far, options).then(onConnection, () => undefined); // a refused handshake is seen on the stream
        return near;
      };
      return new EchoServer("/", open, async () => undefined);
    },
  };
}

/** The routes to a server with these options. */
export function serverRoutes(
  options: WebSocketServerOptions = {},
  onConnection: OnConnection = echo,
): readonly ServerRoute[] {
  return [
    ownPort("a port of its own", options, false, onConnection),
    ownPort("a port of its own with TLS", options, true, onConnection),
    attached("attached to node:http", options, () => createServer(), onConnection),
    attached("attached to node:https", options, () => createHttpsServer(selfSigned()), onConnection),
    stream(options, onConnection),
  ];
}
