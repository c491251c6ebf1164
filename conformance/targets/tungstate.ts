import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect, type WebSocketConnection, WebSocketServer } from "tungstate";
import type { Target } from "./target.ts";

/** Sends each message back. */
export function echo(connection: WebSocketConnection): void {
  connection.on("message", (message) => void connection.write(message));
}

/** tungstate with default options behind node:http, with compression for groups 12 and 13. */
export const tungstate: Target = {
  name: "tungstate",

  async startServer() {
    const http = createServer();
    const server = new WebSocketServer({ compression: true }).attach(http, { path: "/echo" });
    server.on("connection", echo);
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    return {
      port: (http.address() as AddressInfo).port,
      async close() {
        await server.close();
        http.close();
        await once(http, "close");
      },
    };
  },

  async runClient(url, signal) {
    const connection = await connect(url, { signal, compression: true });
    echo(connection);
    await connection.closed;
  },
};
