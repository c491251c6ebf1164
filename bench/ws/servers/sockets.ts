// A server with the API of ws, on the package that its first argument names: /echo and /broadcast
// as described in bench/servers/contract.ts. The second argument is how it is attached.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import process from "node:process";
import type * as Ws from "ws";
import { listening, MAX_MESSAGE, serverOptions, versionOf } from "../../servers/contract.ts";

const [engine = "ws", attached = "server"] = process.argv.slice(2);
const { host, port, deflate } = serverOptions();
const require = createRequire(import.meta.url);
const { WebSocketServer } = require(engine) as typeof Ws;

// ws's default options, except for the size of messages, and that small messages are compressed as
// well
const options = { maxPayload: MAX_MESSAGE, ...(deflate ? { perMessageDeflate: { threshold: 0 } } : {}) };
const http = createServer();
const server = new WebSocketServer(
  attached === "noServer" ? { ...options, noServer: true } : { ...options, server: http },
);
if (attached === "noServer") {
  http.on("upgrade", (request, socket, head) =>
    server.handleUpgrade(request, socket, head, (client) => server.emit("connection", client, request)),
  );
}

server.on("connection", (socket, request) => {
  socket.on("error", () => socket.terminate());
  if (request.url === "/broadcast") {
    socket.on("message", (data, binary) => {
      for (const client of server.clients) client.send(data, { binary });
    });
  } else socket.on("message", (data, binary) => socket.send(data, { binary }));
});

http.listen(port, host, 4096, () => {
  const version = versionOf(require.resolve(`${engine}/package.json`));
  listening((http.address() as AddressInfo).port, `${engine} ${version}`);
});
