// A separate process, because it exhausts its file descriptors on request: an echo server.

import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { WebSocketServer } from "tungstate";

const server = new WebSocketServer();
server.on("connection", (connection) => connection.on("message", (message) => connection.write(message)));
server.on("error", (error) => process.send?.({ error: Reflect.get(Object(error), "code") }));
const address = await server.listen();

const taken: number[] = [];

function takeAll(): void {
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch (error) {
    process.send?.({ full: Reflect.get(Object(error), "code") });
  }
}

process.on("message", (what) => {
  if (what === "take") takeAll();
  else if (what === "give") {
    for (const descriptor of taken.splice(0)) closeSync(descriptor);
    process.send?.({ free: true });
  } else {
    void server.close().then(() => process.disconnect());
  }
});
process.send?.({ port: typeof address === "string" ? 0 : address.port });
