import type { Background } from "./background.ts";
import type { Broker, ClientInfo, FanOut, HistoryPage, Position, Publication } from "./broker/broker.ts";
import type { Clock } from "./clock.ts";
import { UNSUBSCRIBES } from "./codes.ts";
import { SharedMessage } from "./connection.ts";
import type { HubMetrics } from "./metrics.ts";
import type { JsonText } from "./json.ts";
import type { Namespace } from "./namespaces.ts";
import { sizeOf } from "./owned.ts";
import { Comings } from "./comings.ts";
import { Delivery, deliverTo, joinDeliveries, MOST_JOINED, takesJoined } from "./delivery.ts";
import { aboutClientJson, channelPush } from "./protocol/encode.ts";
import { DeltaBase, PublicationPush, type PushOptions } from "./protocol/publication-push.ts";
import type { PageLimits } from "./catch-up.ts";
import type { TurnEnd } from "./outbox.ts";
import type { Subscription } from "./subscription.ts";
import type { TimeSlices } from "./time-slices.ts";

/** What channels need of their hub. */
export interface ChannelContext {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly metrics: HubMetrics;
  readonly background: Background;
  readonly turnEnd: TurnEnd;
  readonly slices: TimeSlices;
}

/** Until a position that could not be checked after an interruption is checked again, ms: at first, and doubled up to. */
const FIRST_RECHECK = 250;
const LAST_RECHECK = 30_000;

/** Publications that wait for the end of a turn; more do not. */
const MOST_DUE = 256;

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
  private readonly pushOptions: PushOptions;
  /** Undefined: one that left while the list was gone through. */
  private subscribers: (Subscription | undefined)[] = [];
  private left = 0;
  private goingThrough = 0;
  /** Subscribers that read a page of history, and what is published meanwhile ahead of it. */
  private readonly reading = new Set<Subscription>();
  /** Publications of this tick. */
  private due: Delivery[] = [];
  /** Joins and leaves of this tick, where anybody wants to know. */
  private comings: Comings | undefined;
  /** Subscribers that are told who comes and goes. */
  listeners = 0;
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
    this.pushOptions = {
      channel: JSON.stringify(name),
      whenFull: namespace.slowConsumer,
      keyPrefix: `${name}\n`,
      conflateBy: namespace.conflateBy,
    };
    this.provenAt = context.clock.now();
    this.opened = this.open(after);
  }

  /** Where everybody stands who has all that was delivered, and what is to be flushed. */
  get position(): Position {
    return { offset: this.offset, epoch: this.epoch };
  }

  /** The name, serialised. */
  get nameJson(): JsonText {
    return this.pushOptions.channel;
  }

  get subscriberCount(): number {
    return this.subscribers.length - this.left;
  }

  /** The subscriptions of the moment. */
  *[Symbol.iterator](): IterableIterator<Subscription> {
    for (const each of [...this.subscribers]) if (each !== undefined) yield each;
  }

  add(subscription: Subscription): void {
    subscription.after = this.context.turnEnd.last;
    subscription.index = this.subscribers.length;
    this.subscribers.push(subscription);
    if (subscription.hearsJoins) this.listeners++;
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
    const missed: Publication[] = [];
    let next = last + 1;
    for (const publication of readAhead === undefined || readAhead.room < 0 ? [] : readAhead.publications) {
      if (publication.offset < next) continue;
      if (publication.offset > next) return undefined;
      missed.push(publication);
      next++;
    }
    if (next <= this.offset) return undefined;
    subscription.after = this.context.turnEnd.last;
    return missed;
  }

  remove(subscription: Subscription): void {
    this.stopBuffering(subscription);
    const { index } = subscription;
    if (index < 0) return;
    subscription.index = -1;
    if (subscription.hearsJoins) this.listeners--;
    if (this.goingThrough > 0) {
      // the loop counts on places to stay
      this.subscribers[index] = undefined;
      this.left++;
      return;
    }
    const last = this.subscribers.pop();
    if (last === undefined || last === subscription) return;
    this.subscribers[index] = last;
    last.index = index;
  }

  /** A publication from the broker. Undefined: what becomes of it is not known yet. */
  receive(publication: Publication, epoch: string): FanOut | undefined {
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
    this.changes()?.join(info);
  }

  leave(info: ClientInfo): void {
    this.changes()?.leave(info);
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
    this.flush();
    this.offset = position.offset;
    this.epoch = position.epoch;
    this.last = undefined;
    for (const { readAhead } of this.reading) if (readAhead !== undefined) readAhead.publications.length = 0;
    for (const each of this) {
      if (each.positioned && each.live) each.owner.lost(each, UNSUBSCRIBES.INSUFFICIENT_STATE);
    }
  }

  close(): void {
    this.flush();
    this.closed = true;
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

  /**
   * Hands what was published in this turn to the subscribers: to one all of it, in one message if it can be, then to the next. A subscriber's
   * memory is spread widely, and among thousands of them it is out of the processor's caches when the next publication comes.
   */
  flush(): void {
    const { comings } = this;
    if (comings === undefined) {
      this.flushDue();
      return;
    }
    // who came in this tick may have published in it, and who has published may have gone
    this.comings = undefined;
    const { leaves, joins } = comings.net();
    const returned = new Set(joins.map(({ client }) => client));
    this.shareComings(
      "leave",
      leaves.filter(({ client }) => returned.has(client)),
    );
    this.shareComings("join", joins);
    this.flushDue();
    this.shareComings(
      "leave",
      leaves.filter(({ client }) => !returned.has(client)),
    );
  }

  private flushDue(): void {
    const { due, subscribers } = this;
    if (due.length === 0) return;
    this.due = [];
    const joined = joinDeliveries(due, this.pushOptions.whenFull);
    this.goingThrough++;
    // whoever comes in the meantime starts behind these publications
    for (let i = 0, count = subscribers.length; i < count; i++) {
      const subscription = subscribers[i];
      if (subscription === undefined) continue;
      if (joined !== undefined && takesJoined(subscription, joined)) {
        if (joined.last > 0) subscription.offset = joined.last;
        subscription.outbox.share(joined.message, joined.counts, joined.number);
      } else {
        for (const delivery of due) deliverTo(subscription, delivery);
      }
    }
    this.wentThrough();
    for (const delivery of due) this.count(delivery, joined?.counts);
  }

  private deliver(publication: Publication): FanOut {
    const now = this.context.clock.now();
    const push = new PublicationPush(publication, this.pushOptions, this.last);
    const delivery = new Delivery(push, now, this.context.turnEnd.next(), this);
    const { offset } = publication;
    if (offset > 0) {
      this.offset = offset;
      this.provenAt = now;
      if (this.namespace.delta) this.last = new DeltaBase(publication);
    }
    if (offset > 0 && this.reading.size > 0) this.readAhead(publication);
    const waiting = this.due.push(delivery);
    if (waiting === 1 && this.comings === undefined) this.context.turnEnd.addChannel(this);
    else if (waiting === MOST_DUE) this.flush();
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

  /** Who has come and gone in this tick; undefined: nobody wants to know. */
  private changes(): Comings | undefined {
    if (this.closed || this.listeners === 0) return undefined;
    if (this.comings === undefined) {
      this.comings = new Comings();
      if (this.due.length === 0) this.context.turnEnd.addChannel(this);
    }
    return this.comings;
  }

  /** Tells who has come and gone: to each listener in one message, or in few. */
  private shareComings(kind: "join" | "leave", infos: readonly ClientInfo[]): void {
    const { whenFull, channel } = this.pushOptions;
    let lines: string[] = [];
    let size = 0;
    for (const [index, info] of infos.entries()) {
      const line = channelPush(channel, kind, aboutClientJson(info));
      lines.push(line);
      size += line.length;
      if (size < MOST_JOINED && index < infos.length - 1) continue;
      this.share(new SharedMessage(lines.join("\n"), whenFull === "conflate" ? "drop-oldest" : whenFull));
      lines = [];
      size = 0;
    }
  }

  private share(message: SharedMessage): void {
    const counts: FanOut = { delivered: 0, queued: 0, dropped: 0, disconnected: 0 };
    this.goingThrough++;
    const { subscribers } = this;
    for (let i = 0, count = subscribers.length; i < count; i++) {
      const subscription = subscribers[i];
      if (subscription?.live === true && subscription.hearsJoins) subscription.outbox.share(message, counts);
    }
    this.wentThrough();
  }

  private wentThrough(): void {
    if (--this.goingThrough > 0 || this.left === 0) return;
    this.subscribers = this.subscribers.filter((each) => each !== undefined);
    this.left = 0;
    for (const [index, each] of this.subscribers.entries()) if (each !== undefined) each.index = index;
  }

  private count({ counts, publishedAt }: Delivery, joined: FanOut | undefined): void {
    if (joined !== undefined) {
      counts.delivered += joined.delivered;
      counts.queued += joined.queued;
      counts.dropped += joined.dropped;
      counts.disconnected += joined.disconnected;
    }
    const { metrics, clock } = this.context;
    metrics.publications++;
    metrics.delivered += counts.delivered;
    metrics.queued += counts.queued;
    metrics.dropped += counts.dropped;
    metrics.slowDisconnects += counts.disconnected;
    metrics.fanOut.observe(clock.now() - publishedAt);
  }
}
