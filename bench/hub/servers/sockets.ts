// The floor: broadcasts the payload to all connections, without channels.
import { createRequire } from "node:module";
import { WebSocketServer } from "tungstate";
import { listening, serverOptions, versionOf } from "../../servers/contract.ts";

const { host, port } = serverOptions();
const require = createRequire(import.meta.url);

const server = new WebSocketServer();
server.on("connection", (connection) => {
  connection.on("message", (message) => void server.broadcast(message));
});
const address = await server.listen({ host, port, backlog: 4096 });
if (typeof address === "string") throw new Error(`expected a port, got ${address}`);
listening(address.port, `tungstate ${versionOf(require.resolve("tungstate/package.json"))}`);
