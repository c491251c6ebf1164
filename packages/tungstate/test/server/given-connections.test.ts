// Other code may give connections to an HTTP server (`server.emit("connection", socket)`), for
// example after it has read a PROXY header. The peer may be gone by then.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import { WebSocketServer } from "../../src/server/server.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { selfSigned } from "../support/pairs.ts";
import { end, turns } from "../support/server.ts";

const SERVERS: Readonly<Record<string, () => HttpServer | HttpsServer>> = {
  "node:http": () => createServer(),
  "node:https": () => createHttpsServer(selfSigned()),
};

describe("a connection that is gone when other code gives it to an attached server occupies no place", () => {
  for (const [name, make] of Object.entries(SERVERS)) {
    for (const when of ["just before", "long before"]) {
      test(`${name}, gone ${when}`, async (t) => {
        const server = make();
        const ws = new WebSocketServer({ clock: new VirtualClock() }).attach(server);
        t.after(() => end(ws));
        const net = createTcpServer();
        await once(net.listen(0, "127.0.0.1"), "listening");
        const accepted = once(net, "connection") as Promise<[Socket]>;
        const peer = connect((net.address() as AddressInfo).port, "127.0.0.1");
        t.after(() => {
          peer.destroy();
          net.close();
        });
        const [socket] = await accepted;
        socket.destroy();
        if (when === "long before") await once(socket, "close");
        server.emit("connection", socket);
        await turns(5);
        assert.equal(ws.stats.handshakes, 0);
      });
    }
  }
});
