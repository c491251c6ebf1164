import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo } from "node:net";
import { join, normalize } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { type RawData, type WebSocket, WebSocketServer } from "ws";

/** A request for a WebSocket, and what answers it. */
interface Request {
  readonly message: IncomingMessage;
  readonly query: URLSearchParams;
  readonly protocols: readonly string[];
  readonly socket: Duplex;
}

/** What a path of the tests does: chooses a subprotocol, then talks to the client. */
interface Handler {
  readonly protocol?: (request: Request) => string | false;
  /** Header fields of the response, whatever was requested. */
  readonly headers?: readonly string[];
  /** Runs before the handshake. False: `refuse` has answered. */
  readonly before?: (request: Request) => Promise<boolean> | boolean;
  readonly talk?: (client: WebSocket, request: Request) => unknown;
}

const echo = (client: WebSocket): void => {
  client.on("message", (data, isBinary) => {
    client.send(data, { binary: isBinary });
    if (!isBinary && textOf(data) === "Goodbye") client.close(1000);
  });
};
/** By default ws gives each message as a Buffer. */
const textOf = (data: RawData): string => (data as Buffer).toString();
const onlyEcho = ({ protocols }: Request): string | false => (protocols.includes("echo") ? "echo" : false);
const first = ({ protocols }: Request): string | false => protocols[0] ?? false;

const LARGE = 16 * 1024 * 1024; // bytes, more than systems buffer

/** The handlers of the tests that need no browser, by their paths. */
const HANDLERS: Readonly<Record<string, Handler>> = {
  echo: { protocol: onlyEcho, talk: echo },
  echo_exit: { talk: (client) => client.once("message", () => client.close()) },
  "echo-query": { talk: (client, { message }) => client.send((message.url ?? "").split("?")[1] ?? "") },
  echo_raw: { talk: echo },
  basic_auth: {
    before({ message, socket }) {
      const isRight = message.headers.authorization === `Basic ${Buffer.from("foo:bar").toString("base64")}`;
      if (!isRight) socket.end('HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="camelot"\r\n\r\n');
      return isRight;
    },
    talk: echo,
  },
  protocol: { protocol: first, talk: (client) => client.send(client.protocol) },
  protocol_array: { protocol: first, talk: (client) => client.send(client.protocol) },
  handshake_protocol: { headers: ["Sec-WebSocket-Protocol: foobar"] },
  handshake_no_protocol: {},
  handshake_no_extensions: {},
  handshake_sleep_2: { before: () => sleep(2000).then(() => true) },
  sleep_10_v13: { before: () => sleep(10_000).then(() => true) },
  origin: { talk: (client, { message }) => client.send(message.headers.origin ?? "") },
  referrer: { talk: (client, { message }) => client.send(message.headers.referer ?? "MISSING AS PER FETCH") },
  "empty-message": {
    talk: (client) => client.on("message", (data) => client.send(textOf(data) === "" ? "pass" : "fail")),
  },
  invalid: { talk: (_client, { socket }) => socket.end(Buffer.from([0x83, 0])) },
  wrong_accept_key: {
    before({ socket }) {
      const wrong = createHash("sha1").update("wrong").digest("base64");
      socket.end(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${wrong}\r\n\r\n`,
      );
      return false;
    },
  },
  "delayed-passive-close": {
    talk(client) {
      // ws answers a Close by this method
      const close = client.close.bind(client);
      client.close = (code, reason) => void setTimeout(() => close(code, reason), 1000);
    },
  },
  "passive-close-abort": { talk: (client, { socket }) => client.on("message", () => socket.destroy()) },
  "remote-close": {
    talk(client, { query, socket }) {
      const code = query.get("code");
      if (query.get("abrupt") === "1") {
        client.once("message", () => socket.destroy());
        if (code === null) socket.destroy();
        return;
      }
      client.close(code === null ? undefined : Number(code), query.get("reason") ?? undefined);
    },
  },
  "send-backpressure": {
    async talk(client) {
      client.send("");
      const start = performance.now();
      await new Promise((resolve) => client.send(" ".repeat(LARGE), resolve));
      client.send(String((performance.now() - start) / 1000));
      client.close();
    },
  },
  "receive-backpressure": {
    async talk(client) {
      client.pause();
      await sleep(2000);
      client.resume();
    },
  },
  "receive-many-with-backpressure": {
    talk(client) {
      client.on("message", (data) => {
        client.pause();
        setTimeout(() => client.resume(), 100);
        client.send(textOf(data));
      });
    },
  },
};

/** The servers of a run: files over HTTP, and WebSockets over ws: and wss:. */
export class TestServers implements AsyncDisposable {
  readonly #servers: readonly Server[];
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: 256 * 1024 * 1024,
    handleProtocols: (_protocols, message) => {
      const request = this.#requests.get(message);
      return request === undefined
        ? false
        : (HANDLERS[request.query.get("handler") ?? ""]?.protocol?.(request) ?? false);
    },
  });
  readonly #requests = new WeakMap<IncomingMessage, Request>();
  readonly #stash = new Map<string, string>();
  readonly #folder: string;

  private constructor(folder: string, tls: { readonly key: string; readonly cert: string }) {
    this.#folder = folder;
    const files = (message: IncomingMessage, response: ServerResponse): void => void this.#file(message, response);
    this.#servers = [createServer(files), createHttpsServer(tls, files)];
    this.#webSockets.on("headers", (headers, message) => {
      headers.push(...(HANDLERS[this.#requests.get(message)?.query.get("handler") ?? ""]?.headers ?? []));
    });
    for (const server of this.#servers) {
      server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
        void this.#upgrade(message, socket, head);
      });
    }
  }

  static async start(folder: string, tls: { readonly key: string; readonly cert: string }): Promise<TestServers> {
    const servers = new TestServers(folder, tls);
    for (const server of servers.#servers) await once(server.listen(0, "localhost"), "listening");
    return servers;
  }

  /** Ports of ws: and wss:. */
  get ports(): readonly [number, number] {
    const [ws = 0, wss = 0] = this.#servers.map((server) => (server.address() as AddressInfo).port);
    return [ws, wss];
  }

  async #upgrade(message: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => undefined); // tests break connections
    const url = new URL(message.url ?? "/", "http://localhost");
    const name = url.pathname.slice(1);
    const handler = Object.hasOwn(HANDLERS, name) ? HANDLERS[name] : undefined;
    if (handler === undefined) {
      socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
      return;
    }
    const query = url.searchParams;
    query.set("handler", name);
    const protocols = (message.headers["sec-websocket-protocol"] ?? "").split(",").map((each) => each.trim());
    const request = { message, query, protocols: protocols.filter((each) => each !== ""), socket };
    this.#requests.set(message, request);
    if (handler.before !== undefined && !(await handler.before(request))) return;
    if (socket.destroyed) return;
    this.#webSockets.handleUpgrade(message, socket, head, (client) => {
      client.on("error", () => undefined);
      void handler.talk?.(client, request);
    });
  }

  async #file(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? "/", "http://localhost");
    const key = url.searchParams.get("key") ?? "";
    if (url.pathname.endsWith("/stash-put.py")) {
      this.#stash.set(key, url.searchParams.get("value") ?? "");
      response.end("OK");
    } else if (url.pathname.endsWith("/stash-take.py")) {
      const value = this.#stash.get(key) ?? null;
      this.#stash.delete(key);
      response.end(JSON.stringify(value));
    } else {
      try {
        response.end(await readFile(join(this.#folder, normalize(`/${decodeURIComponent(url.pathname)}`))));
      } catch {
        response.writeHead(404).end();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#webSockets.clients) client.terminate();
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }
}
