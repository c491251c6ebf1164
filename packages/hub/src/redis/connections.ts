import { StoreMetrics } from "../metrics.ts";
import { ClusterDeployment } from "./cluster.ts";
import { type Deployment, SingleDeployment } from "./deployment.ts";
import { Keys } from "./keys.ts";
import { type LinkContext, loadClient } from "./link.ts";
import { type RedisOptions, type RedisSettings, resolveRedisOptions } from "./options.ts";
import { Ring } from "./ring.ts";
import { parseRedisUrl, type RedisUrl } from "./urls.ts";

/**
 * The Redis that hubs share, or several that share the channels: each channel is in one of them, found by consistent hashing. A broker
 * and a presence store may have the same connections; they are closed when both have stopped.
 */
export class RedisConnections implements LinkContext {
  /** The options, checked and complete. */
  readonly settings: RedisSettings;
  /** Names of keys and pub/sub channels. */
  readonly keys: Keys;
  /** What these connections count. */
  readonly metrics = new StoreMetrics();
  /** Known once they are opened. */
  deployments: readonly Deployment[] = [];
  private readonly urls: readonly RedisUrl[];
  private ring: Ring<Deployment> | undefined;
  private opening: Promise<void> | undefined;
  private isClosed = false;
  private users = 0;

  /** Throws a TypeError or RangeError where a URL or an option makes no sense. Connects to nothing. */
  constructor(urls: readonly string[], options: RedisOptions = {}) {
    this.settings = resolveRedisOptions(options);
    this.keys = new Keys(this.settings.prefix);
    this.urls = urls.map(parseRedisUrl);
    if (urls.length === 0) throw new TypeError("there has to be at least one Redis URL");
    const names = new Set<string>();
    for (const { name } of this.urls) {
      if (names.has(name)) throw new TypeError(`two Redis URLs are the same: ${name}`);
      names.add(name);
    }
  }

  /** Connects to all. Rejects where one can't be reached or used, and connects to none then. */
  open(): Promise<void> {
    if (this.isClosed) return Promise.reject(new Error("the connections to Redis have been closed"));
    return (this.opening ??= this.openAll());
  }

  /** Names of servers that are not connected. */
  unavailable(): readonly string[] {
    return this.deployments.flatMap((each) =>
      each
        .servers()
        .filter(({ isUp }) => !isUp)
        .map(({ name }) => name),
    );
  }

  /** Ends the connections. */
  close(): void {
    this.isClosed = true;
    for (const each of this.deployments) each.stop();
  }

  /** Somebody needs them: opens them if need be. */
  async acquire(): Promise<void> {
    this.users++;
    await this.open();
  }

  /** Undoes `acquire`; the last one ends the connections. */
  release(): void {
    if (--this.users === 0) this.close();
  }

  /** Where a channel, or the pub/sub channel of the nodes, is. */
  of(key: string): Deployment {
    const [first] = this.deployments;
    const deployment = this.ring === undefined ? first : this.ring.of(key);
    if (deployment === undefined) throw new Error("the connections to Redis have not been opened");
    return deployment;
  }

  private async openAll(): Promise<void> {
    await loadClient();
    if (this.isClosed) throw new Error("the connections to Redis have been closed");
    const byName = new Map<string, Deployment>();
    for (const url of this.urls) {
      byName.set(url.name, url.kind === "cluster" ? new ClusterDeployment(url, this) : new SingleDeployment(url, this));
    }
    this.deployments = [...byName.values()];
    this.ring = byName.size === 1 ? undefined : new Ring(byName);
    try {
      await Promise.all(this.deployments.map((each) => each.start()));
    } catch (error) {
      this.close();
      throw error;
    }
  }
}
