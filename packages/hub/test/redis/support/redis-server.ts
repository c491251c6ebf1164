import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Redis } from "ioredis";
import { until } from "../../support/until.ts";

/** Returns a free TCP port. */
export async function freePort(): Promise<number> {
  // below the ephemeral ports, with room for a cluster's bus (10,000 above)
  for (let tries = 0; tries < 100; tries++) {
    const port = 10_000 + Math.floor(Math.random() * 12_000);
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port;
  }
  throw new Error("no free port was found");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

const ELAPSE = `
local ms = tonumber(ARGV[2])
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  if redis.call('TYPE', key).ok == 'zset' then
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, -ms, member) end
  end
  local ttl = redis.call('PTTL', key)
  if ttl > ms then redis.call('PEXPIRE', key, ttl - ms) elseif ttl > 0 then redis.call('DEL', key) end
end`;

/** None may outlive its test, however that ends. */
const running = new Set<RedisServer>();
process.once("exit", () => {
  for (const server of running) server.end();
});

/** A redis-server for one test in its own folder. */
export class RedisServer {
  readonly port: number;
  private readonly folder: string;
  private readonly args: readonly string[];
  private readonly sentinel: string | undefined;
  private child: ChildProcess | undefined;
  private log = "";

  private constructor(port: number, args: readonly string[], sentinel: string | undefined) {
    this.port = port;
    this.folder = mkdtempSync(join(tmpdir(), "tungstate-redis-"));
    this.args = args;
    this.sentinel = sentinel;
  }

  /** `args` as on the command line of redis-server. By default nothing is written to disk. */
  static async start(...args: readonly string[]): Promise<RedisServer> {
    for (let tries = 1; ; tries++) {
      const server = new RedisServer(await freePort(), args, undefined);
      try {
        await server.run();
        return server;
      } catch (error) {
        server.end();
        if (tries === 3) throw error; // the port may have been taken meanwhile
      }
    }
  }

  /** Starts a sentinel with this configuration. */
  static async startSentinel(configuration: string): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), [], configuration);
    await server.run();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Starts it, or restarts it with the contents of its folder. */
  async run(): Promise<void> {
    const common = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.folder];
    let args = [...common, "--save", "", "--appendfsync", "no", ...this.args];
    if (this.sentinel !== undefined) {
      const file = join(this.folder, "sentinel.conf");
      writeFileSync(file, this.sentinel);
      args = [file, "--sentinel", ...common];
    }
    running.add(this);
    const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    child.stdout.on("data", (chunk: Buffer) => (this.log += chunk.toString()));
    const ended = new Promise<never>((_, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`redis-server ended with ${code}\n${this.log.slice(-2000)}`)));
    });
    ended.catch(() => undefined);
    await Promise.race([ended, this.isReady()]);
  }

  /** Sends SIGKILL: nothing more is written. */
  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  /** Stops it with its connections open, or continues it. */
  freeze(frozen: boolean): void {
    this.child?.kill(frozen ? "SIGSTOP" : "SIGCONT");
  }

  async stop(): Promise<void> {
    await this.kill();
    this.end();
  }

  /** Sends one command on a separate connection. */
  async command(name: string, ...args: readonly string[]): Promise<unknown> {
    const redis = new Redis({ port: this.port, lazyConnect: true, retryStrategy: () => null });
    let reported: Error | undefined; // more than the rejection contains
    redis.on("error", (error: Error) => (reported ??= error));
    try {
      await redis.connect();
      return await redis.call(name, ...args);
    } catch (error) {
      throw reported ?? error;
    } finally {
      redis.disconnect();
    }
  }

  /** Ages its keys with this prefix by so much; for presence, too. */
  async elapse(ms: number, prefix: string): Promise<void> {
    await this.command("EVAL", ELAPSE, "0", `${prefix}:*`, String(Math.round(ms)));
  }

  private async isReady(): Promise<void> {
    await until("redis-server answers", async () => {
      try {
        return !/^loading:1/m.test(String(await this.command("INFO")));
      } catch (error) {
        // it runs, and requires a password
        return error instanceof Error && error.message.startsWith("NOAUTH");
      }
    });
  }

  /** Kills it and removes its folder. */
  end(): void {
    running.delete(this);
    this.child?.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function replicated(servers: readonly RedisServer[]): Promise<void> {
  const look = (): Promise<(readonly [port: number, info: string])[]> =>
    Promise.all(
      servers.map(async (server) => [server.port, String(await server.command("INFO", "replication"))] as const),
    );
  const number = (info: string, name: string): number => Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1] ?? 0);
  const wanted = new Map((await look()).map(([port, info]) => [port, number(info, "master_repl_offset")]));
  const isBehind = (info: string): boolean =>
    !info.includes("master_link_status:up") ||
    number(info, "slave_repl_offset") < (wanted.get(number(info, "master_port")) ?? 0);
  await until("the replicas have everything", async () =>
    (await look()).every(([, info]) => !info.includes("role:slave") || !isBehind(info)),
  );
}

/** A cluster of primaries, each with replicas. */
export class RedisClusterServers {
  readonly servers: readonly RedisServer[];

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers;
  }

  static async start(primaries: number, replicas = 0): Promise<RedisClusterServers> {
    const count = primaries * (1 + replicas);
    // A slow one must not be considered failed: only dead ones are.
    const args = ["--cluster-enabled", "yes", "--cluster-node-timeout", replicas === 0 ? "30000" : "1000"];
    // a cluster without one primary continues with the other slots
    args.push("--cluster-require-full-coverage", "no");
    const servers = await Promise.all(Array.from({ length: count }, () => RedisServer.start(...args)));
    const cluster = new RedisClusterServers(servers);
    try {
      await cluster.join(primaries);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get url(): string {
    return `redis+cluster://${this.servers.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
  }

  /** Waits until the replicas have all data of their primaries. */
  async replicated(): Promise<void> {
    await replicated(this.servers);
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  private async join(primaries: number): Promise<void> {
    const [first] = this.servers;
    if (first === undefined) return;
    for (const [i, server] of this.servers.entries()) {
      await server.command("CLUSTER", "SET-CONFIG-EPOCH", String(i + 1));
      if (i >= primaries) continue;
      const slots = [i, i + 1].map((n) => Math.floor((16_384 * n) / primaries));
      await server.command("CLUSTER", "ADDSLOTSRANGE", String(slots[0]), String((slots[1] ?? 0) - 1));
    }
    for (const server of this.servers) await server.command("CLUSTER", "MEET", "127.0.0.1", String(first.port));
    await this.until(
      (nodes) => nodes.split("\n").filter((line) => line.includes("connected")).length === this.servers.length,
    );
    for (const [i, server] of this.servers.entries()) {
      if (i < primaries) continue;
      const of = this.servers[i % primaries];
      await server.command("CLUSTER", "REPLICATE", String(await of?.command("CLUSTER", "MYID")));
    }
    await this.until((_nodes, info) => info.includes("cluster_state:ok"));
    for (const server of this.servers.slice(primaries)) {
      await until("a replica has its primary", async () =>
        /^master_link_status:up/m.test(String(await server.command("INFO", "replication"))),
      );
    }
  }

  /** Waits until all servers agree. */
  private async until(isSo: (nodes: string, info: string) => boolean): Promise<void> {
    for (const server of this.servers) {
      await until("the cluster comes together", async () =>
        isSo(String(await server.command("CLUSTER", "NODES")).trim(), String(await server.command("CLUSTER", "INFO"))),
      );
    }
  }
}

/** A primary, its replica, and a sentinel that promotes it. */
export class SentinelServers {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  readonly sentinel: RedisServer;

  private constructor(primary: RedisServer, replica: RedisServer, sentinel: RedisServer) {
    this.primary = primary;
    this.replica = replica;
    this.sentinel = sentinel;
  }

  static async start(): Promise<SentinelServers> {
    const primary = await RedisServer.start("--repl-diskless-sync-delay", "0");
    const replica = await RedisServer.start("--replicaof", "127.0.0.1", String(primary.port));
    const sentinel = await RedisServer.startSentinel(
      [
        `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
        "sentinel down-after-milliseconds main 1000",
        "sentinel failover-timeout main 2000",
      ].join("\n"),
    );
    const servers = new SentinelServers(primary, replica, sentinel);
    await until("the sentinel sees the replica", async () =>
      String(await sentinel.command("SENTINEL", "REPLICAS", "main")).includes("master-link-status,ok"),
    );
    return servers;
  }

  get url(): string {
    return `redis+sentinel://127.0.0.1:${this.sentinel.port}/main`;
  }

  /** Resolves when the replica has all data of the primary. */
  async replicated(): Promise<void> {
    await replicated([this.primary, this.replica]);
  }

  async stop(): Promise<void> {
    await Promise.all([this.primary, this.replica, this.sentinel].map((server) => server.stop()));
  }
}
