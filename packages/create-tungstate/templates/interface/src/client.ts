// A client that connects through one network interface, and connects again when it is lost.
//    npm start                                            lists interfaces, and tries the loopback
//    npm start -- wss://example.com/ --interface eth0     sends lines of the terminal
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { connect, listInterfaces, reconnecting, WebSocketServer } from "tungstate";

const { values, positionals } = parseArgs({
  options: {
    interface: { type: "string", multiple: true },
    "bind-to-device": { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const [url] = positionals;
if (url === undefined) {
  printInterfaces();
  await tryLoopback();
} else {
  talk(url);
}

function printInterfaces(): void {
  for (const { name, up, internal, addresses } of listInterfaces()) {
    const kind = internal ? "loopback" : up ? "up" : "down";
    console.log(`${name} (${kind}): ${addresses.map(({ address }) => address).join(", ")}`);
  }
}

/** Connects to a server of its own through the loopback interface. */
async function tryLoopback(): Promise<void> {
  const loopback = listInterfaces().find(({ internal, up }) => internal && up);
  if (loopback === undefined) return;
  const server = new WebSocketServer();
  server.on("connection", (connection, request) => connection.write(`you come from ${request.remoteAddress}`));
  const address = await server.listen({ port: 0, host: "127.0.0.1" });
  if (typeof address === "string") throw new Error("the server has no port");
  const connection = await connect(`ws://127.0.0.1:${address.port}`, { interface: loopback.name });
  for await (const message of connection) {
    console.log(`through ${connection.route?.interface ?? "?"}: ${message.text}`);
    break;
  }
  await connection.close();
  await server.close();
}

function talk(server: string): void {
  const connection = reconnecting(server, {
    // Several interfaces are tried in order. "race" starts the next one early.
    ...(values.interface === undefined ? {} : { interface: values.interface }),
    // Linux only, with the package koffi: packets never leave through another interface.
    bindToDevice: values["bind-to-device"],
  });
  connection.on("open", ({ route }) => {
    console.error(`connected from ${route?.localAddress ?? "?"} on ${route?.interface ?? "?"}`);
  });
  connection.on("waiting", ({ delay, after }) => {
    const reason = after.type === "failed" ? String(after.error) : `closed with ${after.info.code}`;
    console.error(`${reason}; next attempt in ${Math.ceil(delay / 1000)} s`);
  });
  connection.on("message", (message) => console.log(message.text));
  connection.on("error", (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => connection.write(line));
  lines.on("close", () => void connection.close());
}
