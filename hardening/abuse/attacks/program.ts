import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { type WebSocketConnection, WebSocketServer } from "tungstate";
import type { Attack } from "./attack.ts";
import { forever } from "./peers.ts";

const BIN = join(dirname(createRequire(import.meta.url).resolve("@tungstate/cli/package.json")), "bin", "tungstate.js");

/**
 * Connects `tungstate connect` to a server that does this with each connection; again and again. It
 * is watched as the server is.
 */
async function serveConnect(onConnection: (socket: WebSocketConnection) => void): Promise<void> {
  const server = new WebSocketServer({ compression: true });
  server.on("connection", (socket) => {
    socket.on("message", () => undefined);
    onConnection(socket);
  });
  const address = await server.listen({ port: 0 });
  const port = typeof address === "object" ? address.port : 0;
  const args = [...process.execArgv.filter((each) => each.includes("watch.mjs")), BIN, "connect", "--compress"];
  await forever(1, async () => {
    const child = spawn(process.execPath, [...args, `ws://127.0.0.1:${port}/`], { stdio: ["pipe", "pipe", "ignore"] });
    child.stdout.resume();
    await new Promise((resolve) => child.once("close", resolve));
  });
}

/** Attacks on `tungstate connect`. */
export const PROGRAM_ATTACKS: readonly Attack[] = [
  {
    name: "connect",
    what: "a server that sends tungstate connect 60 MiB of U+0001 in 61 KB",
    run: () =>
      serveConnect((socket) => void socket.send("\u0001".repeat(60 * 1024 * 1024)).then(() => socket.close(1000))),
  },
  {
    name: "connect to a flood",
    what: "a server that sends tungstate connect 300,000 messages of a byte, and pings",
    run: () =>
      serveConnect((socket) => {
        void (async () => {
          for (let count = 0; count < 300_000; count++) {
            if (count % 1_000 === 0) void socket.ping();
            if (!socket.write("\u0007")) await socket.flush();
          }
          await socket.close(4000, "\u001b[31m");
        })().catch(() => undefined);
      }),
  },
];
