// Socket.IO with the engine that its first argument names, for the load generator of bench/hub.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { Server } from "socket.io";
import type * as Ws from "ws";
import { listening, serverOptions, versionOf } from "../../servers/contract.ts";

const [engine = "ws"] = process.argv.slice(2);
const { host, port } = serverOptions();
const require = createRequire(import.meta.url);
const { WebSocketServer } = require(engine) as typeof Ws;

const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false, wsEngine: WebSocketServer });
io.on("connection", (socket) => {
  socket.on("join", (rooms: string[], done: () => void) => {
    void socket.join(rooms);
    done();
  });
  socket.on("publish", (room: string, data: string) => void io.to(room).emit("m", data));
  socket.on("sync", (done: () => void) => done());
});

http.listen(port, host, 4096, () => {
  const version = versionOf(require.resolve("socket.io/package.json"));
  listening((http.address() as AddressInfo).port, `Socket.IO ${version} on ${engine}`);
});
