// Sends each message of a client to all clients, its sender included.
import process from "node:process";
import { WebSocketServer } from "tungstate";

const host = process.env["HOST"] ?? "127.0.0.1";
const port = Number(process.env["PORT"] ?? 8080);

const server = new WebSocketServer({
  maxMessageSize: 65_536, // bytes
  maxConnections: 10_000,
  // A client that does not read is closed with 1013 when this much waits for it.
  maxWriteBufferSize: 1_048_576, // bytes
  // Pages of other origins are rejected by default. This also rejects pages whose name resolves to
  // this machine (DNS rebinding). On another address, list the names of your server.
  allowedHosts: host === "127.0.0.1" ? ["localhost", "127.0.0.1"] : "any",
});
server.on("connection", (connection, request) => {
  console.log(`${request.clientAddress ?? "a client"} connected`);
  connection.on("message", (message) => {
    server.broadcast(message);
  });
  connection.on("close", ({ code }) => console.log(`a client left with ${code}`));
});

const address = await server.listen({ host, port });
console.log(`listening on ws://${host}:${typeof address === "string" ? port : address.port}`);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void server.close(1001, "the server stops", 5_000));
}
