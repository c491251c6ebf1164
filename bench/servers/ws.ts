import { createRequire } from "node:module";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import {
  burster,
  BURST_WAITING,
  listening,
  MAX_MESSAGE,
  parseBurst,
  readTls,
  serverOptions,
  versionOf,
} from "./contract.ts";

const { host, port, deflate, tls } = serverOptions();
const require = createRequire(import.meta.url);

const http = tls === undefined ? createServer() : createTlsServer(readTls(tls));
const server = new WebSocketServer({
  server: http,
  maxPayload: MAX_MESSAGE,
  perMessageDeflate: deflate ? { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 } : false,
});

server.on("connection", (socket, request) => {
  socket.on("error", () => socket.terminate());
  if (request.url === "/broadcast" || request.url === "/ws") {
    socket.on("message", (data, binary) => {
      for (const client of server.clients) client.send(data, { binary });
    });
  } else if (request.url === "/burst") {
    socket.on("message", (data) => {
      const burst = parseBurst(Buffer.isBuffer(data) ? data.toString() : "");
      if (burst === undefined) return;
      const more = burster(burst.count, () => {
        if (socket.bufferedAmount < BURST_WAITING) {
          socket.send(burst.payload);
          return true;
        }
        socket.send(burst.payload, more); // called when it has been written
        return false;
      });
      more();
    });
  } else socket.on("message", (data, binary) => socket.send(data, { binary }));
});

http.listen(port, host, 4096, () => {
  const version = versionOf(require.resolve("ws/package.json"));
  listening((http.address() as AddressInfo).port, `ws ${version}${nativeMasking()}`);
});

function nativeMasking(): string {
  try {
    // its JavaScript fallback has a different function name
    const bufferutil = require("bufferutil") as { unmask: { name: string; toString(): string } };
    const native = bufferutil.unmask.toString().includes("[native code]");
    return native ? ` with bufferutil ${versionOf(require.resolve("bufferutil/package.json"))}` : " without bufferutil";
  } catch {
    return " without bufferutil";
  }
}
