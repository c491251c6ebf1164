// What one client says, all of them hear. The message is encoded once, however many they are. npx
// tsx examples/broadcast.ts
import { connect, WebSocketServer } from "tungstate";

const server = new WebSocketServer();
server.on("connection", (connection) => {
  connection.on("message", (message) => void server.broadcast(message));
});
const address = await server.listen({ port: 0 });
const url = `ws://127.0.0.1:${typeof address === "string" ? 0 : address.port}`;

const names = ["ann", "bob", "cy"];
const clients = await Promise.all(names.map(() => connect(url)));
const received = clients.map(async (client, index) => {
  for await (const message of client) {
    console.log(`${names[index]} received: ${message.text}`);
    break;
  }
});
clients[0]?.write("good morning, everyone");
await Promise.all(received);
await server.close();
