import { StoreUnavailableError } from "../broker/broker.ts";
import { credentialsOf, type Deployment, factsOf, type Redirection } from "./deployment.ts";
import type { LinkContext } from "./link.ts";
import { Server } from "./server.ts";
import { slotOf, SLOTS } from "./slots.ts";
import { describeRedis, type RedisUrl } from "./urls.ts";
import { HubError } from "../errors.ts";

const REFRESH_INTERVAL = 5_000; // ms; slots may move to other servers without a notification
const TRY_AGAIN_PAUSE = 50; // ms
const REFRESH_WHEN_DOWN = 500; // ms
const REFRESH_PAUSE = 100; // ms between two requests after errors

/** A Redis Cluster: a connection to each primary, and the map of slots. */
export class ClusterDeployment implements Deployment {
  readonly name: string;
  readonly database = 0; // a cluster has no others
  readonly isCluster = true;
  /** Sharded pub/sub exists from Redis 7 on. */
  publishes: "PUBLISH" | "SPUBLISH" = "SPUBLISH";
  private readonly url: RedisUrl;
  private readonly context: LinkContext;
  private readonly byAddress = new Map<string, Server>();
  private slots: (Server | undefined)[] = [];
  private readonly listeners = new Set<() => void>();
  private refreshing: Promise<void> | undefined;
  private lookedAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private soon: NodeJS.Timeout | undefined;
  private isStopped = false;

  constructor(url: RedisUrl, context: LinkContext) {
    this.url = url;
    this.context = context;
    this.name = describeRedis(url);
  }

  /** Connects to all primaries; rejects if one cannot be reached. */
  async start(): Promise<void> {
    try {
      await this.firstLook();
    } catch (error) {
      this.stop();
      throw error;
    }
    this.timer = setInterval(() => void this.refresh(), REFRESH_INTERVAL);
    this.timer.unref();
  }

  stop(): void {
    this.isStopped = true;
    clearInterval(this.timer);
    clearTimeout(this.soon);
    for (const server of this.byAddress.values()) server.close();
    this.byAddress.clear();
    this.slots = [];
  }

  servers(): readonly Server[] {
    return [...new Set(this.slots)].filter((server) => server !== undefined);
  }

  serverOf(key: string): Server {
    const server = this.slots[slotOf(key)];
    if (server === undefined) throw new StoreUnavailableError(`the cluster at ${this.name} has no server for a slot`);
    return server;
  }

  async redirect(error: unknown, key: string): Promise<Redirection | undefined> {
    const [kind, , address] = error instanceof Error ? error.message.split(" ") : [];
    if (this.isStopped) return undefined;
    if (kind === "ASK" && address !== undefined) {
      const server = this.serverAt(address);
      await server.whenUp(); // a server that had no slot before is not connected yet
      return { server, asking: true };
    }
    if (kind === "TRYAGAIN")
      await pause(TRY_AGAIN_PAUSE); // some keys have moved, others have not
    else if (kind === "MOVED") await this.refresh();
    else return undefined;
    return { server: this.serverOf(key), asking: false };
  }

  refresh(): Promise<void> {
    if (this.isStopped) return Promise.resolve();
    this.refreshing ??= this.look().finally(() => {
      this.refreshing = undefined;
      if (this.soon !== undefined || this.servers().every((server) => server.isUp)) return;
      // until a replica has taken over
      this.soon = setTimeout(() => {
        this.soon = undefined;
        void this.refresh();
      }, REFRESH_WHEN_DOWN);
      this.soon.unref();
    });
    return this.refreshing;
  }

  onMoved(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private async firstLook(): Promise<void> {
    let failure: unknown;
    for (const { host, port } of this.url.hosts) {
      const server = this.serverFor(host, port);
      try {
        await server.open();
        const { isCluster, major } = await factsOf(server, true);
        if (!isCluster)
          throw new HubError(
            "STORE_UNUSABLE",
            `Redis at ${server.name} is not a server of a cluster: use a URL that begins with redis://`,
          );
        if (major < 7) this.publishes = "PUBLISH";
        this.take(await server.call("CLUSTER", "SLOTS"), host);
        const others = this.servers().filter((each) => !each.isUp);
        await Promise.all(others.map((each) => each.open()));
        return;
      } catch (error) {
        failure ??= error;
        for (const each of this.byAddress.values()) this.forget(each);
      }
    }
    throw failure;
  }

  /** Asks one server after another for the map of slots, until one replies. */
  private async look(): Promise<void> {
    const since = performance.now() - this.lookedAt;
    if (since < REFRESH_PAUSE) await pause(REFRESH_PAUSE - since);
    this.lookedAt = performance.now();
    const known = [...this.byAddress.values()].filter((server) => server.isUp);
    for (const server of known) {
      try {
        const reply = await server.ask("CLUSTER", "SLOTS");
        if (this.isStopped) return;
        if (this.take(reply, hostOf(server.name))) for (const listener of [...this.listeners]) listener();
        return;
      } catch {
        // ask the next server
      }
    }
    if (this.isStopped) return; // stopped meanwhile: new connections would never be closed
    // no known server answers: try those of the URL
    for (const { host, port } of this.url.hosts) {
      if (!this.byAddress.has(`${host}:${port}`)) this.serverFor(host, port).openLater();
    }
  }

  /**
   * Applies a reply of CLUSTER SLOTS. `asked` replaces hosts that the reply omits. Returns whether
   * anything changed.
   */
  private take(reply: unknown, asked: string): boolean {
    const slots = new Array<Server | undefined>(SLOTS).fill(undefined);
    for (const [first, last, [host, port]] of reply as [number, number, [string | null, number]][]) {
      const server = this.serverFor(host || asked, port);
      slots.fill(server, first, last + 1);
    }
    const changed = slots.length !== this.slots.length || slots.some((server, slot) => server !== this.slots[slot]);
    this.slots = slots;
    const inUse = new Set(this.servers());
    for (const server of this.byAddress.values()) {
      if (inUse.has(server)) {
        if (this.timer !== undefined && !server.isUp) server.openLater();
      } else {
        this.forget(server);
      }
    }
    return changed;
  }

  private serverAt(address: string): Server {
    const colon = address.lastIndexOf(":");
    const server = this.serverFor(address.slice(0, colon), Number(address.slice(colon + 1)));
    if (!server.isUp) server.openLater();
    return server;
  }

  private serverFor(host: string, port: number): Server {
    const address = `${host}:${port}`;
    const known = this.byAddress.get(address);
    if (known !== undefined) return known;
    const options = { host, port, ...credentialsOf(this.url, this.context) };
    const server = new Server(address, options, this.context, () => void this.refresh());
    this.byAddress.set(address, server);
    return server;
  }

  private forget(server: Server): void {
    server.close();
    this.byAddress.delete(server.name);
  }
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":"));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
