// The server: the hub has the channels of the chat, and one port serves the page and the hub.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { attachSocket, Hub, HUB_SUBPROTOCOLS } from "@tungstate/hub";
import { build } from "esbuild";
import { WebSocketServer } from "tungstate";

const host = process.env["HOST"] ?? "127.0.0.1";
const port = Number(process.env["PORT"] ?? 8000);

const MAX_NAME_LENGTH = 32; // characters

const hub = new Hub({
  // Anyone may join under any name. See the hub's option `tokens` for users who sign in.
  authenticate: ({ data }) => ({ user: "", info: { name: nameOf(data) } }),
  namespaces: {
    chat: {
      history: { size: 100, ttl: 24 * 3_600_000 },
      presence: true,
      joinLeave: true,
      subscribe: "anyone",
      publish: "subscribers",
    },
  },
});

/** Returns the name that a client chose. */
function nameOf(data: unknown): string {
  const name = (data as { name?: unknown } | null | undefined)?.name;
  return typeof name === "string" && name.trim() !== "" ? name.trim().slice(0, MAX_NAME_LENGTH) : "anonymous";
}

/** The files of the page by URL path. The script is bundled when the server starts. */
async function loadPage(): Promise<Map<string, { type: string; body: Uint8Array }>> {
  const read = (name: string) => readFile(new URL(`../public/${name}`, import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("browser.ts", import.meta.url))],
    bundle: true,
    format: "esm",
    minify: true,
    write: false,
  });
  return new Map([
    ["/", { type: "text/html; charset=utf-8", body: await read("index.html") }],
    ["/style.css", { type: "text/css; charset=utf-8", body: await read("style.css") }],
    ["/browser.js", { type: "text/javascript; charset=utf-8", body: outputFiles[0]?.contents ?? new Uint8Array() }],
  ]);
}

const page = await loadPage();
const http = createServer((request, response) => {
  const file = page.get((request.url ?? "").split("?")[0] ?? "");
  if (file === undefined) {
    response.writeHead(404).end("not found\n");
    return;
  }
  response.writeHead(200, {
    "content-type": file.type,
    "cache-control": "no-cache",
    // only files of this server, no inline script, and connections to this server only
    "content-security-policy":
      "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
  });
  response.end(file.body);
});

const server = new WebSocketServer({
  path: "/connection/websocket",
  protocols: HUB_SUBPROTOCOLS,
  maxMessageSize: hub.limits.messageSize,
  // Pages of other origins are rejected by default. This also rejects pages whose name resolves to
  // this machine (DNS rebinding). On another address, list the names of your server.
  allowedHosts: host === "127.0.0.1" ? ["localhost", "127.0.0.1"] : "any",
});
server.on("connection", (socket, request) => attachSocket(hub, socket, request));

await hub.start();
const address = await server.listen({ host, port, http });
console.log(`listening on http://${host}:${typeof address === "string" ? port : address.port}`);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    void hub.close().then(() => server.close(1001, "the server stops", 5_000));
  });
}
