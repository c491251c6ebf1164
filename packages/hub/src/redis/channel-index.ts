import { StoreUnavailableError } from "../broker/broker.ts";
import { namespaceOf } from "../options/channel-name.ts";
import { type Deployment, runCommand, runScript } from "./deployment.ts";
import { type Keys, META, STREAM } from "./keys.ts";
import { SCRIPTS } from "./scripts.ts";

const NOTE_INTERVAL = 60_000; // ms between two updates of a channel's last use by this node
const MAX_NOTED = 10_000; // channels whose last update this node remembers
const AT_ONCE = 256; // channels in one call
const INDEX_TTL = 366 * 24 * 3600_000; // ms since the last update

/** Added to the score of channels with a subscriber. */
const WATCHED = 1e15; // ms

/**
 * Updates of a channel: it is used (and stays watched if it was); it has a subscriber; it is used
 * and its last subscriber on this node has left.
 */
type Kind = "used" | "watched" | "left";

/** Channels of a namespace to update. */
interface Batch {
  maxChannels: number;
  readonly kinds: Map<string, Kind>;
}

/**
 * Limits the number of streams of channels without a subscriber, for each namespace. A sorted set
 * contains all channels in the order of their last use, accurate to about a minute. Channels with a
 * subscriber come last. Above `maxChannels`, the channel that was used longest ago is removed.
 */
export class ChannelIndex {
  private readonly deployment: Deployment;
  private readonly keys: Keys;
  private readonly onError: (error: Error) => void;
  private readonly now: () => number;
  /** Channels updated in this interval, and in the previous one. All others need an update. */
  private recent = new Set<string>();
  private recentSince: number;
  private batches = new Map<string, Batch>();
  /** Channels that this node is subscribed to. */
  private readonly watched = new Set<string>();
  /** `maxChannels` by namespace. */
  private readonly limits = new Map<string, number>();

  constructor(deployment: Deployment, keys: Keys, onError: (error: Error) => void, now = () => performance.now()) {
    this.deployment = deployment;
    this.keys = keys;
    this.onError = onError;
    this.now = now;
    this.recentSince = now();
  }

  /** Call when a channel's stream is read or written. Usually takes only a look-up. */
  used(channel: string, maxChannels: number | undefined): void {
    if (maxChannels === undefined || maxChannels === Infinity || this.isNoted(channel)) return;
    this.recent.add(channel);
    this.limits.set(namespaceOf(channel), maxChannels);
    this.note(channel, this.watched.has(channel) ? "watched" : "used");
  }

  /** Call when this node subscribes to the channel. */
  joined(channel: string): void {
    this.watched.add(channel);
    this.recent.delete(channel); // so that it is updated as watched
  }

  /** Call when this node has unsubscribed from the channel. */
  left(channel: string): void {
    this.watched.delete(channel);
    this.note(channel, "left");
  }

  private isNoted(channel: string): boolean {
    if (this.recent.size >= MAX_NOTED || this.now() - this.recentSince >= NOTE_INTERVAL) {
      this.recent = new Set();
      this.recentSince = this.now();
    }
    return this.recent.has(channel);
  }

  private note(channel: string, kind: Kind): void {
    const namespace = namespaceOf(channel);
    const maxChannels = this.limits.get(namespace);
    if (maxChannels === undefined) return;
    const batch = this.batches.get(namespace);
    if (batch !== undefined) {
      batch.maxChannels = maxChannels;
      batch.kinds.set(channel, kind);
      return;
    }
    if (this.batches.size === 0) setImmediate(() => this.flush());
    this.batches.set(namespace, { maxChannels, kinds: new Map([[channel, kind]]) });
  }

  private flush(): void {
    const { batches } = this;
    this.batches = new Map();
    for (const [namespace, { maxChannels, kinds }] of batches) {
      const all = [...kinds];
      for (let i = 0; i < all.length; i += AT_ONCE) {
        const some = all.slice(i, i + AT_ONCE);
        this.send(namespace, maxChannels, some).catch((error: unknown) => {
          // a lost connection is reported elsewhere; a missed update follows at the next use
          for (const [channel] of some) this.recent.delete(channel);
          if (error instanceof Error && !(error instanceof StoreUnavailableError)) this.onError(error);
        });
      }
    }
  }

  private async send(
    namespace: string,
    maxChannels: number,
    channels: readonly (readonly [string, Kind])[],
  ): Promise<void> {
    const key = this.keys.index(namespace);
    const notes = channels.flatMap(([channel, kind]) => [kind, channel]);
    const args = [Math.min(maxChannels, Number.MAX_SAFE_INTEGER), INDEX_TTL, WATCHED, ...notes];
    const reply = await runScript(this.deployment, key, SCRIPTS.noteChannels, [key], args);
    const [oldest, unsure] = reply as readonly [readonly string[], readonly string[]];
    await Promise.all([
      ...oldest.map((channel) => this.forget(channel)),
      ...unsure.map((channel) => this.checkWatched(channel)),
    ]);
  }

  /** On any node: each is subscribed once, where `Subscribers` puts it. */
  private async hasSubscribers(topic: string): Promise<boolean> {
    const { deployment } = this;
    const isSharded = deployment.publishes === "SPUBLISH";
    const server = isSharded ? deployment.serverOf(topic) : deployment.servers()[0];
    const reply = await server?.call("PUBSUB", isSharded ? "SHARDNUMSUB" : "NUMSUB", topic);
    return !Array.isArray(reply) || Number(reply[1]) > 0;
  }

  /** Removes a channel, unless it has a subscriber. */
  private async forget(channel: string): Promise<void> {
    const { deployment, keys } = this;
    if (await this.hasSubscribers(keys.topic(channel, deployment.database))) {
      this.note(channel, "watched");
      return;
    }
    this.recent.delete(channel);
    const name = keys.channel(channel);
    await runCommand(deployment, name, "DEL", name + META, name + STREAM);
  }

  /** The node that watched the channel may have ended without notice. */
  private async checkWatched(channel: string): Promise<void> {
    const { deployment, keys } = this;
    if (!(await this.hasSubscribers(keys.topic(channel, deployment.database)))) this.note(channel, "left");
  }
}
