import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { RedisClusterServers, RedisServer, SentinelServers } from "../redis/support/redis-server.ts";
import { TcpProxy } from "../redis/support/tcp-proxy.ts";
import { ModelClient } from "./client.ts";
import { Record } from "./model.ts";
import { Publisher } from "./publisher.ts";
import { Random } from "./random.ts";

const NODE = fileURLToPath(new URL("node.mjs", import.meta.url));
/** Publications kept for each channel: more than are published while a client is away. */
const HISTORY_SIZE = 5_000;

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly clients: number;
  readonly channels: number;
  /** In total. */
  readonly publications: number;
  /** Per second. */
  readonly rate: number;
  /** Of connections to Redis, in ms. */
  readonly timeout: number;
  /** How long connections to Redis are cut or silent, in ms. */
  readonly outage: number;
  /** Time over which a closing node spreads the ends of its sessions, in ms. */
  readonly drainWindow: number;
  readonly redis: "plain" | "append-only" | "sentinel" | "cluster";
  /** Nodes connect to Redis through their own TCP proxies. */
  readonly proxied: boolean;
  /** Of clients, in ms. */
  readonly minReconnectDelay: number;
  readonly log: (line: string) => void;
}

/** Options of node.mjs. */
export interface NodeSettings {
  readonly name: string;
  readonly redis: readonly string[];
  readonly prefix: string;
  /** Of the connections to Redis, in ms. */
  readonly timeout: number;
  readonly historySize: number;
  /** Time over which it spreads the ends of its sessions when it closes, in ms. */
  readonly drainWindow: number;
}

interface Redis {
  readonly url: string;
  stop(): Promise<void>;
}

/** A node, and whether a load balancer would send clients to it. */
class NodeProcess {
  readonly name: string;
  readonly proxy: TcpProxy | undefined;
  readonly url: string;
  isServing = true;
  private readonly child: ChildProcess;

  constructor(name: string, child: ChildProcess, port: string, proxy: TcpProxy | undefined) {
    this.name = name;
    this.child = child;
    this.url = `ws://127.0.0.1:${port}/connection/websocket`;
    this.proxy = proxy;
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.isServing = false;
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = new Promise((resolve) => this.child.once("exit", resolve));
      this.child.kill(signal);
      await ended;
    }
    await this.proxy?.stop();
  }
}

/** Redis, nodes, a publisher and clients, with operations on them. */
export class World {
  readonly options: WorldOptions;
  readonly record = new Record();
  readonly random: Random;
  readonly publisher: Publisher;
  readonly nodes: NodeProcess[] = [];
  readonly clients: readonly ModelClient[];
  private readonly redis: Redis;
  private readonly prefix: string;
  private readonly startedAt = performance.now();
  private nodeCount = 0;

  private constructor(options: WorldOptions, redis: Redis, publisher: Publisher, channels: readonly string[]) {
    this.options = options;
    this.redis = redis;
    this.publisher = publisher;
    this.prefix = "chaos";
    this.random = new Random(options.seed);
    this.clients = Array.from(
      { length: options.clients },
      (_, i) =>
        new ModelClient({
          name: `client ${i}`,
          channels: [channels[i % channels.length] ?? ""],
          pick: () => this.pick(),
          record: this.record,
          random: this.random,
          minReconnectDelay: options.minReconnectDelay,
        }),
    );
  }

  /** Resolves when everything runs and all clients are subscribed. */
  static async create(options: WorldOptions): Promise<World> {
    const redis = await startRedis(options.redis);
    let world: World | undefined;
    try {
      const channels = Array.from({ length: options.channels }, (_, i) => `channel ${i}`);
      const { rate, timeout } = options;
      const publisher = await Publisher.start({
        redis: [redis.url],
        prefix: "chaos",
        timeout,
        historySize: HISTORY_SIZE,
        channels,
        rate,
      });
      const made = new World(options, redis, publisher, channels);
      world = made;
      await Promise.all(Array.from({ length: options.nodes }, () => made.addNode()));
      for (const client of made.clients) client.start();
      await made.until("all clients are subscribed", () => made.clients.every(isSubscribed), 60_000);
      made.say(
        `${options.clients} clients in ${options.channels} channels on ${options.nodes} nodes, Redis ${options.redis}`,
      );
      return world;
    } catch (error) {
      if (world === undefined) await redis.stop();
      else await world.stop();
      throw error;
    }
  }

  say(line: string): void {
    const seconds = ((performance.now() - this.startedAt) / 1000).toFixed(2).padStart(7);
    this.options.log(`${seconds} s  ${line}`);
  }

  /** The Redis behind it, for scenarios about one type. */
  get server(): RedisServer {
    if (this.redis instanceof RedisServer) return this.redis;
    throw new Error("Redis is not a single server");
  }

  get sentinels(): SentinelServers {
    if (this.redis instanceof SentinelServers) return this.redis;
    throw new Error("Redis has no sentinel");
  }

  get cluster(): RedisClusterServers {
    if (this.redis instanceof RedisClusterServers) return this.redis;
    throw new Error("Redis is no cluster");
  }

  async addNode(): Promise<NodeProcess> {
    const name = `node ${++this.nodeCount}`;
    const proxy = this.options.proxied ? await TcpProxy.start(this.server.port) : undefined;
    const settings: NodeSettings = {
      name,
      redis: [proxy === undefined ? this.redis.url : `redis://127.0.0.1:${proxy.port}`],
      prefix: this.prefix,
      timeout: this.options.timeout,
      historySize: HISTORY_SIZE,
      drainWindow: this.options.drainWindow,
    };
    const child = spawn(process.execPath, [NODE, JSON.stringify(settings)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const kill = (): void => void child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.removeListener("exit", kill));
    // reports about its connections are expected; errors that end it are not
    let reported = "";
    child.stderr.on("data", (chunk: Buffer) => (reported = (reported + chunk.toString()).slice(-2000)));
    const port = await new Promise<string>((resolve, reject) => {
      child.once("exit", (code, signal) => reject(new Error(`${name} ended with ${code ?? signal}: ${reported}`)));
      createInterface(child.stdout).once("line", (line) => resolve(line.replace("listening ", "")));
    });
    child.on("exit", (code) => {
      if (code !== null && code !== 0) this.record.problem(`${name} ended with ${code}: ${reported}`);
    });
    const node = new NodeProcess(name, child, port, proxy);
    this.nodes.push(node);
    return node;
  }

  /** Closes a node; its clients reconnect to others. */
  async endNode(node: NodeProcess, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    await node.end(signal);
  }

  /** Waits until all clients have all acknowledged publications. Returns the ms that took. */
  async caughtUp(within: number): Promise<number> {
    const from = performance.now();
    await this.until("all clients have everything", () => this.clients.every((client) => this.hasAll(client)), within);
    return performance.now() - from;
  }

  async until(what: string, isSo: () => boolean, ms: number): Promise<void> {
    for (const end = performance.now() + ms; !isSo();) {
      if (performance.now() > end) {
        this.record.problem(`${what}: not within ${ms} ms${this.stragglers()}`);
        return;
      }
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.stop()));
    await this.publisher.stop();
    await Promise.all(this.nodes.map((node) => node.end("SIGKILL")));
    await this.redis.stop();
  }

  private pick(): string {
    const serving = this.nodes.filter(({ isServing }) => isServing);
    return serving.length === 0 ? "ws://127.0.0.1:9/" : this.random.pick(serving).url;
  }

  private hasAll(client: ModelClient): boolean {
    return client.views.every(({ channel, newest = 0 }) => newest === this.publisher.newest.get(channel));
  }

  private stragglers(): string {
    const behind = this.clients.filter((client) => !this.hasAll(client));
    if (behind.length === 0) return "";
    const [first] = behind;
    const view = first?.views[0];
    const has = `${view?.newest ?? "nothing"} of ${this.publisher.newest.get(view?.channel ?? "")}`;
    return `; ${behind.length} are behind, such as one in ${view?.channel} that has ${has}`;
  }
}

function isSubscribed(client: ModelClient): boolean {
  return client.subscribed.size === client.views.length;
}

async function startRedis(kind: WorldOptions["redis"]): Promise<Redis> {
  switch (kind) {
    case "plain":
      return RedisServer.start();
    case "append-only":
      return RedisServer.start("--appendonly", "yes", "--appendfsync", "everysec");
    case "sentinel":
      return SentinelServers.start();
    case "cluster":
      return RedisClusterServers.start(3, 1);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
