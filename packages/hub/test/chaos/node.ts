// One node of a hub, as a process of its own. The only argument is a NodeSettings in JSON. Prints `listening PORT`; drains on SIGTERM.
import process from "node:process";
import { WebSocketServer } from "tungstate";
import { Hub } from "../../src/hub.ts";
import { openRedis } from "../../src/redis/open-redis.ts";
import { attachSocket } from "../../src/socket.ts";

export interface NodeSettings {
  readonly name: string;
  readonly redis: readonly string[];
  readonly prefix: string;
  /** Of the connections to Redis, ms. */
  readonly timeout: number;
  readonly historySize: number;
  /** How long its sessions are spread over when it ends, ms. */
  readonly drainWindow: number;
}

const settings = JSON.parse(process.argv[2] ?? "{}") as NodeSettings;
const { name, prefix, timeout, historySize, drainWindow } = settings;
const redis = await openRedis(settings.redis, {
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
const address = await server.listen({ port: 0, host: "127.0.0.1" });
console.log(`listening ${typeof address === "object" ? address.port : ""}`);

process.on("SIGTERM", () => {
  void (async () => {
    await hub.close({ window: drainWindow });
    await server.close(1001, "", 1_000);
    process.exit(0);
  })();
});
