import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { Server } from "socket.io";
import { listening, serverOptions, versionOf } from "../../servers/contract.ts";

const { host, port } = serverOptions();
const require = createRequire(import.meta.url);

const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  serveClient: false,
  // keeps all packets of all rooms for that time, so only on request
  ...(process.env["HISTORY"] === undefined ? {} : { connectionStateRecovery: { maxDisconnectionDuration: 120_000 } }),
});

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
  listening((http.address() as AddressInfo).port, `Socket.IO ${version}`);
});
