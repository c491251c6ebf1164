// Run by Deno.
import { burster, BURST_WAITING, listening, parseBurst, readTls, serverOptions } from "./contract.ts";

interface DenoSocket extends EventTarget {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly readyState: number;
  send(data: string | ArrayBuffer | Uint8Array): void;
}

declare const Deno: {
  readonly version: { readonly deno: string };
  serve(
    options: { hostname: string; port: number; key?: string; cert?: string; onListen(where: { port: number }): void },
    handler: (request: Request) => Response,
  ): void;
  upgradeWebSocket(request: Request): { readonly socket: DenoSocket; readonly response: Response };
};

const OPEN = 1;
const BURST_PAUSE = 1; // ms between looks at bufferedAmount: there is no event for it

const { host, port, tls } = serverOptions();
const everyone = new Set<DenoSocket>();

function onMessage(socket: DenoSocket, path: string, data: string | ArrayBuffer): void {
  if (path === "/echo") socket.send(data);
  else if (path === "/broadcast" || path === "/ws") {
    for (const each of everyone) if (each.readyState === OPEN) each.send(data);
  } else if (typeof data === "string") answerBurst(socket, data);
}

function answerBurst(socket: DenoSocket, text: string): void {
  const burst = parseBurst(text);
  if (burst === undefined) return;
  const more = burster(burst.count, () => {
    socket.send(burst.payload);
    if (socket.bufferedAmount < BURST_WAITING) return true;
    setTimeout(more, BURST_PAUSE);
    return false;
  });
  more();
}

Deno.serve(
  {
    hostname: host,
    port,
    ...(tls === undefined ? {} : readTls(tls)),
    onListen: (where) => listening(where.port, `Deno ${Deno.version.deno}`),
  },
  (request) => {
    if (request.headers.get("upgrade") !== "websocket") return new Response("this is a WebSocket", { status: 426 });
    const { socket, response } = Deno.upgradeWebSocket(request);
    const path = new URL(request.url).pathname;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", (event) =>
      onMessage(socket, path, (event as Event & { readonly data: string | ArrayBuffer }).data),
    );
    if (path !== "/broadcast" && path !== "/ws") return response;
    everyone.add(socket);
    socket.addEventListener("close", () => everyone.delete(socket));
    return response;
  },
);
