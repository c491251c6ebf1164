import type { AddressInfo } from "node:net";
import { connect, reconnecting, WebSocketServer } from "../../src/index.ts";

// Echoes one message through each client, and prints what came back. Deno runs it with --allow-net
// only.
const server = new WebSocketServer({ compression: true });
server.on("connection", (connection) => connection.on("message", (message) => void connection.write(message)));
const { port } = (await server.listen({ port: 0 })) as AddressInfo;
const url = `ws://127.0.0.1:${port}/`;
const received: unknown[] = [];
for (const connection of [await connect(url), reconnecting(url)]) {
  await connection.send("hello");
  for await (const message of connection) {
    received.push(message.data);
    break;
  }
  await connection.close();
}
await server.close();
console.log(JSON.stringify(received));
