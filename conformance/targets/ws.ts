import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import type { Target } from "./target.ts";

function echo(socket: WebSocket): void {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  // A violation by the peer ends the connection; the error adds nothing.
  socket.on("error", () => {});
}

/** The npm package ws with default options, except that its server compresses. */
export const ws: Target = {
  name: "ws",

  async startServer() {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, path: "/echo", perMessageDeflate: true });
    server.on("connection", echo);
    await once(server, "listening");
    return {
      port: (server.address() as AddressInfo).port,
      close: () =>
        new Promise((resolve) => {
          for (const client of server.clients) client.terminate();
          server.close(() => resolve());
        }),
    };
  },

  async runClient(url, signal) {
    const socket = new WebSocket(url);
    const abort = (): void => socket.terminate();
    signal.addEventListener("abort", abort);
    echo(socket);
    await new Promise<void>((resolve) => socket.on("close", () => resolve()));
    signal.removeEventListener("abort", abort);
  },
};
