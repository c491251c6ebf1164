import { randomBytes } from "node:crypto";
import {
  type Broker,
  type BrokerHandler,
  type BrokerPublishOptions,
  type BrokerResult,
  type ClientInfo,
  DEFAULT_IDEMPOTENCY_TTL,
  EMPTY_META_TTL,
  type HistoryFilter,
  type HistoryPage,
  type NewPublication,
} from "../broker/broker.ts";
import type { StoreMetrics } from "../metrics.ts";
import { ChannelIndex } from "./channel-index.ts";
import type { RedisConnections } from "./connections.ts";
import { type Deployment, runCommand, runScript } from "./deployment.ts";
import { idempotencyEnd, META, STREAM } from "./keys.ts";
import { MemoryQuota } from "./memory-quota.ts";
import { Publisher } from "./publisher.ts";
import type { Server } from "./server.ts";
import { SCRIPTS } from "./scripts.ts";
import { Subscribers } from "./subscribers.ts";
import { loadTracing, type Tracing } from "./tracing.ts";
import { decodeEarlier, decodeEntry, decodeMessage, encodeBody, encodeComing } from "./wire.ts";
import { HubError } from "../errors.ts";

/** The objects of a broker for one of the deployments that share the channels. */
interface Shard {
  readonly publisher: Publisher;
  readonly index: ChannelIndex;
  readonly subscribers: Subscribers;
}

/** Publishing, delivery and history in Redis, for the hubs of many machines. */
export class RedisBroker implements Broker {
  /** Redis does not report messages that a subscriber missed. */
  readonly lossy = true;
  readonly metrics: StoreMetrics;
  readonly #connections: RedisConnections;
  readonly #shards = new Map<Deployment, Shard>();
  /** Identifies messages of this node. */
  readonly #id = randomBytes(9).toString("base64url");
  readonly #quota: MemoryQuota;
  #epochs = 0;
  #handler: BrokerHandler | undefined;
  #tracing: Tracing | undefined;

  constructor(connections: RedisConnections) {
    this.#connections = connections;
    this.metrics = connections.metrics;
    this.#quota = new MemoryQuota(connections.settings.memoryLimit);
  }

  async start(handler: BrokerHandler): Promise<void> {
    if (this.#handler !== undefined) throw new HubError("INVALID_STATE", "this broker already serves a hub");
    this.#handler = handler;
    try {
      this.#tracing = await loadTracing();
      await this.#connections.acquire();
      for (const deployment of this.#connections.deployments) {
        const subscribers = new Subscribers(deployment, this.#connections, {
          message: (name, message) => this.#receive(deployment.database, name, message),
          interrupted: (names) => this.#interrupted(deployment.database, names),
        });
        this.#shards.set(deployment, {
          publisher: new Publisher(deployment, () => this.#newEpoch()),
          index: new ChannelIndex(deployment, this.#connections.keys, this.#connections.settings.onError),
          subscribers,
        });
        await subscribers.open();
      }
      const { keys } = this.#connections;
      const deployment = this.#connections.of(keys.nodes);
      await this.#shardAt(deployment).subscribers.subscribe(keys.control(deployment.database));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    if (this.#handler === undefined) return;
    this.#handler = undefined;
    for (const { subscribers } of this.#shards.values()) subscribers.close();
    this.#shards.clear();
    this.#connections.release();
  }

  subscribe(channel: string): Promise<void> {
    const { subscribers, index, topic } = this.#placeOf(channel);
    index.joined(channel);
    return subscribers.subscribe(topic);
  }

  async unsubscribe(channel: string): Promise<void> {
    if (this.#handler === undefined) return;
    const { subscribers, index, topic } = this.#placeOf(channel);
    await subscribers.unsubscribe(topic);
    index.left(channel);
  }

  publish(channel: string, publication: NewPublication, options: BrokerPublishOptions): Promise<BrokerResult> {
    const tracing = this.#tracing;
    if (tracing === undefined) return this.#send(channel, encodeBody(publication, undefined), options);
    return tracing.publish(channel, (trace) => this.#send(channel, encodeBody(publication, trace), options));
  }

  async publishJoin(channel: string, info: ClientInfo): Promise<void> {
    await this.#tell(channel, encodeComing("join", info));
  }

  async publishLeave(channel: string, info: ClientInfo): Promise<void> {
    await this.#tell(channel, encodeComing("leave", info));
  }

  async history(channel: string, filter: HistoryFilter, metaTtl: number): Promise<HistoryPage> {
    const { since, reverse = false } = filter;
    const name = this.#connections.keys.channel(channel);
    // an offset is the first half of a stream's id
    const from = since === undefined ? (reverse ? "+" : "-") : String(Math.max(0, since.offset + (reverse ? -1 : 1)));
    const limit = reverse && since !== undefined && since.offset < 1 ? 0 : Math.max(filter.limit, -1);
    const deployment = this.#connections.of(name);
    const server = deployment.serverOf(name);
    this.#shardAt(deployment).index.used(channel, filter.maxChannels);
    // the first connection that is back finds the gap: sessions without a gap keep their
    // subscriptions
    if (filter.patient === true && !server.isUp) await server.whenUp();
    const reply = await runScript(
      deployment,
      name,
      SCRIPTS.history,
      [name + META, name + STREAM],
      [
        this.#newEpoch(),
        from,
        reverse ? "-" : "+",
        limit,
        reverse ? "XREVRANGE" : "XRANGE",
        milliseconds(metaTtl),
        EMPTY_META_TTL,
        Math.min(filter.maxBytes ?? Infinity, Number.MAX_SAFE_INTEGER),
      ],
    );
    const [epoch, offset, earlier, entries] = reply as readonly [string, number, string, readonly unknown[]];
    const page = { epoch, offset, publications: entries.map(decodeEntry) };
    return earlier === "" ? page : { ...page, earlier: decodeEarlier(earlier) };
  }

  async removeHistory(channel: string): Promise<void> {
    const name = this.#connections.keys.channel(channel);
    await runCommand(this.#connections.of(name), name, "DEL", name + STREAM);
  }

  async control(message: string): Promise<void> {
    const { keys } = this.#connections;
    const deployment = this.#connections.of(keys.nodes);
    const topic = keys.control(deployment.database);
    await runCommand(deployment, topic, deployment.publishes, topic, `${this.#id} ${message}`);
  }

  /** Resolves when everything that Redis has sent to this node so far has been delivered. */
  async settled(): Promise<void> {
    await Promise.all(Array.from(this.#shards.values(), ({ subscribers }) => subscribers.settled()));
  }

  #send(channel: string, body: string, options: BrokerPublishOptions): Promise<BrokerResult> {
    const name = this.#connections.keys.channel(channel);
    const { historyTtl, metaTtl, idempotencyKey, idempotencyTtl = DEFAULT_IDEMPOTENCY_TTL } = options;
    const size = historyTtl > 0 ? options.historySize : 0;
    const meta = name + META;
    const deployment = this.#connections.of(name);
    const { publisher, index } = this.#shardAt(deployment);
    if (size > 0) {
      const refusal = this.#quotaRefusal(deployment, name);
      if (refusal !== undefined) return Promise.reject(refusal);
      index.used(channel, options.maxChannels);
    }
    return publisher.publish(
      name,
      [meta, name + STREAM, idempotencyKey === undefined ? meta : name + idempotencyEnd(idempotencyKey)],
      [
        this.#connections.keys.topic(channel, deployment.database),
        body,
        size,
        milliseconds(historyTtl),
        // offset and epoch are kept longer than the publications
        milliseconds(Math.max(metaTtl, historyTtl)),
        idempotencyKey === undefined ? "" : milliseconds(Math.max(1, idempotencyTtl)),
      ],
    );
  }

  /**
   * Returns the quota error of the channel's server. Undefined if there is none or the server is
   * unknown.
   */
  #quotaRefusal(deployment: Deployment, name: string): Error | undefined {
    let server: Server;
    try {
      server = deployment.serverOf(name);
    } catch {
      return undefined;
    }
    return this.#quota.refusal(server);
  }

  /** To the nodes that are subscribed to the channel. */
  async #tell(channel: string, message: string): Promise<void> {
    const deployment = this.#connections.of(this.#connections.keys.channel(channel));
    const topic = this.#connections.keys.topic(channel, deployment.database);
    await runCommand(deployment, topic, deployment.publishes, topic, message);
  }

  /** Returns the subscriptions of the channel's deployment. */
  #placeOf(channel: string): Pick<Shard, "subscribers" | "index"> & { readonly topic: string } {
    const { keys } = this.#connections;
    const deployment = this.#connections.of(keys.channel(channel));
    return { ...this.#shardAt(deployment), topic: keys.topic(channel, deployment.database) };
  }

  #shardAt(deployment: Deployment): Shard {
    const shard = this.#shards.get(deployment);
    if (shard === undefined) throw new HubError("INVALID_STATE", "the broker has not been started");
    return shard;
  }

  #receive(database: number, name: string, message: string): void {
    const handler = this.#handler;
    const connections = this.#connections;
    const tracing = this.#tracing;
    if (handler === undefined) return;
    if (name === connections.keys.control(database)) {
      const blank = message.indexOf(" ");
      if (message.slice(0, blank) !== this.#id) handler.control(message.slice(blank + 1));
      return;
    }
    const channel = connections.keys.channelOf(name, database);
    if (channel === undefined) return;
    try {
      const decoded = decodeMessage(message);
      if (decoded.type === "join") {
        handler.join(channel, decoded.info);
      } else if (decoded.type === "leave") {
        handler.leave(channel, decoded.info);
      } else {
        const { publication, epoch, trace } = decoded;
        const deliver = () => handler.publication(channel, publication, epoch);
        if (tracing === undefined) deliver();
        else tracing.deliver(channel, trace, deliver);
      }
    } catch (error) {
      connections.settings.onError(
        new HubError("STORE_REFUSED", `cannot decode a message in ${name}`, { cause: error }),
      );
    }
  }

  #interrupted(database: number, names: readonly string[]): void {
    const { keys } = this.#connections;
    const channels = names.map((name) => keys.channelOf(name, database)).filter((channel) => channel !== undefined);
    this.metrics.interruptions += channels.length;
    this.#handler?.interrupted(channels);
  }

  /** Returns a string that is unique among all nodes. */
  #newEpoch(): string {
    return `${this.#id}${(this.#epochs++).toString(36)}`;
  }
}

/** Returns a time for Redis, which has no infinity. */
function milliseconds(time: number): number {
  return Math.min(Math.ceil(time), Number.MAX_SAFE_INTEGER);
}
