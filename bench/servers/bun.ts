// Run by Bun.
import { burster, listening, MAX_MESSAGE, parseBurst, readTls, serverOptions } from "./contract.ts";

interface BunSocket {
  readonly data: { readonly path: string; more?: () => void };
  /** -1: buffered, wait for `drain`. 0: dropped. Otherwise the number of bytes sent. */
  send(data: string | Uint8Array, compress?: boolean): number;
  subscribe(topic: string): void;
}

interface BunServer {
  readonly port: number;
  upgrade(request: Request, options: { data: { path: string } }): boolean;
  publish(topic: string, data: string | Uint8Array, compress?: boolean): number;
}

declare const Bun: {
  readonly version: string;
  serve(options: {
    hostname: string;
    port: number;
    tls?: { key: string; cert: string };
    fetch(request: Request, server: BunServer): Response | undefined;
    websocket: {
      maxPayloadLength: number;
      backpressureLimit: number;
      idleTimeout: number;
      perMessageDeflate: boolean;
      open(socket: BunSocket): void;
      message(socket: BunSocket, data: string | Uint8Array): void;
      drain(socket: BunSocket): void;
    };
  }): BunServer;
};

const { host, port, deflate, tls } = serverOptions();

const isBroadcast = (path: string): boolean => path === "/broadcast" || path === "/ws";

const server = Bun.serve({
  hostname: host,
  port,
  ...(tls === undefined ? {} : { tls: readTls(tls) }),
  fetch(request, self) {
    if (self.upgrade(request, { data: { path: new URL(request.url).pathname } })) return undefined;
    return new Response("this is a WebSocket", { status: 426 });
  },
  websocket: {
    maxPayloadLength: MAX_MESSAGE,
    backpressureLimit: 4 * MAX_MESSAGE,
    idleTimeout: 120, // seconds
    perMessageDeflate: deflate,
    open(socket) {
      if (isBroadcast(socket.data.path)) socket.subscribe("all");
    },
    message(socket, data) {
      const { path } = socket.data;
      if (path === "/echo") socket.send(data, deflate);
      else if (isBroadcast(path)) server.publish("all", data, deflate);
      else {
        const burst = parseBurst(data.toString());
        if (burst === undefined) return;
        socket.data.more = burster(burst.count, () => socket.send(burst.payload) > 0);
        socket.data.more();
      }
    },
    drain: (socket) => socket.data.more?.(),
  },
});

listening(server.port, `Bun ${Bun.version}`);
