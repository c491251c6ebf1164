import { namespaceOf } from "../options/channel-name.ts";
import { Entry, List } from "../schedule/list.ts";
import { own, sizeOf } from "../memory/owned.ts";
import type { Publication } from "./broker.ts";
import { PublicationRing } from "./publication-ring.ts";

/** Approximate bytes of memory of a stream besides its name and its publications. */
const RECORD_BYTES = 600;

/** The streams of one namespace. */
interface Group {
  readonly name: string;
  count: number;
  /** Maximum number of streams without a subscriber. */
  maxIdle: number;
  /** Streams without a subscriber, the least recently used first. */
  readonly idle: List<Stream>;
}

/**
 * The stream of one channel: its position and its publications. Only Streams and the engine change
 * its fields.
 */
export class Stream {
  readonly channel: string;
  readonly epoch: string;
  readonly group: Group;
  /** The newest offset. */
  top = 0;
  ring: PublicationRing | undefined;
  /** When the publications expire. */
  expiresAt = 0;
  /** When epoch and offset expire. */
  metaExpiresAt = 0;
  usedAt: number;
  /** Entry in the group's list of idle streams, unless it has a subscriber. */
  readonly idle = new Entry<Stream>(this);
  /** Entry in the list of streams with publications, or in that of idle streams without any. */
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
 * Streams by channel, bounded in bytes for all and in number for each namespace. The least recently
 * used go first: publications, then the stream itself, unless it has a subscriber.
 */
export class Streams {
  private readonly byChannel = new Map<string, Stream>();
  private readonly groups = new Map<string, Group>();
  /** The stream with the oldest last publication comes first. */
  private readonly full = new List<Stream>();
  /** Streams without publications and without a subscriber. */
  private readonly empty = new List<Stream>();
  private held = 0;

  /** Approximate bytes of memory of all streams. */
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

  /** Creates a stream. At most `maxIdle` streams of its namespace are kept without a subscriber. */
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

  /** Marks the stream as used: it moves behind the others of its namespace. */
  use(stream: Stream, now: number): void {
    stream.usedAt = now;
    if (stream.idle.list !== undefined) stream.group.idle.add(stream.idle);
    if (stream.kept.list === this.empty) this.empty.add(stream.kept);
  }

  /**
   * Keeps a publication whose texts take `bytes`, and at most `size` publications of the stream.
   */
  add(stream: Stream, publication: Publication, bytes: number, size: number): void {
    const before = stream.bytes;
    (stream.ring ??= new PublicationRing()).add(publication, bytes, size);
    this.held += stream.bytes - before;
    this.full.add(stream.kept);
  }

  /** Removes the publications. */
  clear(stream: Stream): void {
    if (stream.ring === undefined) return;
    this.held -= stream.bytes;
    stream.ring = undefined;
    // it was used before those in the list, and would otherwise soon be the last one
    if (stream.idle.list !== undefined) this.empty.addFirst(stream.kept);
    else this.full.remove(stream.kept);
  }

  /** Removes the stream; a client that returns finds another one. */
  forget(stream: Stream): void {
    this.clear(stream);
    const { channel, group } = stream;
    this.held -= recordBytes(channel);
    this.byChannel.delete(channel);
    group.idle.remove(stream.idle);
    stream.kept.list?.remove(stream.kept);
    if (--group.count === 0) this.groups.delete(group.name);
  }

  /** A channel has got its first subscriber, or has lost its last one. */
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

  /**
   * Evicts the least recently used until all take at most `limit` bytes, or have subscribers and no
   * publications.
   */
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
