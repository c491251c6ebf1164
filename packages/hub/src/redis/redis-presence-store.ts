import type { ClientInfo } from "../broker/broker.ts";
import {
  invalidCursor,
  type PresenceEntry,
  type PresenceFilter,
  type PresencePage,
  type PresenceStats,
  type PresenceStore,
} from "../presence/presence-store.ts";
import type { RedisConnections } from "./connections.ts";
import { runScript } from "./deployment.ts";
import { SCRIPTS } from "./scripts.ts";
import { decodePresent, encodePresent } from "./wire.ts";

const REMOVED = "";
const FIRST_CURSOR = "0"; // of HSCAN, and where it ends
const CURSOR = /^\d{1,20}$/; // an unsigned number of 64 bits
const MAX_CURSOR = 2n ** 64n - 1n;
const CLIENTS_AT_ONCE = 128; // about; a large hash is read by so many fields

/** Presence in Redis: the clients of each channel with their expiry, by the clock of Redis. */
export class RedisPresenceStore implements PresenceStore {
  readonly ttl: number;
  readonly #connections: RedisConnections;

  constructor(connections: RedisConnections) {
    this.#connections = connections;
    this.ttl = connections.settings.presenceTtl;
  }

  start(): Promise<void> {
    return this.#connections.acquire();
  }

  async stop(): Promise<void> {
    this.#connections.release();
  }

  async add(channel: string, info: ClientInfo): Promise<void> {
    await this.#write(channel, [info.client, encodePresent(info)]);
  }

  async remove(channel: string, info: ClientInfo): Promise<void> {
    await this.#write(channel, [info.client, REMOVED]);
  }

  async renew(entries: readonly PresenceEntry[]): Promise<void> {
    const byChannel = new Map<string, string[]>();
    for (const { channel, info } of entries) {
      const values = byChannel.get(channel);
      if (values === undefined) byChannel.set(channel, [info.client, encodePresent(info)]);
      else values.push(info.client, encodePresent(info));
    }
    await Promise.all(Array.from(byChannel, ([channel, values]) => this.#write(channel, values)));
  }

  /**
   * Redis applies `limit` and `maxBytes` approximately, and returns all clients of a small channel.
   */
  async clients(channel: string, { after = FIRST_CURSOR }: PresenceFilter = {}): Promise<PresencePage> {
    if (!CURSOR.test(after) || BigInt(after) > MAX_CURSOR) throw invalidCursor();
    const reply = await this.#run(channel, SCRIPTS.presenceRead, ["clients", after, CLIENTS_AT_ONCE]);
    const [next, fields] = reply as readonly [string, readonly string[]];
    const values = fields.filter((_, index) => index % 2 === 1); // each behind its client
    return { clients: values.map(decodePresent), next: next === FIRST_CURSOR ? undefined : next };
  }

  async stats(channel: string): Promise<PresenceStats> {
    const [clients, users] = (await this.#run(channel, SCRIPTS.presenceRead, ["stats"])) as readonly [number, number];
    return { clients, users };
  }

  async #write(channel: string, values: readonly string[]): Promise<void> {
    await this.#run(channel, SCRIPTS.presenceWrite, [this.ttl, ...values]);
  }

  #run(
    channel: string,
    script: (typeof SCRIPTS)["presenceRead" | "presenceWrite"],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const { keys } = this.#connections;
    const key = keys.channel(channel);
    return runScript(this.#connections.of(key), key, script, keys.presence(channel), args);
  }
}
