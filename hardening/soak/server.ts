// The process under test: reports its resources on request.

import process from "node:process";
import { attachSocket, Hub } from "@tungstate/hub";
import { sharedMemoryBudget, type WebSocketConnection, WebSocketServer } from "tungstate";
import { held } from "./sample.ts";

const BROADCASTS = 2; // one second
const PUBLICATIONS = 10; // one second
const CHANNELS = 10;

const hub = new Hub({
  anonymous: true,
  namespaces: { "": { subscribe: "anyone", history: { size: 100, ttl: 60_000 }, presence: true, joinLeave: true } },
});
await hub.start();

const echo = new WebSocketServer();
const deflate = new WebSocketServer({ compression: { threshold: 100 } });
const room = new WebSocketServer();
const subscribers = new WebSocketServer({ maxMessageSize: 65_536 });
const servers = { echo, deflate, room, subscribers };
const errors: string[] = [];

function returnAll(connection: WebSocketConnection): void {
  connection.on("message", (message) => {
    if (connection.write(message)) return;
    connection.pause();
    connection.once("drain", () => connection.resume());
  });
}
echo.on("connection", returnAll);
deflate.on("connection", returnAll);
room.on("connection", (connection) => connection.on("message", () => undefined));
subscribers.on("connection", (connection) => void attachSocket(hub, connection));
for (const server of Object.values(servers)) server.on("error", (error) => errors.push(String(error)));

const ports: Record<string, number> = {};
for (const [name, server] of Object.entries(servers)) {
  const address = await server.listen();
  ports[name] = typeof address === "string" ? 0 : address.port;
}

let number = 0;
const broadcasting = setInterval(
  () => room.broadcast(`${number++} ${"news ".repeat(number % 100)}`),
  1000 / BROADCASTS,
);
const publishing = setInterval(() => {
  hub
    .publish(`channel${number++ % CHANNELS}`, { number, text: "x".repeat(number % 500) })
    .catch((error: unknown) => errors.push(String(error)));
}, 1000 / PUBLICATIONS);

process.on("message", (what) => {
  if (what === "sample") {
    const connections = Object.values(servers).reduce((sum, server) => sum + server.connections.size, 0);
    const { held: all, parts } = sharedMemoryBudget.use;
    // history of the channels remains when nobody is connected
    const budget = all - (parts["hub history"] ?? 0);
    process.send?.({ ...held(), connections, budget, errors });
    return;
  }
  clearInterval(broadcasting);
  clearInterval(publishing);
  void (async () => {
    await hub.close();
    await Promise.all(Object.values(servers).map((server) => server.close()));
    process.disconnect();
  })();
});
process.send?.({ ports });
