// Runs inside a network namespace, controlled by lines of JSON: `server` listens, `client` dials.
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer } from "node:tls";
import { dial, type Dialed } from "../../../src/dial/dial.ts";
import { listInterfaces, type NetworkInterface } from "../../../src/dial/interfaces.ts";
import type { DialOptions } from "../../../src/dial/options.ts";
import { Routes } from "../../../src/dial/routes.ts";
import { ConnectError } from "../../../src/errors.ts";
import type { ReconnectOptions } from "../../../src/reconnecting/options.ts";
import { reconnecting } from "../../../src/reconnecting/reconnecting.ts";
import type { ReconnectingConnection } from "../../../src/reconnecting/types.ts";
import { WebSocketServer } from "../../../src/server/server.ts";
import { VirtualClock } from "../../../src/testing/virtual-clock.ts";
import { secure } from "../../../src/tls/secure.ts";
import type { Route } from "../../../src/transport/route.ts";

/** Ports that echo: plain, over TLS, and after the response of an HTTP proxy. */
export interface Ports {
  readonly plain: number;
  readonly tls: number;
  readonly proxy: number;
  /** WebSocket, plain and over TLS. */
  readonly ws: number;
  readonly wss: number;
}

export type ClientCommand =
  /**
   * Sends this many bytes to an echo server, and closes. `tls`: over TLS, to a server with this
   * name.
   */
  | {
      readonly do: "transfer";
      readonly host: string;
      readonly port: number;
      readonly bytes: number;
      readonly options?: Omit<DialOptions, "signal" | "lookup">;
      readonly tls?: { readonly ca: string; readonly host: string };
      /** Keeps the state of the routes between commands. */
      readonly keepRoutes?: boolean;
    }
  /**
   * Sends a message of that many bytes to a WebSocket echo server, over the process's reconnecting
   * connection.
   */
  | {
      readonly do: "talk";
      readonly url: string;
      readonly bytes: number;
      readonly options?: Omit<ReconnectOptions, "signal">;
      /** Not before it was echoed that many times. */
      readonly gaps?: number;
    }
  | { readonly do: "list" };

export interface ClientReply {
  readonly route?: Route;
  readonly interfaces?: readonly NetworkInterface[];
  readonly error?: { readonly code: string; readonly step: string; readonly message: string };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "::");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function listenWebSocket(tls?: { readonly key: string; readonly cert: string }): Promise<number> {
  const server = new WebSocketServer();
  server.on("connection", (connection) => connection.on("message", (message) => connection.write(message)));
  const address = await server.listen({ host: "::", ...(tls === undefined ? {} : { tls }) });
  return (address as AddressInfo).port;
}

const echo = (socket: Duplex): void => {
  socket.on("error", () => undefined);
  socket.pipe(socket);
};

const proxy = (socket: Socket): void => {
  socket.once("data", () => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    echo(socket);
  });
};

let kept: Routes | undefined;

async function transfer(command: ClientCommand & { do: "transfer" }): Promise<Route> {
  const { host, port, bytes, tls } = command;
  const options = command.options ?? {};
  const routes = command.keepRoutes === true ? (kept ??= new Routes(options)) : new Routes(options);
  const connected = await routes.take<Dialed>(
    async (choice, signal) => {
      const dialed = await dial({ host, port }, { ...options, interface: choice.interface, signal });
      if (tls === undefined) return dialed;
      const { stream } = await secure(dialed.stream, { host: tls.host, ca: tls.ca, signal });
      return { ...dialed, stream };
    },
    { discard: ({ stream }) => stream.destroy() },
  );
  const { stream, route } = connected;
  stream.write(Buffer.alloc(bytes));
  let left = bytes;
  while (left > 0) left -= ((await once(stream, "data")) as [Buffer])[0].length;
  stream.destroy();
  return route;
}

let talking: ReconnectingConnection | undefined;
let gaps = 0;
const clock = new VirtualClock();

/**
 * Advances the connection's time, slowly compared with the network, until `task` is done: a link
 * that is down is detected by silence.
 */
async function inTime<T>(task: Promise<T>): Promise<T> {
  let isDone = false;
  const end = (): void => void (isDone = true);
  task.then(end, end);
  while (!isDone) {
    await clock.advance(5);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return await task;
}

async function talk(command: ClientCommand & { do: "talk" }): Promise<Route | undefined> {
  const { url, bytes, options } = command;
  talking ??= reconnecting(url, {
    heartbeat: { interval: 100, timeout: 200 },
    backoff: { initialDelay: 20, maxDelay: 50 },
    clock,
    ...options,
  }).on("gap", () => gaps++);
  while (gaps < (command.gaps ?? 0)) {
    await inTime(new Promise<void>((resolve) => void talking?.once("gap", () => resolve())));
  }
  const connection = await inTime(talking.ready());
  await talking.send(new Uint8Array(bytes));
  for await (const { size } of talking) if (size === bytes) break;
  return connection.route;
}

async function reply(command: ClientCommand): Promise<ClientReply> {
  try {
    if (command.do === "list") return { interfaces: listInterfaces() };
    const route = command.do === "talk" ? await talk(command) : await transfer(command);
    return route === undefined ? {} : { route };
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof ConnectError) return { error: { code: error.code, step: error.step, message } };
    return { error: { code: "", step: "", message } };
  }
}

for await (const line of createInterface(process.stdin)) {
  const question: unknown = JSON.parse(line);
  if (process.argv[2] === "server") {
    const credentials = question as { readonly key: string; readonly cert: string };
    const ports: Ports = {
      plain: await listen(createServer(echo)),
      tls: await listen(createTlsServer(credentials, echo)),
      proxy: await listen(createServer(proxy)),
      ws: await listenWebSocket(),
      wss: await listenWebSocket(credentials),
    };
    console.log(JSON.stringify(ports));
  } else {
    console.log(JSON.stringify(await reply(question as ClientCommand)));
  }
}
