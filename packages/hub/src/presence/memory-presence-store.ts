import { timeFault } from "tungstate/internal/time-options";
import type { ClientInfo } from "../broker/broker.ts";
import { type Clock, systemClock } from "../clock.ts";
import { checkNames } from "../option-names.ts";
import type { PresenceEntry, PresenceStats, PresenceStore } from "./presence-store.ts";

interface Present {
  readonly info: ClientInfo;
  readonly expiresAt: number;
}

/** Those in one channel. All live equally long, so the map, in the order of additions, is also in the order of expiry. */
class Room {
  private readonly present = new Map<string, Present>();
  /** How many clients each user has. */
  private readonly users = new Map<string, number>();

  add(info: ClientInfo, expiresAt: number): void {
    this.remove(info.client);
    this.present.set(info.client, { info, expiresAt });
    this.users.set(info.user, (this.users.get(info.user) ?? 0) + 1);
  }

  remove(client: string): void {
    const present = this.present.get(client);
    if (present === undefined) return;
    this.present.delete(client);
    const rest = (this.users.get(present.info.user) ?? 1) - 1;
    if (rest === 0) this.users.delete(present.info.user);
    else this.users.set(present.info.user, rest);
  }

  expire(now: number): void {
    for (const [client, present] of this.present) {
      if (present.expiresAt > now) return;
      this.remove(client);
    }
  }

  get stats(): PresenceStats {
    return { clients: this.present.size, users: this.users.size };
  }

  infos(): ClientInfo[] {
    return Array.from(this.present.values(), ({ info }) => info);
  }
}

export interface MemoryPresenceStoreOptions {
  readonly clock?: Clock;
  /** How long an entry lives without being renewed, ms. Default: 60,000. */
  readonly ttl?: number;
}

/** Presence in the memory of this process; hubs of one process may share a store. */
export class MemoryPresenceStore implements PresenceStore {
  readonly ttl: number;
  private readonly clock: Clock;
  private readonly rooms = new Map<string, Room>();

  constructor(options: MemoryPresenceStoreOptions = {}) {
    checkNames("the options of a MemoryPresenceStore", options, { clock: true, ttl: true });
    this.clock = options.clock ?? systemClock;
    this.ttl = options.ttl ?? 60_000;
    const fault = timeFault("ttl", this.ttl);
    if (fault !== undefined) throw new RangeError(fault);
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  async add(channel: string, info: ClientInfo): Promise<void> {
    this.addAt(channel, info, this.clock.now());
  }

  async remove(channel: string, info: ClientInfo): Promise<void> {
    const room = this.room(channel);
    room?.remove(info.client);
    if (room?.stats.clients === 0) this.rooms.delete(channel);
  }

  async renew(entries: readonly PresenceEntry[]): Promise<void> {
    const now = this.clock.now();
    for (const { channel, info } of entries) this.addAt(channel, info, now);
  }

  async clients(channel: string): Promise<readonly ClientInfo[]> {
    return this.room(channel)?.infos() ?? [];
  }

  async stats(channel: string): Promise<PresenceStats> {
    return this.room(channel)?.stats ?? { clients: 0, users: 0 };
  }

  private addAt(channel: string, info: ClientInfo, now: number): void {
    let room = this.rooms.get(channel);
    if (room === undefined) this.rooms.set(channel, (room = new Room()));
    room.add(info, now + this.ttl);
  }

  /** The room as it is now, undefined where nobody is. */
  private room(channel: string): Room | undefined {
    const room = this.rooms.get(channel);
    if (room === undefined) return undefined;
    room.expire(this.clock.now());
    if (room.stats.clients > 0) return room;
    this.rooms.delete(channel);
    return undefined;
  }
}
