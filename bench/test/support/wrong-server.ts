// A server with the fault that WRONG names, which the load generator must detect.
import type { AddressInfo } from "node:net";
import process from "node:process";
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
const { WRONG } = process.env;
let count = 0;

server.on("connection", (socket) => {
  let held: Buffer | undefined;
  socket.on("message", (data, binary) => {
    const bytes = Buffer.from(data as Buffer);
    count++;
    if (WRONG === "byte" && bytes.length > 0) bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    if (WRONG === "close" && count > 10) socket.close(1011);
    else if (WRONG === "short") socket.send(bytes.subarray(0, -1), { binary });
    else if (WRONG === "order") {
      if (held === undefined) held = bytes;
      else {
        socket.send(bytes, { binary });
        socket.send(held, { binary });
        held = undefined;
      }
    } else socket.send(bytes, { binary });
  });
});

server.on("listening", () => process.stdout.write(`listening ${(server.address() as AddressInfo).port} wrong\n`));
