// A server that echoes, and a client that talks to it.   npx tsx examples/echo.ts
import { connect, WebSocketServer } from "tungstate";

const server = new WebSocketServer();
server.on("connection", (connection) => {
  connection.on("message", (message) => void connection.write(message));
});
const address = await server.listen({ port: 0 });
const port = typeof address === "string" ? 0 : address.port;

const client = await connect(`ws://127.0.0.1:${port}`);
client.write("hello");
client.write(Uint8Array.of(1, 2, 3));

let left = 2;
for await (const message of client) {
  console.log(message.type, message.data);
  if (--left === 0) break;
}
await client.close();
await server.close();
