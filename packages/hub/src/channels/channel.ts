import type { Background } from "../schedule/background.ts";
import type { Broker, ClientInfo, HistoryPage, PendingFanOut, Position, Publication } from "../broker/broker.ts";
import { ChannelSubscribers, type SubscribersContext } from "./channel-subscribers.ts";
import { UNSUBSCRIBES } from "../codes.ts";
import type { JsonText } from "../json/json.ts";
import type { Namespace } from "../settings/namespaces.ts";
import { sizeOf } from "../memory/owned.ts";
import { DeltaBase } from "../protocol/publication-push.ts";
import type { Subscription } from "./subscription.ts";
import type { TimeSlices } from "../schedule/time-slices.ts";

/** Limits of one page of history. */
export interface PageLimits {
  /** Maximum number of publications. */
  readonly historyPage: number;
  readonly pageBytes: number;
}

/** What channels need of their hub. */
export interface ChannelContext extends SubscribersContext {
  readonly broker: Broker;
  readonly background: Background;
  readonly slices: TimeSlices;
}

/**
 * Delay in ms until a position is checked again that could not be checked after an interruption; it
 * doubles up to a limit.
 */
const FIRST_RECHECK = 250;
const LAST_RECHECK = 30_000;

/** Limits of one page of history while a gap is filled. */
const GAP_PAGE = { historyPage: 1000, pageBytes: 256 * 1024 };

/**
 * Maximum bytes of publications that wait while a gap is filled. Further ones are read from history
 * too.
 */
const MOST_ARRIVALS = 256 * 1024;

interface Arrival {
  readonly publication: Publication;
  readonly epoch: string;
}

/**
 * One channel on this node: its subscribers, and its position in the stream. Subscribers get every
 * publication once, without a gap: a publication that does not follow the last one waits until
 * those between are read from history.
 */
export class Channel {
  readonly name: string;
  readonly namespace: Namespace;
  /** Resolves when it is subscribed to the broker and knows its position; rejects if that fails. */
  readonly opened: Promise<void>;
  /**
   * Number of subscriptions that exist or are being made; the channel closes when it falls to 0.
   */
  references = 0;
  private readonly context: ChannelContext;
  /** The name as JSON. */
  readonly nameJson: JsonText;
  readonly subscribers: ChannelSubscribers;
  /** Subscribers that read a page of history, with what is published meanwhile. */
  private readonly reading = new Set<Subscription>();
  /** Offset of the last publication delivered. */
  private offset = 0;
  private epoch = "";
  /** When the position was last known to be right, on the hub's clock. */
  private provenAt: number;
  /** The last publication, if deltas may be wanted. */
  private last: DeltaBase | undefined;
  /** What arrived while the channel opens or reads a gap; otherwise undefined. */
  private arrivals: Arrival[] | undefined = [];
  private arrivalBytes = 0;
  private closed = false;
  /**
   * Number of times that publications may have been lost, and how many of them a check has settled.
   */
  private doubts = 0;
  private settledDoubts = 0;
  private recheckDelay = FIRST_RECHECK;
  private stopRecheck: (() => void) | undefined;

  /** `after`: what has to end before, such as the closing of the same channel. */
  constructor(name: string, namespace: Namespace, context: ChannelContext, after: Promise<void> | undefined) {
    this.name = name;
    this.namespace = namespace;
    this.context = context;
    this.nameJson = JSON.stringify(name);
    const { slowConsumer: whenFull, conflateBy } = namespace;
    this.subscribers = new ChannelSubscribers(
      { channel: this.nameJson, whenFull, keyPrefix: `${name}\n`, conflateBy },
      context,
    );
    this.provenAt = context.clock.now();
    this.opened = this.open(after);
  }

  /**
   * The position of a subscriber that has everything that was delivered, including what waits for
   * the end of the tick.
   */
  get position(): Position {
    return { offset: this.offset, epoch: this.epoch };
  }

  get subscriberCount(): number {
    return this.subscribers.count;
  }

  /** Number of subscribers that get joins and leaves. */
  get listeners(): number {
    return this.subscribers.listeners;
  }

  /**
   * From now on, keeps publications for a subscriber that reads history, up to `bytes`, until
   * `goLive` or `stopBuffering`.
   */
  buffer(subscription: Subscription, bytes: number): void {
    subscription.readAhead = { publications: [], room: bytes };
    this.reading.add(subscription);
  }

  stopBuffering(subscription: Subscription): void {
    subscription.readAhead = undefined;
    this.reading.delete(subscription);
  }

  /**
   * A subscriber has everything up to the offset `last`. Returns what was published since, and
   * delivers later publications to it. Undefined: that is not known here and has to be read.
   */
  goLive(subscription: Subscription, last: number): readonly Publication[] | undefined {
    const { readAhead } = subscription;
    this.stopBuffering(subscription);
    this.subscribers.flushTo(subscription); // publications that are in no stream
    const missed: Publication[] = [];
    let next = last + 1;
    for (const publication of readAhead === undefined || readAhead.room < 0 ? [] : readAhead.publications) {
      if (publication.offset < next) continue;
      if (publication.offset > next) return undefined;
      missed.push(publication);
      next++;
    }
    if (next <= this.offset) return undefined;
    subscription.after = this.context.tickEnd.last;
    return missed;
  }

  remove(subscription: Subscription): void {
    this.stopBuffering(subscription);
    this.subscribers.remove(subscription);
  }

  /** Takes a publication from the broker. Returns undefined while its delivery is unknown. */
  receive(publication: Publication, epoch: string): PendingFanOut | undefined {
    if (this.closed) return undefined;
    if (publication.offset === 0) return this.deliver(publication);
    if (this.arrivals !== undefined) {
      this.arrive({ publication, epoch });
      return undefined;
    }
    if (epoch !== this.epoch) this.restart({ offset: publication.offset - 1, epoch });
    if (publication.offset === this.offset + 1) return this.deliver(publication);
    if (publication.offset <= this.offset) {
      this.context.metrics.duplicates++;
      return undefined;
    }
    this.arrivals = [];
    this.arrive({ publication, epoch });
    this.readMissing();
    return undefined;
  }

  join(info: ClientInfo): void {
    if (!this.closed) this.subscribers.join(info);
  }

  leave(info: ClientInfo): void {
    if (!this.closed) this.subscribers.leave(info);
  }

  /**
   * Publications may have been lost: reads what is missing. Does nothing if the position was known
   * to be right after `time`.
   */
  checkPosition(time = Infinity): void {
    if (this.closed || !this.namespace.hasHistory || this.provenAt > time) return;
    if (time === Infinity) this.doubts++;
    // a read under way may be older; its end leads back here
    if (this.arrivals !== undefined) return;
    this.arrivals = [];
    this.readMissing();
  }

  /** The stream has been replaced. Subscribers with a position in the old one have to return. */
  restart(position: Position): void {
    this.offset = position.offset;
    this.epoch = position.epoch;
    this.last = undefined;
    for (const { readAhead } of this.reading) if (readAhead !== undefined) readAhead.publications.length = 0;
    for (const each of this.subscribers) {
      if (!each.live) continue;
      if (each.positioned) {
        each.owner.lost(each, UNSUBSCRIBES.INSUFFICIENT_STATE);
        continue;
      }
      this.subscribers.flushTo(each);
      each.offset = position.offset;
    }
  }

  close(): void {
    this.closed = true;
    this.subscribers.close();
    this.arrivals = undefined;
    this.stopRecheck?.();
  }

  private async open(after: Promise<void> | undefined): Promise<void> {
    await after;
    await this.context.broker.subscribe(this.name);
    if (this.namespace.hasHistory) {
      const { doubts } = this;
      const { metaTtl, maxChannels } = this.namespace.publishing;
      const { offset, epoch } = await this.context.broker.history(this.name, { limit: 0, maxChannels }, metaTtl);
      this.offset = offset;
      this.epoch = epoch;
      this.settledDoubts = doubts;
    }
    this.receiveArrivals();
    this.settleDoubts();
  }

  /** Reads a page of the stream from `since` on. `patient`: as in HistoryFilter. */
  readPage(since: Position, page: PageLimits, patient: boolean): Promise<HistoryPage> {
    const { metaTtl, maxChannels } = this.namespace.publishing;
    const filter = { since, limit: page.historyPage, maxBytes: page.pageBytes, maxChannels, patient };
    return this.context.broker.history(this.name, filter, metaTtl);
  }

  private readMissing(): void {
    this.fill().catch((error: unknown) => {
      this.context.background.onError(error);
      this.receiveArrivals((arrival) => this.restart({ offset: arrival.publication.offset - 1, epoch: arrival.epoch }));
      if (this.settledDoubts < this.doubts) this.recheck();
    });
  }

  /** Publications may have been lost after those that were read. */
  private settleDoubts(): void {
    if (this.settledDoubts < this.doubts) this.checkPosition(this.context.clock.now());
  }

  /** Checks the position later, unless it is known to be right by then. */
  private recheck(): void {
    if (this.closed || this.stopRecheck !== undefined) return;
    const { clock } = this.context;
    const since = clock.now();
    this.stopRecheck = clock.after(this.recheckDelay, () => {
      this.stopRecheck = undefined;
      this.checkPosition(since);
    });
    this.recheckDelay = Math.min(this.recheckDelay * 2, LAST_RECHECK);
  }

  private async fill(): Promise<void> {
    for (let isFirst = true; ; isFirst = false) {
      const before = this.position;
      const { doubts } = this;
      const page = await this.readPage(before, GAP_PAGE, true);
      if (this.closed) return;
      this.provenAt = this.context.clock.now();
      this.settledDoubts = doubts;
      this.recheckDelay = FIRST_RECHECK;
      if (isFirst && page.epoch === before.epoch && page.offset > before.offset) this.context.metrics.gaps++;
      this.deliverMissing(page, before);
      if (this.offset >= page.offset) break;
      // yields between two pages
      const loop = this.context.slices.loop();
      await loop.next();
      loop.end();
      if (this.isClosed) return;
    }
    this.receiveArrivals();
    this.settleDoubts();
  }

  private deliverMissing(page: HistoryPage, before: Position): void {
    // the offset has gone back: the store lost its newest publications and will assign their
    // offsets again
    if (page.epoch !== before.epoch || page.offset < before.offset) {
      this.restart(page);
      return;
    }
    const [first] = page.publications;
    // history no longer has what was missed
    if (page.offset > before.offset && first?.offset !== before.offset + 1) {
      this.restart({ offset: (first?.offset ?? page.offset + 1) - 1, epoch: page.epoch });
    }
    for (const publication of page.publications) this.deliver(publication);
  }

  private get isClosed(): boolean {
    return this.closed;
  }

  private arrive(arrival: Arrival): void {
    const { arrivals } = this;
    if (arrivals === undefined) return;
    this.arrivalBytes += sizeOf(arrival.publication.data);
    // the newest one shows that those between are missing
    if (this.arrivalBytes > MOST_ARRIVALS) arrivals.pop();
    arrivals.push(arrival);
  }

  /**
   * Continues with what has arrived. `onGap`: called if there is still a gap, instead of reading
   * again.
   */
  private receiveArrivals(onGap?: (arrival: Arrival) => void): void {
    const arrivals = this.takeArrivals();
    for (const [index, arrival] of arrivals.entries()) {
      if (onGap !== undefined && (arrival.epoch !== this.epoch || arrival.publication.offset > this.offset + 1)) {
        onGap(arrival);
      }
      this.receive(arrival.publication, arrival.epoch);
      if (this.closed) return;
      if (this.arrivals !== undefined) {
        for (const each of arrivals.slice(index + 1)) this.arrive(each);
        return;
      }
    }
  }

  private takeArrivals(): readonly Arrival[] {
    const { arrivals = [] } = this;
    this.arrivals = undefined;
    this.arrivalBytes = 0;
    return arrivals;
  }

  private deliver(publication: Publication): PendingFanOut {
    const delivery = this.subscribers.publish(publication, this.last);
    const { offset } = publication;
    if (offset > 0) {
      this.offset = offset;
      this.provenAt = delivery.publishedAt;
      if (this.namespace.delta) this.last = new DeltaBase(publication);
      if (this.reading.size > 0) this.readAhead(publication);
    }
    return delivery;
  }

  private readAhead(publication: Publication): void {
    const bytes = sizeOf(publication.data);
    for (const { readAhead } of this.reading) {
      if (readAhead === undefined || readAhead.room < 0) continue;
      readAhead.room -= bytes;
      if (readAhead.room < 0) readAhead.publications.length = 0;
      else readAhead.publications.push(publication);
    }
  }
}
