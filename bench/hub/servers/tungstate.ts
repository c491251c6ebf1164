import { attachSocket, Hub } from "@tungstate/hub";
import { createRequire } from "node:module";
import { WebSocketServer } from "tungstate";
import { listening, versionOf } from "../../servers/contract.ts";
import { historySize, MAX_MESSAGE_SIZE, serverOptions } from "./contract.ts";

const { host, port } = serverOptions();
const require = createRequire(import.meta.url);
const open = { subscribe: "anyone", publish: "anyone" } as const;

const hub = new Hub({
  anonymous: true,
  namespaces: {
    ticker: open,
    room: { ...open, history: { size: historySize(), ttl: 3600_000 } },
    // as the public channels of `tungstate serve`
    lobby: { ...open, history: { size: historySize(), ttl: 3600_000 }, presence: true, joinLeave: true },
  },
  limits: { rates: false }, // one connection publishes for all
  onError: (error) => process.stderr.write(`${String(error)}\n`),
});
await hub.start();

// By default, handshakes beyond 1,024 at a time get 503 and are retried later. These rows measure
// how long it takes to accept all.
const server = new WebSocketServer({ maxMessageSize: MAX_MESSAGE_SIZE, maxHandshakes: 10_000 });
server.on("connection", (socket, request) => void attachSocket(hub, socket, request));
const address = await server.listen({ host, port, backlog: 4096 });
if (typeof address === "string") throw new Error(`expected a port, got ${address}`);
listening(address.port, `@tungstate/hub ${versionOf(require.resolve("@tungstate/hub/package.json"))}`);
