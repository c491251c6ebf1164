import { randomBytes } from "node:crypto";
import { getHeapStatistics } from "node:v8";
import { type MemoryBudget, type MemoryPart, sharedMemoryBudget } from "tungstate";
import { argumentError, checkNames } from "tungstate/internal";
import { type Clock, systemClock } from "../schedule/clock.ts";
import {
  type BrokerHandler,
  type BrokerPublishOptions,
  type BrokerResult,
  type ClientInfo,
  DEFAULT_IDEMPOTENCY_TTL,
  EMPTY_META_TTL,
  type FanOut,
  type HistoryFilter,
  type HistoryPage,
  type NewPublication,
  type PendingFanOut,
  type Publication,
  QuotaExceededError,
} from "./broker.ts";
import { own, sizeOf, sizeOfOptional, type Tally } from "../memory/owned.ts";
import { type Stream, Streams } from "./streams.ts";

const MOST_HISTORY_BYTES = 256 * 1024 * 1024; // by default, where V8's heap is large enough for it
const HEAP_SHARE = 1 / 8; // of V8's heap, for what channels keep
const KEYS_SHARE = 1 / 8; // of the limit, for idempotency keys
const KEY_BYTES = 200; // bytes of memory that an idempotency key takes besides its text, about
const SWEEP_INTERVAL = 10_000; // ms
const SWEEP_AT_ONCE = 10_000; // streams looked at in one go, so that a sweep takes a few ms at most

interface RememberedResult extends BrokerResult {
  readonly expiresAt: number;
  /** Bytes of memory. */
  readonly bytes: number;
}

/** The registration of one hub at the engine. */
export interface EngineNode {
  readonly handler: BrokerHandler;
  readonly channels: Set<string>;
}

/** Options of a MemoryEngine. */
export interface MemoryEngineOptions {
  /** Time and ticks; for tests. Default: the system's. */
  readonly clock?: Clock;
  /**
   * Approximate maximum of memory for all channels, in bytes: publications, positions and
   * idempotency keys. Infinity: no limit. Above it, the channels with the oldest publications lose
   * these first, then their positions: a client that returns to such a channel is told that it
   * cannot recover. Default: an eighth of V8's heap, at most 256 MiB.
   */
  readonly historyBytes?: number;
  /**
   * The memory budget that this memory counts in. Above three quarters of the budget, channels lose
   * what they keep, as above `historyBytes`. Default `sharedMemoryBudget`.
   */
  readonly memoryBudget?: MemoryBudget;
  /** Returns the epoch of a new stream: any unique string. */
  readonly newEpoch?: () => string;
}

/**
 * Streams in memory, with delivery to the nodes of one process, behind one or several
 * MemoryBrokers.
 */
export class MemoryEngine {
  readonly #clock: Clock;
  readonly #newEpoch: () => string;
  readonly #historyLimit: number;
  readonly #memory: MemoryPart;
  readonly #streams = new Streams();
  readonly #nodes = new Set<EngineNode>();
  /** Nodes by the channels that they are subscribed to. */
  readonly #interest = new Map<string, EngineNode[]>();
  readonly #results = new Map<string, RememberedResult>();
  #resultBytes = 0;
  /** Bytes of the texts that are copied. */
  readonly #tally: Tally = { bytes: 0 };
  /** Deliveries requested during another one: they keep their order, whatever a handler does. */
  readonly #waiting: (() => void)[] = [];
  #delivering = false;
  #stopSweeping: (() => void) | undefined;
  #sweep: Iterator<Stream, undefined> | undefined;
  #keySweep: Iterator<[string, RememberedResult], undefined> | undefined;

  constructor(options: MemoryEngineOptions = {}) {
    const names = { clock: true, historyBytes: true, memoryBudget: true, newEpoch: true } as const;
    checkNames(options, names, "a MemoryEngine");
    this.#clock = options.clock ?? systemClock;
    this.#newEpoch = options.newEpoch ?? (() => randomBytes(6).toString("base64url"));
    this.#historyLimit = options.historyBytes ?? defaultHistoryBytes();
    if (!(this.#historyLimit >= 0)) {
      throw argumentError(
        RangeError,
        `historyBytes must be a number of bytes, at least 0, got ${String(options.historyBytes)}`,
      );
    }
    this.#memory = (options.memoryBudget ?? sharedMemoryBudget).part("hub history", {
      cache: true,
      release: (excess) => {
        this.#shrinkTo(this.historyBytes - excess);
        return 0;
      },
    });
  }

  /** Approximate bytes of memory that all channels take. */
  get historyBytes(): number {
    return this.#streams.bytes + this.#resultBytes;
  }

  /** Number of streams, including expired ones that no sweep has reached. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /** Adds the handler of a hub; returns its node. */
  attach(handler: BrokerHandler): EngineNode {
    const node: EngineNode = { handler, channels: new Set() };
    this.#nodes.add(node);
    if (this.#nodes.size === 1) this.#scheduleSweep();
    this.#count();
    return node;
  }

  /** Removes a node and its subscriptions. */
  detach(node: EngineNode): void {
    for (const channel of [...node.channels]) this.unsubscribe(node, channel);
    this.#nodes.delete(node);
    if (this.#nodes.size === 0) this.#stopSweeping?.();
    this.#count();
  }

  /** Begins the delivery of a channel to a node. */
  subscribe(node: EngineNode, channel: string): void {
    if (node.channels.has(channel)) return;
    node.channels.add(channel);
    const interested = this.#interest.get(channel);
    // a new array: a delivery may be iterating over the old one
    this.#interest.set(channel, interested === undefined ? [node] : [...interested, node]);
    if (interested === undefined) this.#streams.subscribed(channel, true);
  }

  /** Ends the delivery of a channel to a node. */
  unsubscribe(node: EngineNode, channel: string): void {
    if (!node.channels.delete(channel)) return;
    const rest = (this.#interest.get(channel) ?? []).filter((each) => each !== node);
    if (rest.length > 0) {
      this.#interest.set(channel, rest);
      return;
    }
    this.#interest.delete(channel);
    this.#streams.subscribed(channel, false);
  }

  /** Publishes to a channel: see Broker. */
  publish(channel: string, publication: NewPublication, options: BrokerPublishOptions): Promise<BrokerResult> {
    const key = options.idempotencyKey === undefined ? undefined : `${channel}\n${options.idempotencyKey}`;
    const now = this.#clock.now();
    if (key !== undefined) {
      const known = this.#results.get(key);
      if (known !== undefined && known.expiresAt > now) {
        return Promise.resolve({ offset: known.offset, epoch: known.epoch, duplicate: true, fanOut: undefined });
      }
    }
    const keyBytes = key === undefined ? 0 : this.#roomForKey(key);
    let offset = 0;
    let epoch = "";
    let published: Publication;
    if (options.historySize > 0 && options.historyTtl > 0) {
      const stream = this.#stream(channel, now, options.maxChannels);
      offset = ++stream.top;
      epoch = stream.epoch;
      published = this.#keep(stream, publication, options);
      stream.expiresAt = now + options.historyTtl;
      stream.metaExpiresAt = now + options.metaTtl;
      this.#streams.use(stream, now);
    } else {
      published = { ...publication, offset };
    }
    if (key !== undefined) {
      const expiresAt = now + (options.idempotencyTtl ?? DEFAULT_IDEMPOTENCY_TTL);
      const result = { offset, epoch, duplicate: false, fanOut: undefined, expiresAt, bytes: keyBytes };
      this.#results.set(own(key), result);
      this.#resultBytes += keyBytes;
    }
    if (this.historyBytes > this.#historyLimit) this.#shrinkTo(this.#historyLimit);
    this.#count();
    return new Promise((resolve) => {
      this.#deliver(() => {
        resolve({ offset, epoch, duplicate: false, fanOut: this.#handOver(channel, published, epoch) });
      });
    });
  }

  /** Tells all nodes that a client has joined a channel. */
  publishJoin(channel: string, info: ClientInfo): void {
    this.#deliver(() => {
      for (const node of this.#interest.get(channel) ?? []) node.handler.join(channel, info);
    });
  }

  /** Tells all nodes that a client has left a channel. */
  publishLeave(channel: string, info: ClientInfo): void {
    this.#deliver(() => {
      for (const node of this.#interest.get(channel) ?? []) node.handler.leave(channel, info);
    });
  }

  /** Reads publications of a channel's stream: see Broker. */
  history(channel: string, filter: HistoryFilter, metaTtl: number): HistoryPage {
    const now = this.#clock.now();
    const stream = this.#stream(channel, now, filter.maxChannels);
    const { top, epoch, ring } = stream;
    const kept = top === 0 ? Math.min(metaTtl, EMPTY_META_TTL) : metaTtl;
    stream.metaExpiresAt = Math.max(stream.metaExpiresAt, now + kept);
    this.#streams.use(stream, now);
    let publications: Publication[] = [];
    if (filter.limit !== 0 && ring !== undefined) {
      const slice = { limit: filter.limit, maxBytes: filter.maxBytes ?? Infinity };
      publications =
        filter.reverse === true
          ? ring.before(filter.since?.offset ?? top + 1, slice, top)
          : ring.after(filter.since?.offset ?? 0, slice, top);
    }
    return { offset: top, epoch, publications };
  }

  /** Removes the publications of a channel's stream. */
  removeHistory(channel: string): void {
    const stream = this.#streams.get(channel);
    if (stream !== undefined) this.#streams.clear(stream);
    this.#count();
  }

  /** Returns the publication to keep: its texts share no memory with their frame or body. */
  #keep(
    stream: Stream,
    { data, info, tags }: NewPublication,
    { historySize: size, isOwned }: BrokerPublishOptions,
  ): Publication {
    const tally = this.#tally;
    tally.bytes = isOwned === true ? sizeOf(data) : 0;
    const kept: { -readonly [Name in keyof Publication]: Publication[Name] } = {
      data: isOwned === true ? data : own(data, tally),
      offset: stream.top,
    };
    if (info !== undefined) {
      kept.info = info; // of a session, which owns its texts
      tally.bytes += sizeOfOptional(info.connInfo) + sizeOfOptional(info.chanInfo);
    }
    if (tags !== undefined) {
      kept.tags = tags;
      for (const [name, value] of Object.entries(tags)) tally.bytes += sizeOf(name) + sizeOf(value);
    }
    this.#streams.add(stream, kept, tally.bytes, size);
    return kept;
  }

  /**
   * Returns the bytes that a new idempotency key takes. Throws a QuotaExceededError if too many are
   * kept.
   */
  #roomForKey(key: string): number {
    const known = this.#results.get(key);
    if (known !== undefined) this.#forgetKey(key, known); // it has expired
    const bytes = KEY_BYTES + sizeOf(key);
    const limit = this.#historyLimit * KEYS_SHARE;
    if (this.#resultBytes + bytes <= limit) return bytes;
    throw new QuotaExceededError(
      `idempotency keys may take ${Math.floor(limit)} bytes of memory, and all are in use: give them a shorter idempotencyTtl`,
    );
  }

  #forgetKey(key: string, { bytes }: RememberedResult): void {
    this.#results.delete(key);
    this.#resultBytes -= bytes;
  }

  #shrinkTo(bytes: number): void {
    this.#streams.shrinkTo(bytes - this.#resultBytes);
    this.#count();
  }

  /** Counts the memory in the budget while a hub is served. */
  #count(): void {
    this.#memory.set(this.#nodes.size === 0 ? 0 : this.historyBytes);
  }

  /** Hands a message to the handlers of all other nodes. */
  control(from: EngineNode, message: string): void {
    this.#deliver(() => {
      for (const node of this.#nodes) if (node !== from) node.handler.control(message);
    });
  }

  /** Returns the channel's stream without expired publications; creates it if needed. */
  #stream(channel: string, now: number, maxChannels = Infinity): Stream {
    const streams = this.#streams;
    const known = streams.get(channel);
    if (known !== undefined && !this.#isForgotten(known, now)) {
      if (known.expiresAt <= now) streams.clear(known);
      return known;
    }
    if (known !== undefined) streams.forget(known);
    const stream = streams.create(channel, this.#newEpoch(), this.#interest.has(channel), maxChannels, now);
    if (this.historyBytes > this.#historyLimit) this.#shrinkTo(this.#historyLimit);
    this.#count();
    return stream;
  }

  /**
   * Whether epoch and offset have expired. They do not while a node is subscribed: its subscribers
   * have positions in the stream.
   */
  #isForgotten(stream: Stream, now: number): boolean {
    return stream.expiresAt <= now && stream.metaExpiresAt <= now && !this.#interest.has(stream.channel);
  }

  /** Undefined: no node has a subscriber that is known to get it. */
  #handOver(channel: string, publication: Publication, epoch: string): PendingFanOut | undefined {
    const nodes = this.#interest.get(channel) ?? [];
    const [node] = nodes;
    if (nodes.length === 1) return node?.handler.publication(channel, publication, epoch);
    const pending: PendingFanOut[] = [];
    for (const each of nodes) {
      const fanOut = each.handler.publication(channel, publication, epoch);
      if (fanOut !== undefined) pending.push(fanOut);
    }
    return pending.length === 0 ? undefined : { settled: () => sumOf(pending) };
  }

  #deliver(delivery: () => void): void {
    if (this.#delivering) {
      this.#waiting.push(delivery);
      return;
    }
    this.#delivering = true;
    try {
      delivery();
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next();
    } finally {
      this.#delivering = false;
    }
  }

  #scheduleSweep(): void {
    this.#stopSweeping = this.#clock.after(SWEEP_INTERVAL, () => {
      this.#sweepOnce(this.#clock.now());
      this.#scheduleSweep();
    });
  }

  #sweepOnce(now: number): void {
    this.#sweepKeys(now);
    this.#sweep ??= this.#streams.values(); // continues where the last sweep stopped
    for (let looked = 0; looked < SWEEP_AT_ONCE; looked++) {
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = undefined;
        break;
      }
      const stream = next.value;
      if (stream.expiresAt <= now) this.#streams.clear(stream);
      if (this.#isForgotten(stream, now)) this.#streams.forget(stream);
    }
    this.#count();
  }

  #sweepKeys(now: number): void {
    this.#keySweep ??= this.#results.entries();
    for (let looked = 0; looked < SWEEP_AT_ONCE; looked++) {
      const next = this.#keySweep.next();
      if (next.done === true) {
        this.#keySweep = undefined;
        return;
      }
      const [key, result] = next.value;
      if (result.expiresAt <= now) this.#forgetKey(key, result);
    }
  }
}

function defaultHistoryBytes(): number {
  return Math.min(MOST_HISTORY_BYTES, Math.floor(getHeapStatistics().heap_size_limit * HEAP_SHARE));
}

async function sumOf(pending: readonly PendingFanOut[]): Promise<FanOut> {
  const total = { delivered: 0, queued: 0, dropped: 0, disconnected: 0 };
  for (const fanOut of await Promise.all(pending.map((each) => each.settled()))) {
    total.delivered += fanOut.delivered;
    total.queued += fanOut.queued;
    total.dropped += fanOut.dropped;
    total.disconnected += fanOut.disconnected;
  }
  return total;
}
