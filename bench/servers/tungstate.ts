import { createRequire } from "node:module";
import { WebSocketServer } from "tungstate";
import { burster, listening, MAX_MESSAGE, parseBurst, readTls, serverOptions, versionOf } from "./contract.ts";

const { host, port, deflate, tls } = serverOptions();
const require = createRequire(import.meta.url);

// Default options, except for the frame size that the row of 16 MiB requires.
const server = new WebSocketServer({ maxFrameSize: MAX_MESSAGE, ...(deflate ? { compression: true } : {}) });

/** The message of an echo is not used afterwards. */
const DONE_WITH = { transfer: true };

server.on("connection", (connection, request) => {
  if (request.path === "/broadcast") {
    connection.on("message", (message) => void server.broadcast(message));
  } else if (request.path === "/burst") {
    connection.on("message", (message) => {
      const burst = parseBurst(message.text);
      if (burst === undefined) return;
      const more = burster(burst.count, () => {
        if (connection.write(burst.payload)) return true;
        connection.once("drain", more);
        return false;
      });
      more();
    });
  } else connection.on("message", (message) => void connection.write(message, DONE_WITH));
});

const address = await server.listen({ host, port, backlog: 4096, ...(tls === undefined ? {} : { tls: readTls(tls) }) });
if (typeof address === "string") throw new Error(`expected a port, got ${address}`);
listening(address.port, `tungstate ${versionOf(require.resolve("tungstate/package.json"))}`);
