import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { connect, Http2Sessions, WebSocketServer } from "tungstate";
import { relayFromHttp2, relayToHttp2 } from "./http2-relay.ts";
import type { Target } from "./target.ts";
import { echo } from "./tungstate.ts";

/** tungstate with default options over HTTP/2, with compression for groups 12 and 13. */
export const tungstateHttp2: Target = {
  name: "tungstate-http2",
  golden: "tungstate",

  async startServer() {
    const http = createServer();
    const server = new WebSocketServer({ compression: true }).attach(http, { path: "/echo" });
    server.on("connection", echo);
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    const relay = await relayToHttp2((http.address() as AddressInfo).port);
    return {
      port: relay.port,
      async close() {
        await relay.close();
        await server.close();
        http.close();
        await once(http, "close");
      },
    };
  },

  async runClient(url, signal) {
    const relay = await relayFromHttp2(new URL(url));
    const http2Sessions = new Http2Sessions();
    try {
      const { pathname } = new URL(url);
      const options = { signal, compression: true, httpVersion: "2", http2Sessions } as const;
      const connection = await connect(`ws://127.0.0.1:${relay.port}${pathname}`, options);
      echo(connection);
      await connection.closed;
    } finally {
      http2Sessions.close();
      await relay.close();
    }
  },
};
