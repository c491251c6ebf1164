import { type MemoryBudget, type MemoryPart, sharedMemoryBudget } from "tungstate";
import { checkNames, checkTime } from "tungstate/internal";
import type { ClientInfo } from "../broker/broker.ts";
import { type Clock, systemClock } from "../schedule/clock.ts";
import { Entry, List } from "../schedule/list.ts";
import { own, sizeOf, sizeOfOptional } from "../memory/owned.ts";
import {
  invalidCursor,
  type PresenceEntry,
  type PresenceFilter,
  type PresencePage,
  type PresenceStats,
  type PresenceStore,
} from "./presence-store.ts";

/** Approximate bytes of memory of an entry besides its texts. */
const ENTRY_BYTES = 300;
/** The order of an entry, and its client. */
const CURSOR = /^\d{1,15} /;
/** Approximate bytes of an entry as JSON besides its texts. */
const FRAMING_BYTES = 64;

interface Present {
  info: ClientInfo;
  expiresAt: number;
  /** Number of the addition, in the order of the list. */
  order: number;
  /** Bytes of its texts. */
  bytes: number;
}

/**
 * The clients in one channel. All entries have the same lifetime, so the list, in the order of
 * additions, is also in the order of expiry.
 */
class Room {
  private readonly entries = new Map<string, Entry<Present>>();
  private readonly list = new List<Present>();
  /** Number of clients by user. */
  private readonly users = new Map<string, number>();
  private additions = 0;
  /** Bytes of memory. */
  bytes = 0;

  add(info: ClientInfo, expiresAt: number): void {
    const known = this.entries.get(info.client);
    if (known === undefined) {
      const present = { info, expiresAt, order: ++this.additions, bytes: textBytes(info) };
      const entry = new Entry<Present>(present);
      this.entries.set(info.client, entry);
      this.list.add(entry);
      this.count(present, 1);
      return;
    }
    const { value } = known;
    if (value.info !== info) {
      this.count(value, -1);
      value.info = info;
      value.bytes = textBytes(info);
      this.count(value, 1);
    }
    value.expiresAt = expiresAt;
    value.order = ++this.additions;
    this.list.add(known);
  }

  remove(client: string): void {
    const entry = this.entries.get(client);
    if (entry === undefined) return;
    this.entries.delete(client);
    this.list.remove(entry);
    this.count(entry.value, -1);
  }

  expire(now: number): void {
    for (let first = this.list.first; first !== undefined && first.value.expiresAt <= now; first = this.list.first) {
      this.remove(first.value.info.client);
    }
  }

  get stats(): PresenceStats {
    return { clients: this.entries.size, users: this.users.size };
  }

  page({ after, limit = Infinity, maxBytes = Infinity }: PresenceFilter): PresencePage {
    const clients: ClientInfo[] = [];
    let bytes = 0;
    let last: Present | undefined;
    for (let each = this.behind(after); each !== undefined; each = each.after) {
      const { value } = each;
      bytes += value.bytes + FRAMING_BYTES;
      if (clients.length > 0 && (clients.length >= limit || bytes > maxBytes)) {
        return { clients, next: last === undefined ? undefined : `${last.order} ${last.info.client}` };
      }
      clients.push(value.info);
      last = value;
    }
    return { clients, next: undefined };
  }

  /**
   * Returns the first entry after the one where a page ended, which may have gone or been added
   * again since.
   */
  private behind(cursor: string | undefined): Entry<Present> | undefined {
    if (cursor === undefined) return this.list.first;
    const blank = cursor.indexOf(" ");
    const order = Number(cursor.slice(0, blank));
    const known = this.entries.get(cursor.slice(blank + 1));
    if (known?.value.order === order) return known.after;
    let entry = this.list.first;
    while (entry !== undefined && entry.value.order <= order) entry = entry.after;
    return entry;
  }

  private count({ info, bytes }: Present, by: 1 | -1): void {
    this.bytes += by * (bytes + ENTRY_BYTES);
    const count = (this.users.get(info.user) ?? 0) + by;
    if (count === 0) this.users.delete(info.user);
    else this.users.set(info.user, count);
  }
}

function textBytes({ client, user, connInfo, chanInfo }: ClientInfo): number {
  return sizeOf(client) + sizeOf(user) + sizeOfOptional(connInfo) + sizeOfOptional(chanInfo);
}

/** Options of a MemoryPresenceStore. */
export interface MemoryPresenceStoreOptions {
  /** Time; for tests. Default: the system's. */
  readonly clock?: Clock;
  /** Lifetime of an entry without renewal, in ms. Default: 60,000. */
  readonly ttl?: number;
  /**
   * The memory budget that the entries count in, while a hub is served. Default:
   * `sharedMemoryBudget`.
   */
  readonly memoryBudget?: MemoryBudget;
}

/** A presence store in the memory of this process; hubs of one process may share it. */
export class MemoryPresenceStore implements PresenceStore {
  readonly ttl: number;
  readonly #clock: Clock;
  readonly #memory: MemoryPart;
  readonly #rooms = new Map<string, Room>();
  #bytes = 0;
  #hubs = 0;

  constructor(options: MemoryPresenceStoreOptions = {}) {
    const names = { clock: true, ttl: true, memoryBudget: true } as const;
    checkNames(options, names, "a MemoryPresenceStore");
    this.#clock = options.clock ?? systemClock;
    this.ttl = options.ttl ?? 60_000;
    checkTime("ttl", this.ttl);
    this.#memory = (options.memoryBudget ?? sharedMemoryBudget).part("hub presence");
  }

  async start(): Promise<void> {
    this.#hubs++;
    this.#count(0);
  }

  async stop(): Promise<void> {
    this.#hubs--;
    this.#count(0);
  }

  async add(channel: string, info: ClientInfo): Promise<void> {
    this.#addAt(channel, info, this.#clock.now());
  }

  async remove(channel: string, info: ClientInfo): Promise<void> {
    const room = this.#room(channel);
    if (room !== undefined) this.#change(channel, room, () => room.remove(info.client));
  }

  async renew(entries: readonly PresenceEntry[]): Promise<void> {
    const now = this.#clock.now();
    for (const { channel, info } of entries) this.#addAt(channel, info, now);
  }

  async clients(channel: string, filter: PresenceFilter = {}): Promise<PresencePage> {
    if (filter.after !== undefined && !CURSOR.test(filter.after)) throw invalidCursor();
    return this.#room(channel)?.page(filter) ?? { clients: [], next: undefined };
  }

  async stats(channel: string): Promise<PresenceStats> {
    return this.#room(channel)?.stats ?? { clients: 0, users: 0 };
  }

  #addAt(channel: string, info: ClientInfo, now: number): void {
    let room = this.#rooms.get(channel);
    if (room === undefined) this.#rooms.set(own(channel), (room = new Room()));
    const { bytes } = room;
    room.add(info, now + this.ttl);
    this.#count(room.bytes - bytes);
  }

  /** Returns the current clients of a channel; undefined if there are none. */
  #room(channel: string): Room | undefined {
    const room = this.#rooms.get(channel);
    if (room === undefined) return undefined;
    this.#change(channel, room, () => room.expire(this.#clock.now()));
    return room.stats.clients > 0 ? room : undefined;
  }

  /** Removes clients from a channel; the channel is removed with its last client. */
  #change(channel: string, room: Room, leave: () => void): void {
    const { bytes } = room;
    leave();
    if (room.stats.clients === 0) this.#rooms.delete(channel);
    this.#count(room.bytes - bytes);
  }

  #count(more: number): void {
    this.#bytes += more;
    this.#memory.set(this.#hubs === 0 ? 0 : this.#bytes);
  }
}
