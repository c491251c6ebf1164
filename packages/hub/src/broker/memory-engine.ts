import { randomBytes } from "node:crypto";
import { type Clock, systemClock } from "../clock.ts";
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
  type Publication,
} from "./broker.ts";
import { checkNames } from "../option-names.ts";
import { PublicationRing } from "./publication-ring.ts";

const DEFAULT_HISTORY_BYTES = 256 * 1024 * 1024;
const KEPT_SHARE = 7 / 8; // of the limit, so that not each publication looks for channels to take from
const SWEEP_INTERVAL = 10_000; // ms
const SWEEP_AT_ONCE = 10_000; // streams looked at in one go, so that a sweep takes a few ms at most

interface Stream {
  readonly epoch: string;
  /** The newest offset ever given. */
  top: number;
  readonly ring: PublicationRing;
  expiresAt: number;
  metaExpiresAt: number;
}

interface RememberedResult extends BrokerResult {
  readonly expiresAt: number;
}

/** One hub's place at the engine. */
export interface EngineNode {
  readonly handler: BrokerHandler;
  readonly channels: Set<string>;
}

export interface MemoryEngineOptions {
  readonly clock?: Clock;
  /**
   * What the publications of all channels together may take, in bytes, about; Infinity for no limit. Beyond it the channels that were published in
   * longest ago lose theirs: who comes back to one of them is told that it can't recover. Default 256 MiB.
   */
  readonly historyBytes?: number;
  /** Makes the epochs of streams: any string that comes only once. */
  readonly newEpoch?: () => string;
}

/** Streams in memory, with delivery to the nodes of one process: what is behind one or several MemoryBrokers. */
export class MemoryEngine {
  private readonly clock: Clock;
  private readonly newEpoch: () => string;
  private readonly historyLimit: number;
  private kept = 0;
  /** Those that were published in last at the end. */
  private readonly streams = new Map<string, Stream>();
  private readonly nodes = new Set<EngineNode>();
  /** Nodes that want a channel. */
  private readonly interest = new Map<string, EngineNode[]>();
  private readonly results = new Map<string, RememberedResult>();
  /** Deliveries that were asked for while another was under way: order is kept, whatever a handler does. */
  private readonly waiting: (() => void)[] = [];
  private delivering = false;
  private stopSweeping: (() => void) | undefined;
  private sweep: Iterator<[string, Stream], undefined> | undefined;

  constructor(options: MemoryEngineOptions = {}) {
    checkNames("the options of a MemoryEngine", options, { clock: true, historyBytes: true, newEpoch: true });
    this.clock = options.clock ?? systemClock;
    this.newEpoch = options.newEpoch ?? (() => randomBytes(6).toString("base64url"));
    this.historyLimit = options.historyBytes ?? DEFAULT_HISTORY_BYTES;
    if (!(this.historyLimit >= 0)) throw new RangeError(`historyBytes is bytes, got ${String(options.historyBytes)}`);
  }

  /** Bytes that the publications of all channels take, about. */
  get historyBytes(): number {
    return this.kept;
  }

  /** Streams kept, expired ones that no sweep has met included. */
  get streamCount(): number {
    return this.streams.size;
  }

  attach(handler: BrokerHandler): EngineNode {
    const node: EngineNode = { handler, channels: new Set() };
    this.nodes.add(node);
    if (this.nodes.size === 1) this.scheduleSweep();
    return node;
  }

  detach(node: EngineNode): void {
    for (const channel of [...node.channels]) this.unsubscribe(node, channel);
    this.nodes.delete(node);
    if (this.nodes.size === 0) this.stopSweeping?.();
  }

  subscribe(node: EngineNode, channel: string): void {
    if (node.channels.has(channel)) return;
    node.channels.add(channel);
    const interested = this.interest.get(channel);
    // a new array: a delivery may be going through the old one
    this.interest.set(channel, interested === undefined ? [node] : [...interested, node]);
  }

  unsubscribe(node: EngineNode, channel: string): void {
    if (!node.channels.delete(channel)) return;
    const rest = (this.interest.get(channel) ?? []).filter((each) => each !== node);
    if (rest.length === 0) this.interest.delete(channel);
    else this.interest.set(channel, rest);
  }

  publish(channel: string, publication: NewPublication, options: BrokerPublishOptions): Promise<BrokerResult> {
    const key = options.idempotencyKey === undefined ? undefined : `${channel}\n${options.idempotencyKey}`;
    const now = this.clock.now();
    if (key !== undefined) {
      const known = this.results.get(key);
      if (known !== undefined && known.expiresAt > now) {
        return Promise.resolve({ offset: known.offset, epoch: known.epoch, duplicate: true, fanOut: undefined });
      }
    }
    let offset = 0;
    let epoch = "";
    let published: Publication;
    if (options.historySize > 0 && options.historyTtl > 0) {
      const stream = this.stream(channel, now);
      offset = ++stream.top;
      epoch = stream.epoch;
      published = { ...publication, offset };
      const before = stream.ring.size;
      stream.ring.add(published, options.historySize);
      this.kept += stream.ring.size - before;
      this.streams.delete(channel);
      this.streams.set(channel, stream);
      if (this.kept > this.historyLimit) this.evict();
      stream.expiresAt = now + options.historyTtl;
      stream.metaExpiresAt = now + options.metaTtl;
    } else {
      published = { ...publication, offset };
    }
    if (key !== undefined) {
      const expiresAt = now + (options.idempotencyTtl ?? DEFAULT_IDEMPOTENCY_TTL);
      this.results.delete(key); // to the end of the map, whose front is looked at first by the sweep
      this.results.set(key, { offset, epoch, duplicate: false, fanOut: undefined, expiresAt });
    }
    return new Promise((resolve) => {
      this.deliver(() => {
        resolve({ offset, epoch, duplicate: false, fanOut: this.handOver(channel, published, epoch) });
      });
    });
  }

  publishJoin(channel: string, info: ClientInfo): void {
    this.deliver(() => {
      for (const node of this.interest.get(channel) ?? []) node.handler.join(channel, info);
    });
  }

  publishLeave(channel: string, info: ClientInfo): void {
    this.deliver(() => {
      for (const node of this.interest.get(channel) ?? []) node.handler.leave(channel, info);
    });
  }

  history(channel: string, filter: HistoryFilter, metaTtl: number): HistoryPage {
    const now = this.clock.now();
    const stream = this.stream(channel, now);
    const { top, epoch, ring } = stream;
    const kept = top === 0 ? Math.min(metaTtl, EMPTY_META_TTL) : metaTtl;
    stream.metaExpiresAt = Math.max(stream.metaExpiresAt, now + kept);
    let publications: Publication[] = [];
    if (filter.limit !== 0) {
      publications =
        filter.reverse === true
          ? ring.before(filter.since?.offset ?? top + 1, filter.limit, top)
          : ring.after(filter.since?.offset ?? 0, filter.limit, top);
    }
    return { offset: top, epoch, publications };
  }

  removeHistory(channel: string): void {
    const stream = this.streams.get(channel);
    if (stream !== undefined) this.clear(stream);
  }

  private clear({ ring }: Stream): void {
    this.kept -= ring.size;
    ring.clear();
  }

  private evict(): void {
    for (const stream of this.streams.values()) {
      if (this.kept <= this.historyLimit * KEPT_SHARE) return;
      this.clear(stream);
    }
  }

  control(from: EngineNode, message: string): void {
    this.deliver(() => {
      for (const node of this.nodes) if (node !== from) node.handler.control(message);
    });
  }

  /** The channel's stream as it is now: without what has expired, made if there is none. */
  private stream(channel: string, now: number): Stream {
    const known = this.streams.get(channel);
    if (known !== undefined && !this.isForgotten(channel, known, now)) {
      if (known.expiresAt <= now) this.clear(known);
      return known;
    }
    if (known !== undefined) this.clear(known);
    const stream = { epoch: this.newEpoch(), top: 0, ring: new PublicationRing(), expiresAt: 0, metaExpiresAt: 0 };
    this.streams.set(channel, stream);
    return stream;
  }

  /** Whether epoch and offset have expired. Not while a node is subscribed: its subscribers stand at a position of the stream. */
  private isForgotten(channel: string, stream: Stream, now: number): boolean {
    return stream.expiresAt <= now && stream.metaExpiresAt <= now && !this.interest.has(channel);
  }

  private handOver(channel: string, publication: Publication, epoch: string): FanOut {
    const nodes = this.interest.get(channel) ?? [];
    const [node] = nodes;
    // not looked at: reading the numbers has it delivered at once
    if (nodes.length === 1) return node?.handler.publication(channel, publication, epoch) ?? nothing();
    const total = nothing();
    for (const each of nodes) {
      const fanOut = each.handler.publication(channel, publication, epoch);
      if (fanOut === undefined) continue;
      total.delivered += fanOut.delivered;
      total.queued += fanOut.queued;
      total.dropped += fanOut.dropped;
      total.disconnected += fanOut.disconnected;
    }
    return total;
  }

  private deliver(delivery: () => void): void {
    if (this.delivering) {
      this.waiting.push(delivery);
      return;
    }
    this.delivering = true;
    try {
      delivery();
      for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) next();
    } finally {
      this.delivering = false;
    }
  }

  private scheduleSweep(): void {
    this.stopSweeping = this.clock.after(SWEEP_INTERVAL, () => {
      this.sweepOnce(this.clock.now());
      this.scheduleSweep();
    });
  }

  private sweepOnce(now: number): void {
    for (const [key, result] of this.results) {
      if (result.expiresAt > now) break;
      this.results.delete(key);
    }
    this.sweep ??= this.streams.entries(); // goes on where the last sweep stopped
    for (let looked = 0; looked < SWEEP_AT_ONCE; looked++) {
      const next = this.sweep.next();
      if (next.done === true) {
        this.sweep = undefined;
        return;
      }
      const [channel, stream] = next.value;
      if (stream.expiresAt <= now) this.clear(stream);
      if (this.isForgotten(channel, stream, now)) this.streams.delete(channel);
    }
  }
}

function nothing(): FanOut {
  return { delivered: 0, queued: 0, dropped: 0, disconnected: 0 };
}
