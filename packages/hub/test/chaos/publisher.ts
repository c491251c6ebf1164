import { CommandError } from "../../src/codes.ts";
import { Hub } from "../../src/hub/hub.ts";
import { openRedis } from "../../src/redis/open-redis.ts";
import type { Payload } from "./model.ts";

export interface PublisherOptions {
  readonly redis: readonly string[];
  readonly prefix: string;
  readonly timeout: number;
  readonly historySize: number;
  readonly channels: readonly string[];
  /** Publications per second over all channels. */
  readonly rate: number;
}

/**
 * Publishes numbers to channels. Repeats each until it is acknowledged, once by its idempotency
 * key.
 */
export class Publisher {
  /** Newest acknowledged number by channel. */
  readonly newest: Map<string, number>;
  /** Failed calls that were repeated. */
  failures = 0;
  private readonly options: PublisherOptions;
  private readonly hub: Hub;
  private isStopped = false;

  private constructor(options: PublisherOptions, hub: Hub) {
    this.options = options;
    this.hub = hub;
    this.newest = new Map(options.channels.map((channel) => [channel, 0]));
  }

  static async start(options: PublisherOptions): Promise<Publisher> {
    const { prefix, timeout, historySize } = options;
    const redis = await openRedis(options.redis, { prefix, timeout });
    const hub = new Hub({
      name: "publisher",
      namespaces: { "": { history: { size: historySize, ttl: 600_000 } } },
      broker: redis.broker,
      presence: redis.presenceStore,
    });
    await hub.start();
    return new Publisher(options, hub);
  }

  get acknowledged(): number {
    let sum = 0;
    for (const count of this.newest.values()) sum += count;
    return sum;
  }

  get nodes(): number {
    return this.hub.nodes().length - 1;
  }

  /** Publishes so many more to each channel. */
  async publish(perChannel: number): Promise<void> {
    const { channels, rate } = this.options;
    const interval = (channels.length / rate) * 1000;
    await Promise.all(
      channels.map(async (channel, i) => {
        let due = performance.now() + (interval * i) / channels.length;
        for (let count = 0; count < perChannel && !this.isStopped; count++) {
          const wait = due - performance.now();
          if (wait > 0) await sleep(wait);
          due += interval;
          await this.publishOne(channel);
        }
      }),
    );
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.hub.close();
  }

  private async publishOne(channel: string): Promise<void> {
    const n = (this.newest.get(channel) ?? 0) + 1;
    const payload: Payload = { n, at: performance.now() };
    while (!this.isStopped) {
      try {
        await this.hub.publish(channel, payload, { idempotencyKey: String(n), idempotencyTtl: 600_000 });
        this.newest.set(channel, n);
        return;
      } catch (error) {
        if (!(error instanceof CommandError && error.temporary)) throw error;
        this.failures++;
        await sleep(20);
      }
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
