import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

const RETRY = 20; // ms
const LATEST_START = 20_000; // ms

/**
 * A redis-server on a free port in its own folder. It writes nothing to disk and ends with this
 * process.
 */
export class Redis {
  readonly url: string;
  private readonly port: number;
  private readonly child: ChildProcess;
  private readonly folder: string;

  private constructor(port: number, folder: string, options: readonly string[]) {
    this.port = port;
    this.url = `redis://127.0.0.1:${port}`;
    this.folder = folder;
    const own = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"];
    this.child = spawn("redis-server", [...own, ...options], { stdio: "ignore" });
    process.once("exit", this.end);
  }

  private readonly end = (): void => void this.child.kill("SIGKILL");

  /** `options`: as on the command line of redis-server. */
  static async start(...options: readonly string[]): Promise<Redis> {
    const redis = new Redis(await freePort(), mkdtempSync(join(tmpdir(), "tungstate-redis-")), options);
    const failed = once(redis.child, "error").then(([error]) => Promise.reject(error as Error));
    failed.catch(() => undefined);
    const latest = performance.now() + LATEST_START;
    for (;;) {
      const isThere = await Promise.race([redis.command("PING").then(isPong, () => false), failed]);
      if (isThere) return redis;
      if (performance.now() > latest || redis.child.exitCode !== null) throw new Error("redis-server does not start");
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }

  /** Sends one command on a separate connection. Returns the first line of the reply. */
  async command(...words: readonly string[]): Promise<string> {
    const socket = connect(this.port, "127.0.0.1");
    try {
      await once(socket, "connect");
      socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`);
      const [reply] = (await once(socket, "data")) as [Buffer];
      return reply.toString().split("\r\n")[0] ?? "";
    } finally {
      socket.destroy();
    }
  }

  /** Stops it with its connections open, or continues it. */
  freeze(frozen: boolean): void {
    this.child.kill(frozen ? "SIGSTOP" : "SIGCONT");
  }

  async stop(): Promise<void> {
    process.off("exit", this.end);
    const exited = once(this.child, "exit");
    this.end();
    if (this.child.exitCode === null && this.child.signalCode === null) await exited;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function isPong(reply: string): boolean {
  return reply === "+PONG";
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
