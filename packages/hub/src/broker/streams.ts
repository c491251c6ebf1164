import { namespaceOf } from "../options/channel-name.ts";
import { Entry, List } from "../schedule/list.ts";
import { own, sizeOf } from "../memory/owned.ts";
import type { Publication } from "./broker.ts";
import { PublicationRing } from "./publication-ring.ts";

/** Bytes of memory that a stream takes besides its name and its publications, about. */
const RECORD_BYTES = 600;

/** The streams of one namespace. */
interface Group {
  readonly name: string;
  count: number;
  /** The most streams without a subscriber. */
  maxIdle: number;
  /** Those without a subscriber, the one that was used longest ago first. */
  readonly idle: List<Stream>;
}

/** One channel's stream: its position, and the publications that are kept. The fields are those of Streams and its engine to change. */
export class Stream {
  readonly channel: string;
  readonly epoch: string;
  readonly group: Group;
  /** The newest offset ever given. */
  top = 0;
  ring: PublicationRing | undefined;
  /** When the publications are forgotten. */
  expiresAt = 0;
  /** When epoch and offset are forgotten. */
  metaExpiresAt = 0;
  usedAt: number;
  /** In the group's list of idle streams, unless it has a subscriber. */
  readonly idle = new Entry<Stream>(this);
  /** In the list of streams with publications, or of those that are idle and have none. */
  readonly kept = new Entry<Stream>(this);

  constructor(channel: string, epoch: string, group: Group, now: number) {
    this.channel = channel;
    this.epoch = epoch;
    this.group = group;
    this.usedAt = now;
  }

  get bytes(): number {
    return this.ring?.size ?? 0;
  }
}

/**
 * Streams by channel, bounded in bytes for all of them and in number for each namespace. What was used longest ago goes first: publications,
 * then the stream itself, unless it has a subscriber.
 */
export class Streams {
  private readonly byChannel = new Map<string, Stream>();
  private readonly groups = new Map<string, Group>();
  /** The one that was published in longest ago first. */
  private readonly full = new List<Stream>();
  /** Without publications and without a subscriber. */
  private readonly empty = new List<Stream>();
  private held = 0;

  /** Bytes of memory that all streams take, about. */
  get bytes(): number {
    return this.held;
  }

  get size(): number {
    return this.byChannel.size;
  }

  get(channel: string): Stream | undefined {
    return this.byChannel.get(channel);
  }

  values(): IterableIterator<Stream> {
    return this.byChannel.values();
  }

  /** A new stream. At most `maxIdle` streams of its namespace stay that have no subscriber. */
  create(name: string, epoch: string, hasSubscriber: boolean, maxIdle: number, now: number): Stream {
    const channel = own(name);
    const group = this.group(namespaceOf(channel));
    group.maxIdle = maxIdle;
    const stream = new Stream(channel, epoch, group, now);
    this.byChannel.set(channel, stream);
    group.count++;
    this.held += recordBytes(channel);
    if (!hasSubscriber) this.becomeIdle(stream);
    return stream;
  }

  /** The stream is used now: it goes behind the others of its namespace. */
  use(stream: Stream, now: number): void {
    stream.usedAt = now;
    if (stream.idle.list !== undefined) stream.group.idle.add(stream.idle);
    if (stream.kept.list === this.empty) this.empty.add(stream.kept);
  }

  /** Keeps a publication whose texts take `bytes`, and no more than `size` of the stream. */
  add(stream: Stream, publication: Publication, bytes: number, size: number): void {
    const before = stream.bytes;
    (stream.ring ??= new PublicationRing()).add(publication, bytes, size);
    this.held += stream.bytes - before;
    this.full.add(stream.kept);
  }

  /** Forgets the publications. */
  clear(stream: Stream): void {
    if (stream.ring === undefined) return;
    this.held -= stream.bytes;
    stream.ring = undefined;
    // it was used before those that are in the list, or it would be the last one of them soon
    if (stream.idle.list !== undefined) this.empty.addFirst(stream.kept);
    else this.full.remove(stream.kept);
  }

  /** Forgets the stream: whoever comes back to it finds another one. */
  forget(stream: Stream): void {
    this.clear(stream);
    const { channel, group } = stream;
    this.held -= recordBytes(channel);
    this.byChannel.delete(channel);
    group.idle.remove(stream.idle);
    stream.kept.list?.remove(stream.kept);
    if (--group.count === 0) this.groups.delete(group.name);
  }

  /** A channel has its first subscriber, or has lost its last one. */
  subscribed(channel: string, hasSubscriber: boolean): void {
    const stream = this.byChannel.get(channel);
    if (stream === undefined) return;
    if (!hasSubscriber) {
      this.becomeIdle(stream);
      return;
    }
    stream.group.idle.remove(stream.idle);
    this.empty.remove(stream.kept);
  }

  /** Forgets what was used longest ago, until all take no more than `limit` bytes, or have subscribers and no publications. */
  shrinkTo(limit: number): void {
    while (this.held > limit) {
      const full = this.full.first?.value;
      const empty = this.empty.first?.value;
      if (empty !== undefined && (full === undefined || empty.usedAt <= full.usedAt)) this.forget(empty);
      else if (full !== undefined) this.clear(full);
      else return;
    }
  }

  private becomeIdle(stream: Stream): void {
    const { idle, maxIdle } = stream.group;
    idle.add(stream.idle);
    if (stream.ring === undefined) this.empty.add(stream.kept);
    while (idle.size > maxIdle && idle.first !== undefined) this.forget(idle.first.value);
  }

  private group(name: string): Group {
    let group = this.groups.get(name);
    if (group === undefined) this.groups.set(name, (group = { name, count: 0, maxIdle: Infinity, idle: new List() }));
    return group;
  }
}

function recordBytes(channel: string): number {
  return RECORD_BYTES + sizeOf(channel);
}
