import { argumentError } from "tungstate/internal";
import { StoreMetrics } from "../metrics.ts";
import { ClusterDeployment } from "./cluster.ts";
import { type Deployment, SingleDeployment } from "./deployment.ts";
import { Keys } from "./keys.ts";
import { type LinkContext, loadClient } from "./link.ts";
import { type RedisOptions, type RedisSettings, resolveRedisOptions } from "./options.ts";
import { Ring } from "./ring.ts";
import { parseRedisUrl, type RedisUrl } from "./urls.ts";
import { HubError } from "../errors.ts";

/**
 * The connections to the Redis that hubs share, or to several that share the channels: consistent
 * hashing assigns each channel to one of them. A broker and a presence store may use the same
 * connections, which close when both have stopped.
 */
export class RedisConnections implements LinkContext {
  /** The options, checked and complete. */
  readonly settings: RedisSettings;
  /** Names of keys and pub/sub channels. */
  readonly keys: Keys;
  /** What these connections count. */
  readonly metrics = new StoreMetrics();
  /** Available once the connections are open. */
  deployments: readonly Deployment[] = [];
  readonly #urls: readonly RedisUrl[];
  #ring: Ring<Deployment> | undefined;
  #opening: Promise<void> | undefined;
  #isClosed = false;
  #users = 0;

  /** Connects to nothing. Throws a TypeError or RangeError for an invalid URL or option. */
  constructor(urls: readonly string[], options: RedisOptions = {}) {
    this.settings = resolveRedisOptions(options);
    this.keys = new Keys(this.settings.prefix);
    this.#urls = urls.map(parseRedisUrl);
    if (urls.length === 0) throw argumentError(TypeError, "expected at least one Redis URL, got none");
    const names = new Set<string>();
    for (const { name } of this.#urls) {
      if (names.has(name)) throw argumentError(TypeError, `two Redis URLs are the same: ${name}`);
      names.add(name);
    }
  }

  /**
   * Connects to all servers. Rejects if one cannot be reached or used; all connections are closed
   * then.
   */
  open(): Promise<void> {
    if (this.#isClosed)
      return Promise.reject(new HubError("INVALID_STATE", "the connections to Redis have been closed"));
    return (this.#opening ??= this.#openAll());
  }

  /** Returns the names of the servers that are not connected. */
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
    this.#isClosed = true;
    for (const each of this.deployments) each.stop();
  }

  /** Registers a user of the connections, and opens them if needed. */
  async acquire(): Promise<void> {
    this.#users++;
    await this.open();
  }

  /** Undoes `acquire`; the last one ends the connections. */
  release(): void {
    if (--this.#users === 0) this.close();
  }

  /** Returns the deployment that has a channel, or the pub/sub channel of the nodes. */
  of(key: string): Deployment {
    const [first] = this.deployments;
    const deployment = this.#ring === undefined ? first : this.#ring.of(key);
    if (deployment === undefined) throw new HubError("INVALID_STATE", "the connections to Redis have not been opened");
    return deployment;
  }

  async #openAll(): Promise<void> {
    await loadClient();
    if (this.#isClosed) throw new HubError("INVALID_STATE", "the connections to Redis have been closed");
    const byName = new Map<string, Deployment>();
    for (const url of this.#urls) {
      byName.set(url.name, url.kind === "cluster" ? new ClusterDeployment(url, this) : new SingleDeployment(url, this));
    }
    this.deployments = [...byName.values()];
    this.#ring = byName.size === 1 ? undefined : new Ring(byName);
    try {
      await Promise.all(this.deployments.map((each) => each.start()));
    } catch (error) {
      this.close();
      throw error;
    }
  }
}
