import { StoreUnavailableError } from "../broker/broker.ts";
import { namespaceOf } from "../options/channel-name.ts";
import { type Deployment, runCommand, runScript } from "./deployment.ts";
import { type Keys, META, STREAM } from "./keys.ts";
import { SCRIPTS } from "./scripts.ts";

const NOTE_INTERVAL = 60_000; // ms between two notes of this node that a channel is used
const MAX_NOTED = 10_000; // channels that this node remembers to have noted
const AT_ONCE = 256; // channels in one call
const INDEX_TTL = 366 * 24 * 3600_000; // ms since the last note

/** Channels of a namespace to be noted. */
interface Batch {
  maxChannels: number;
  readonly channels: string[];
}

/**
 * Bounds how many channels of each namespace have a stream in a Redis. A sorted set has them by when they were used, to about a minute; beyond
 * `maxChannels` the one that was used longest ago and has no subscriber on any node is forgotten.
 */
export class ChannelIndex {
  private readonly deployment: Deployment;
  private readonly keys: Keys;
  private readonly onError: (error: Error) => void;
  private readonly now: () => number;
  /** Channels noted in this interval, and in the one before: what is in neither is due. */
  private recent = new Set<string>();
  private recentSince: number;
  private batches = new Map<string, Batch>();

  constructor(deployment: Deployment, keys: Keys, onError: (error: Error) => void, now = () => performance.now()) {
    this.deployment = deployment;
    this.keys = keys;
    this.onError = onError;
    this.now = now;
    this.recentSince = now();
  }

  /** A channel's stream is read or written. Costs a look-up, but for the first time in a minute. */
  used(channel: string, maxChannels: number | undefined): void {
    if (maxChannels === undefined || maxChannels === Infinity || this.isNoted(channel)) return;
    this.recent.add(channel);
    this.note(channel, maxChannels);
  }

  private isNoted(channel: string): boolean {
    if (this.recent.size >= MAX_NOTED || this.now() - this.recentSince >= NOTE_INTERVAL) {
      this.recent = new Set();
      this.recentSince = this.now();
    }
    return this.recent.has(channel);
  }

  /** `maxChannels`: Infinity where no other channel is to be forgotten for this one. */
  private note(channel: string, maxChannels: number): void {
    const namespace = namespaceOf(channel);
    const batch = this.batches.get(namespace);
    if (batch !== undefined) {
      batch.maxChannels = Math.min(batch.maxChannels, maxChannels);
      batch.channels.push(channel);
      return;
    }
    if (this.batches.size === 0) setImmediate(() => this.flush());
    this.batches.set(namespace, { maxChannels, channels: [channel] });
  }

  private flush(): void {
    const { batches } = this;
    this.batches = new Map();
    for (const [namespace, { maxChannels, channels }] of batches) {
      for (let i = 0; i < channels.length; i += AT_ONCE) {
        this.send(namespace, maxChannels, channels.slice(i, i + AT_ONCE)).catch((error: unknown) => {
          // an outage is told by who lost the connection; what was not noted is noted when it is used again
          for (const channel of channels) this.recent.delete(channel);
          if (error instanceof Error && !(error instanceof StoreUnavailableError)) this.onError(error);
        });
      }
    }
  }

  private async send(namespace: string, maxChannels: number, channels: readonly string[]): Promise<void> {
    const key = this.keys.index(namespace);
    const args = [Math.min(maxChannels, Number.MAX_SAFE_INTEGER), INDEX_TTL, ...channels];
    const oldest = (await runScript(this.deployment, key, SCRIPTS.noteChannels, [key], args)) as readonly string[];
    await Promise.all(oldest.map((channel) => this.forget(channel)));
  }

  /** On any node: each is subscribed once, where `Subscribers` puts it. */
  private async hasSubscribers(topic: string): Promise<boolean> {
    const { deployment } = this;
    const isSharded = deployment.publishes === "SPUBLISH";
    const server = isSharded ? deployment.serverOf(topic) : deployment.servers()[0];
    const reply = await server?.call("PUBSUB", isSharded ? "SHARDNUMSUB" : "NUMSUB", topic);
    return !Array.isArray(reply) || Number(reply[1]) > 0;
  }

  private async forget(channel: string): Promise<void> {
    const { deployment, keys } = this;
    const topic = keys.topic(channel, deployment.database);
    if (await this.hasSubscribers(topic)) {
      this.note(channel, Infinity); // nothing has to give way to it
      return;
    }
    this.recent.delete(channel);
    const name = keys.channel(channel);
    await runCommand(deployment, name, "DEL", name + META, name + STREAM);
  }
}
