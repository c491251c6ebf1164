import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join } from "node:path";
import process from "node:process";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { type WebSocketConnection, WebSocketServer } from "tungstate";

const cli = dirname(fileURLToPath(import.meta.resolve("@tungstate/cli/package.json")));

/** `tungstate serve` as a separate process. */
export class Served implements AsyncDisposable {
  private running: { readonly child: ChildProcess; readonly url: string } | undefined;

  static async start(port = 0, ...flags: readonly string[]): Promise<Served> {
    const served = new Served();
    await served.start(port, flags);
    return served;
  }

  /** Returns the server of the tests of a file. It starts before them and ends behind them. */
  static forTests(...flags: readonly string[]): Served {
    const served = new Served();
    before(() => served.start(0, flags));
    after(() => served.stop("SIGKILL"));
    return served;
  }

  private async start(port: number, flags: readonly string[]): Promise<void> {
    const args = ["serve", "--port", String(port), "--log-level", "warn", ...flags];
    const child = spawn(process.execPath, [join(cli, "bin/tungstate.js"), ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit").then(() => Promise.reject(new Error("the server did not start")));
    const line = once(child.stdout, "data").then(([data]) => String(data));
    const [, url] = /^listening on (\S+)\n/.exec(await Promise.race([line, ended])) ?? [];
    if (url === undefined) throw new Error("the server said something else");
    ended.catch(() => undefined);
    this.running = { child, url };
  }

  get url(): string {
    if (this.running === undefined) throw new Error("the server starts before the first test");
    return this.running.url;
  }

  /** URL of the chat over `/ws`. */
  get broadcast(): string {
    return `${this.url}/#/broadcast`;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  signal(signal: NodeJS.Signals): void {
    this.running?.child.kill(signal);
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.running?.child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop("SIGKILL");
  }
}

const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** Serves the page with another server behind one of its WebSockets, controlled by the test. */
export async function pageWith(
  onConnection: (connection: WebSocketConnection) => void,
  path: "/ws" | "/connection/websocket" = "/ws",
): Promise<{ readonly url: string; readonly server: WebSocketServer } & AsyncDisposable> {
  const http = createServer((request, response) => {
    const name = request.url === "/" ? "/index.html" : (request.url ?? "");
    readFile(join(cli, "public", name)).then(
      (file) => response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "" }).end(file),
      () => response.writeHead(404).end(),
    );
  });
  const server = new WebSocketServer().attach(http, { path });
  server.on("connection", onConnection);
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const address = http.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}/${path === "/ws" ? "#/broadcast" : ""}`,
    server,
    async [Symbol.asyncDispose]() {
      await server.close(1001, "", 100);
      const closed = once(http, "close");
      http.close();
      http.closeAllConnections();
      await closed;
    },
  };
}
