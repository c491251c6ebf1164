// The program of the tests: a Worker with a Durable Object for each route. It runs in workerd, and
// in this process with the platform of ./in-process.ts.
import {
  accept,
  Hibernation,
  type ServerSocket,
  upgrade,
  type WorkerConnection,
  type WorkerConnectionOptions,
} from "../../../src/workers/index.ts";

/** The state of a Durable Object. */
interface State {
  acceptWebSocket(socket: never, tags?: string[]): void;
  getWebSockets(tag?: string): readonly unknown[];
}

interface Namespace {
  idFromName(name: string): unknown;
  get(id: unknown): { fetch(request: Request): Promise<Response> };
}

export interface Env {
  readonly ROOM: Namespace;
}

/** What has happened to the connections of a path, for the tests. */
const log: string[] = [];

const OPTIONS: Readonly<Record<string, WorkerConnectionOptions>> = {
  "/full": { receiveQueueSize: 1000 },
  "/unanswered": { closeTimeout: 50 },
};

function report(connection: WorkerConnection): void {
  connection.on("error", (error) => log.push(`error ${error.code}`));
  connection.on("close", ({ code, reason, clean }) => log.push(`close ${code} ${JSON.stringify(reason)} ${clean}`));
}

async function iterate(connection: WorkerConnection): Promise<void> {
  for await (const message of connection) {
    if (message.text === "stop") break;
    await connection.send(message);
  }
  await connection.close(4002, "enough");
}

/** Sends as fast as there is room, and reports how often it had to wait. */
async function flood(connection: WorkerConnection): Promise<void> {
  let waits = 0;
  for (let count = 0; count < 64; count++) {
    if (!connection.write(new Uint8Array(64 * 1024))) {
      waits++;
      await connection.flush();
    }
  }
  await connection.flush();
  log.push(`waited ${waits > 0}`, `buffered ${connection.bufferedAmount}`);
  await connection.close();
}

const HANDLERS: Readonly<Record<string, (connection: WorkerConnection) => unknown>> = {
  "/echo": (connection) => connection.on("message", (message) => connection.write(message)),
  "/iterate": iterate,
  "/flood": flood,
  "/full": () => undefined,
  "/throws": (connection) =>
    connection.on("message", () => {
      throw new Error("the listener failed");
    }),
  "/rejects": (connection) =>
    connection.on("message", async () => {
      await Promise.resolve();
      throw new Error("the listener failed");
    }),
  "/terminate": (connection) => connection.on("message", () => connection.terminate()),
  "/late": (connection) => {
    connection.pause();
    setTimeout(() => connection.on("message", (message) => connection.write(message)), 20);
    setTimeout(() => connection.resume(), 40);
  },
  "/close": (connection) =>
    connection.on("message", (message) => {
      const { code, reason } = message.json<{ code: number; reason: string }>();
      void connection.close(code, reason);
    }),
  "/unanswered": (connection) => connection.on("message", () => void connection.close()),
  "/ended": (connection) => {
    void connection.closed.then(async () => {
      const sent = await connection.send("x").catch((error: { code: string }) => error.code);
      const flushed = await connection.flush().catch((error: { code: string }) => error.code);
      log.push(`after the end: ${connection.write("x")} ${String(sent)} ${String(flushed)} ${connection.state}`);
    });
  },
};

/** All connections of a room get each message of one. */
export class Room {
  readonly #connections = new Set<WorkerConnection>();
  readonly #hibernation: Hibernation;

  constructor(state: State) {
    this.#hibernation = new Hibernation(state, (connection) => {
      report(connection);
      connection.on("message", (message) => {
        if (message.text === "stats") connection.write(JSON.stringify(connection.stats));
        else for (const each of this.#hibernation.connections()) each.write(message);
      });
    });
  }

  async fetch(request: Request): Promise<Response> {
    const { response, socket } = upgrade(request);
    if (socket === undefined) return response;
    if (new URL(request.url).pathname === "/hibernating") {
      this.#hibernation.accept(socket);
      return response;
    }
    const connection = accept(socket);
    report(connection);
    this.#connections.add(connection);
    connection.on("close", () => this.#connections.delete(connection));
    connection.on("message", (message) => {
      for (const each of this.#connections) each.write(message);
    });
    return response;
  }

  webSocketMessage(socket: ServerSocket, data: string | ArrayBuffer): void {
    this.#hibernation.message(socket, data);
  }

  webSocketClose(socket: ServerSocket, code: number, reason: string, wasClean: boolean): void {
    this.#hibernation.close(socket, code, reason, wasClean);
  }

  webSocketError(socket: ServerSocket, error: unknown): void {
    this.#hibernation.error(socket, error);
  }
}

export const worker = {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/log") return Response.json(log.splice(0));
    if (pathname === "/room" || pathname === "/hibernating") {
      return env.ROOM.get(env.ROOM.idFromName(pathname)).fetch(request);
    }
    if (pathname === "/arguments") return Response.json(wrongArguments());
    const { response, socket } = upgrade(request, {
      protocols: ["two", "one"],
      headers: { "x-test": "yes" },
      ...(pathname === "/other-origins" ? { origin: ["https://other.example"] } : {}),
    });
    if (socket === undefined) return response;
    const connection = accept(socket, OPTIONS[pathname] ?? {});
    report(connection);
    void HANDLERS[pathname]?.(connection);
    return response;
  },
};

/** What each wrong argument throws, as `name code message`. */
function wrongArguments(): string[] {
  const request = new Request("http://x/");
  const state: State = { acceptWebSocket: () => undefined, getWebSockets: () => [] };
  const calls: readonly (() => unknown)[] = [
    () => accept({} as ServerSocket),
    () => accept(undefined as never),
    () => accept({ accept() {} } as unknown as ServerSocket, { closeTimeout: 0 }),
    () => accept({ accept() {} } as unknown as ServerSocket, { writeBufferSize: -1 }),
    () => accept({ accept() {} } as unknown as ServerSocket, { receiveQueueSize: "1" as never }),
    () => accept({ accept() {} } as unknown as ServerSocket, { closeTimeot: 1 } as object),
    () => upgrade(request, { protocols: "one" as never }),
    () => upgrade(request, { origin: "all" as never }),
    () => upgrade(request, { origins: [] } as object),
    () => new Hibernation(state, undefined as never),
    () => new Hibernation(state, () => undefined, { closeTimeout: Infinity }),
    () => new Hibernation(state, () => undefined).accept({} as ServerSocket),
  ];
  return calls.map((call) => {
    try {
      call();
      return "nothing";
    } catch (error) {
      const { name, code, message } = error as Error & { code?: string };
      return `${name} ${code ?? ""} ${message}`;
    }
  });
}
