// One node of a hub, as a process of its own. The only argument is a NodeSettings (world.ts) in JSON. Prints `listening PORT`; drains on
// SIGTERM. In JavaScript, on what is built: it starts in a fraction of the time, and the scenarios start many.
import process from "node:process";
import { attachSocket, Hub } from "@tungstate/hub";
import { openRedis } from "@tungstate/hub/redis";
import { WebSocketServer } from "tungstate";

const { name, redis: urls, prefix, timeout, historySize, drainWindow } = JSON.parse(process.argv[2] ?? "{}");
const redis = await openRedis(urls, {
  prefix,
  timeout,
  onError: ({ message }) => console.error(`${name}: ${message}`),
});
const hub = new Hub({
  name,
  anonymous: true,
  namespaces: { "": { history: { size: historySize, ttl: 600_000 }, subscribe: "anyone", presence: true } },
  broker: redis.broker,
  presence: redis.presenceStore,
});
await hub.start();
const server = new WebSocketServer({ path: "/connection/websocket" });
server.on("connection", (socket, request) => void attachSocket(hub, socket, request));
const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
console.log(`listening ${port}`);

async function drain() {
  await hub.close({ window: drainWindow });
  await server.close(1001, "", 1_000);
  process.exit(0);
}
process.on("SIGTERM", () => void drain());
