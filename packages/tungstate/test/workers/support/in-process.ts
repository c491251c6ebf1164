// What workerd gives a Worker, in this process: WebSocketPair, responses with a webSocket, and a
// Durable Object. It behaves as workerd does in the tests of `npm run test:runtimes -- workerd`,
// which run the same suite.
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { TestContext } from "node:test";
import type { WebSocketConnection } from "../../../src/connection/types.ts";
import { WebSocketServer } from "../../../src/server/server.ts";
import type { ServerSocket } from "../../../src/workers/index.ts";
import type { WorkerPlatform } from "./suite.ts";
import { Room, worker } from "./worker.ts";

/** Where the events of a socket go. */
interface Target {
  message(data: string | ArrayBuffer): void;
  close(code: number, reason: string, wasClean: boolean): void;
}

class PairSocket extends EventTarget implements ServerSocket {
  readyState = 1;
  binaryType = "blob"; // the default of new compatibility dates
  protocol = "";
  readonly extensions = "";
  #connection: WebSocketConnection | undefined;
  #target: Target | undefined;
  /** Calls before the response was sent. */
  readonly #early: (() => void)[] = [];
  #earlySize = 0;

  get bufferedAmount(): number {
    return this.#connection?.bufferedAmount ?? this.#earlySize;
  }

  accept(): void {
    this.deliverTo({
      message: (data) => this.dispatchEvent(new MessageEvent("message", { data: this.#received(data) })),
      close: (code, reason, wasClean) =>
        this.dispatchEvent(Object.assign(new Event("close"), { code, reason, wasClean })),
    });
  }

  #received(data: string | ArrayBuffer): string | ArrayBuffer | Blob {
    return typeof data === "string" || this.binaryType === "arraybuffer" ? data : new Blob([data]);
  }

  deliverTo(target: Target): void {
    this.#target = target;
    this.#start();
  }

  bind(connection: WebSocketConnection): void {
    this.#connection = connection;
    for (const call of this.#early.splice(0)) call();
    this.#start();
  }

  #start(): void {
    const connection = this.#connection;
    const target = this.#target;
    if (connection === undefined || target === undefined) return;
    connection.on("message", (message) => {
      target.message(message.type === "text" ? message.text : message.bytes.slice().buffer);
    });
    connection.on("close", ({ code, reason, clean }) => {
      if (this.readyState === 1 && clean) this.readyState = 2;
      target.close(code, reason, clean);
      this.readyState = 3;
    });
  }

  send(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer>): void {
    if (this.readyState !== 1) throw new TypeError("Can't call WebSocket send() after close().");
    // a copy, as the platform makes one
    const copy = typeof data === "string" ? data : data instanceof ArrayBuffer ? data.slice(0) : bytesOf(data);
    if (this.#connection === undefined) this.#earlySize += copy instanceof ArrayBuffer ? copy.byteLength : copy.length;
    this.#now(() => this.#connection?.write(copy));
  }

  close(code?: number, reason?: string): void {
    if (this.readyState > 1) return;
    this.readyState = 2;
    this.#now(() => void this.#connection?.close(code, reason));
  }

  #now(call: () => void): void {
    if (this.#connection === undefined) this.#early.push(call);
    else call();
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength).slice();

/** The 101 of Node.js's Response class is an error; that of workerd carries a socket. */
class WorkerResponse extends Response {
  readonly webSocket: PairSocket | undefined;
  readonly upgradeHeaders: Headers;

  constructor(body: string | null, init: ResponseInit & { readonly webSocket?: PairSocket } = {}) {
    super(body, { ...init, status: init.status === 101 ? 200 : (init.status ?? 200) });
    this.webSocket = init.webSocket;
    this.upgradeHeaders = new Headers(init.headers);
  }
}

/** A Durable Object that can be evicted from memory while its sockets stay open. */
class Place {
  readonly #sockets = new Set<PairSocket>();
  #room: Room | undefined;

  get room(): Room {
    return (this.#room ??= new Room({
      acceptWebSocket: (given) => {
        const socket = given as unknown as PairSocket;
        this.#sockets.add(socket);
        socket.deliverTo({
          message: (data) => this.room.webSocketMessage(socket, data),
          close: (...args) => {
            this.#sockets.delete(socket);
            this.room.webSocketClose(socket, ...args);
          },
        });
      },
      getWebSockets: () => [...this.#sockets],
    }));
  }

  evict(): void {
    this.#room = undefined;
  }
}

/** Runs the Worker of the tests. Ends with the test. */
export async function inProcess(t: TestContext): Promise<WorkerPlatform> {
  const globals = globalThis as Record<string, unknown>;
  const before = { Response: globals["Response"], WebSocketPair: globals["WebSocketPair"] };
  Object.assign(globals, {
    Response: WorkerResponse,
    WebSocketPair: function () {
      const socket = new PairSocket();
      return { 0: socket, 1: socket };
    },
  });
  const places = new Map<unknown, Place>();
  const env = {
    ROOM: {
      idFromName: (name: string) => name,
      get(id: unknown) {
        const place = places.get(id) ?? new Place();
        places.set(id, place);
        return { fetch: (request: Request) => place.room.fetch(request) };
      },
    },
  };
  const servers: WebSocketServer[] = [];
  const ask = async (request: IncomingMessage): Promise<WorkerResponse> => {
    const headers = new Headers();
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
      headers.append(request.rawHeaders[at] ?? "", request.rawHeaders[at + 1] ?? "");
    }
    const given = new Request(`http://${request.headers.host}${request.url}`, { headers });
    // Node.js drops the field Host of a Request
    return (await worker.fetch(given, env)) as WorkerResponse;
  };
  const http = createServer((request, response) => {
    void ask(request).then(async (answer) => {
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
    });
  });
  const onUpgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const answer = await ask(request);
    const { webSocket, upgradeHeaders } = answer;
    if (webSocket === undefined) {
      socket.end(`HTTP/1.1 ${answer.status} X\r\nConnection: close\r\n\r\n${await answer.text()}`);
      return;
    }
    const protocol = upgradeHeaders.get("sec-websocket-protocol");
    upgradeHeaders.delete("sec-websocket-protocol");
    const server = new WebSocketServer({ origin: "any", ...(protocol === null ? {} : { protocols: [protocol] }) });
    servers.push(server);
    webSocket.protocol = protocol ?? "";
    const connection = await server.handleUpgrade(request, socket, head, [...upgradeHeaders]);
    if (connection !== undefined) webSocket.bind(connection);
  };
  http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => void onUpgrade(request, socket, head));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  t.after(async () => {
    for (const server of servers) for (const connection of server.connections) connection.terminate();
    http.closeAllConnections();
    http.close();
    Object.assign(globals, before);
  });
  return {
    port: (http.address() as AddressInfo).port,
    evict: () => {
      for (const place of places.values()) place.evict();
    },
  };
}
