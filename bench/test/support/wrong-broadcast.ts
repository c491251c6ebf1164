// Broadcasts the messages of one client, except for one message, which it handles as WRONG says.
// The hub's load generator must detect it.
import type { AddressInfo } from "node:net";
import process from "node:process";
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
const { WRONG } = process.env;
let count = 0;

server.on("connection", (socket) => {
  socket.on("message", (data) => {
    const times = ++count !== 5 ? 1 : WRONG === "skip" ? 0 : WRONG === "double" ? 2 : 1;
    for (let i = 0; i < times; i++) for (const client of server.clients) client.send(data, { binary: false });
  });
});

server.on("listening", () => process.stdout.write(`listening ${(server.address() as AddressInfo).port} wrong\n`));
