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

/** How much is read from history at a time. */
export interface PageLimits {
  /** Publications. */
  readonly historyPage: number;
  readonly pageBytes: number;
}

/** What channels need of their hub. */
export interface ChannelContext extends SubscribersContext {
  readonly broker: Broker;
  readonly background: Background;
  readonly slices: TimeSlices;
}

/** Until a position that could not be checked after an interruption is checked again, ms: at first, and doubled up to. */
const FIRST_RECHECK = 250;
const LAST_RECHECK = 30_000;

/** How much of a gap is read from history at a time. */
const GAP_PAGE = { historyPage: 1000, pageBytes: 256 * 1024 };

/** Bytes of publications that wait while a gap is filled. What is more is read from history, too. */
const MOST_ARRIVALS = 256 * 1024;

interface Arrival {
  readonly publication: Publication;
  readonly epoch: string;
}

/**
 * One channel on this node: its subscribers, and its place in the stream. What reaches the subscribers follows each other
 * without gap or double: a publication that does not follow the last one waits until those between were read from history.
 */
export class Channel {
  readonly name: string;
  readonly namespace: Namespace;
  /** Resolves once it is subscribed to the broker and knows its position; rejects if that can't be had. */
  readonly opened: Promise<void>;
  /** Subscriptions in the making and made; the channel is closed when it falls to 0. */
  references = 0;
  private readonly context: ChannelContext;
  /** The name, serialised. */
  readonly nameJson: JsonText;
  readonly subscribers: ChannelSubscribers;
  /** Subscribers that read a page of history, and what is published meanwhile ahead of it. */
  private readonly reading = new Set<Subscription>();
  /** Of the last publication that was delivered. */
  private offset = 0;
  private epoch = "";
  /** When the position was last seen to be right, on the hub's clock. */
  private provenAt: number;
  /** The last publication, where deltas to it may be wanted. */
  private last: DeltaBase | undefined;
  /** What arrived while the channel opens, or reads what is missing; undefined: neither. */
  private arrivals: Arrival[] | undefined = [];
  private arrivalBytes = 0;
  private closed = false;
  /** Times that publications may have been lost, and how many of them a check has settled. */
  private doubts = 0;
  private settledDoubts = 0;
  private recheckDelay = FIRST_RECHECK;
  private stopRecheck: (() => void) | undefined;

  /** `after`: what has to be over before, such as the end of the same channel's last life. */
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

  /** Where everybody stands who has all that was delivered, and what is to be flushed. */
  get position(): Position {
    return { offset: this.offset, epoch: this.epoch };
  }

  get subscriberCount(): number {
    return this.subscribers.count;
  }

  /** Subscribers that are told who comes and goes. */
  get listeners(): number {
    return this.subscribers.listeners;
  }

  /** From here on what is published is read ahead for a subscriber, up to so many bytes, until `goLive` or `stopBuffering`. */
  buffer(subscription: Subscription, bytes: number): void {
    subscription.readAhead = { publications: [], room: bytes };
    this.reading.add(subscription);
  }

  stopBuffering(subscription: Subscription): void {
    subscription.readAhead = undefined;
    this.reading.delete(subscription);
  }

  /**
   * A subscriber has everything up to the offset `last`. Returns what it misses of what was published since, and counts it among those that get
   * the rest as it comes. Undefined: that is not known here, and has to be read.
   */
  goLive(subscription: Subscription, last: number): readonly Publication[] | undefined {
    const { readAhead } = subscription;
    this.stopBuffering(subscription);
    this.subscribers.flushTo(subscription); // what is in no stream
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

  /** A publication from the broker. Undefined: what becomes of it is not known yet. */
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
   * Publications may have been lost on the way here: reads what is missing, if anything is. Not where the position was seen to be right
   * after `time`.
   */
  checkPosition(time = Infinity): void {
    if (this.closed || !this.namespace.hasHistory || this.provenAt > time) return;
    if (time === Infinity) this.doubts++;
    // what is being read may be from before: whoever reads it comes back here
    if (this.arrivals !== undefined) return;
    this.arrivals = [];
    this.readMissing();
  }

  /** The stream turned out to be another one. Who stood at a position of the old one has to come back. */
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

  /** A page of the stream, from `since` on. `patient`: as for a HistoryFilter. */
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

  /** Publications may have been lost behind what was read. */
  private settleDoubts(): void {
    if (this.settledDoubts < this.doubts) this.checkPosition(this.context.clock.now());
  }

  /** Checks the position later, unless it is seen to be right until then. */
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
      // others have their turn between two pages
      const loop = this.context.slices.loop();
      await loop.next();
      loop.end();
      if (this.isClosed) return;
    }
    this.receiveArrivals();
    this.settleDoubts();
  }

  private deliverMissing(page: HistoryPage, before: Position): void {
    // an offset that has gone back: the store lost its newest publications and will give their numbers to others
    if (page.epoch !== before.epoch || page.offset < before.offset) {
      this.restart(page);
      return;
    }
    const [first] = page.publications;
    // what was missed is no longer kept
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
    // the newest one tells that those between are missing
    if (this.arrivalBytes > MOST_ARRIVALS) arrivals.pop();
    arrivals.push(arrival);
  }

  /** Goes on as usual. `onGap`: what to do where even now one does not follow the other, instead of reading again. */
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
