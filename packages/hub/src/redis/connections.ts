import { StoreMetrics } from "../metrics.ts";
import { ClusterDeployment } from "./cluster.ts";
import { type Deployment, SingleDeployment } from "./deployment.ts";
import { Keys } from "./keys.ts";
import type { LinkContext } from "./link.ts";
import { type RedisOptions, type RedisSettings, resolveRedisOptions } from "./options.ts";
import { Ring } from "./ring.ts";
import { parseRedisUrl } from "./urls.ts";

/**
 * The Redis that hubs share, or several that share the channels: each channel is in one of them, found by consistent hashing. A broker
 * and a presence store may have the same connections; they are closed when both have stopped.
 */
export class RedisConnections implements LinkContext {
  readonly settings: RedisSettings;
  readonly keys: Keys;
  readonly metrics = new StoreMetrics();
  readonly deployments: readonly Deployment[];
  private readonly ring: Ring<Deployment> | undefined;
  private state: "new" | "open" | "closed" = "new";
  private users = 0;

  /** Throws a TypeError or RangeError where a URL or an option makes no sense. Connects to nothing. */
  constructor(urls: readonly string[], options: RedisOptions = {}) {
    this.settings = resolveRedisOptions(options);
    this.keys = new Keys(this.settings.prefix);
    const parsed = urls.map(parseRedisUrl);
    if (parsed.length === 0) throw new TypeError("there has to be at least one Redis URL");
    const byName = new Map<string, Deployment>();
    for (const url of parsed) {
      if (byName.has(url.name)) throw new TypeError(`two Redis URLs are the same: ${url.name}`);
      byName.set(url.name, url.kind === "cluster" ? new ClusterDeployment(url, this) : new SingleDeployment(url, this));
    }
    this.deployments = [...byName.values()];
    this.ring = byName.size === 1 ? undefined : new Ring(byName);
  }

  /** Connects to all. Rejects where one can't be reached or used, and connects to none then. */
  async open(): Promise<void> {
    if (this.state === "open") return;
    if (this.state === "closed") throw new Error("the connections to Redis have been closed");
    try {
      await Promise.all(this.deployments.map((each) => each.start()));
    } catch (error) {
      this.close();
      throw error;
    }
    this.state = "open";
  }

  close(): void {
    this.state = "closed";
    for (const each of this.deployments) each.stop();
  }

  /** Somebody needs them: opens them if need be. */
  async acquire(): Promise<void> {
    this.users++;
    await this.open();
  }

  release(): void {
    if (--this.users === 0) this.close();
  }

  /** Where a channel, or the pub/sub channel of the nodes, is. */
  of(key: string): Deployment {
    const [first] = this.deployments;
    const deployment = this.ring === undefined ? first : this.ring.of(key);
    if (deployment === undefined) throw new Error("there is at least one deployment");
    return deployment;
  }
}
