import type { ClientInfo, FanOut, Publication } from "../broker/broker.ts";
import type { Clock } from "../schedule/clock.ts";
import { Comings } from "./comings.ts";
import { SharedMessage } from "../output/connection.ts";
import { Delivery, deliverTo, type Joined, joinDeliveries, MOST_JOINED, takesJoined } from "./delivery.ts";
import type { HubMetrics } from "../metrics.ts";
import { aboutClientJson, channelPush } from "../protocol/encode.ts";
import { type DeltaBase, PublicationPush, type PushOptions } from "../protocol/publication-push.ts";
import type { Subscription } from "./subscription.ts";
import type { TickBudget, TickEnd } from "../schedule/tick-end.ts";

/** Publications in one round at most. */
const MOST_IN_ROUND = 256;
/** Messages between two looks at the budget. */
const AT_ONCE = 16;

/** What the subscribers of a channel need of their hub. */
export interface SubscribersContext {
  readonly clock: Clock;
  readonly metrics: HubMetrics;
  readonly tickEnd: TickEnd;
}

/** What was published in a tick, on its way to the subscribers of that moment: to one all of it, then to the next. */
interface Round {
  /** Leaves of clients that are back, and joins. */
  readonly before: readonly SharedMessage[];
  readonly due: readonly Delivery[];
  /** All that is due, for those who get all of it. */
  readonly joined: Joined | undefined;
  /** Leaves: of clients that may have published before. */
  readonly after: readonly SharedMessage[];
  /** Messages for each subscriber, at most. */
  readonly messages: number;
  /** The places of the list that it goes to, and the next one. */
  readonly end: number;
  next: number;
}

/**
 * The subscribers of one channel on this node, and what is on its way to them. It leaves at the end of the tick, in rounds: a subscriber gets all that is
 * due, in one message if it can be, then the next one does, as a subscriber's memory is spread widely and among thousands of them is out of the processor's
 * caches when the next publication comes. A round that does not fit into a tick goes on in the next one; what comes meanwhile waits for the next round.
 */
export class ChannelSubscribers {
  /** Subscribers that are told who comes and goes. */
  listeners = 0;
  private readonly context: SubscribersContext;
  private readonly pushOptions: PushOptions;
  /** Undefined: one that left while a round was on its way. */
  private list: (Subscription | undefined)[] = [];
  private left = 0;
  private round: Round | undefined;
  /** Publications for the next rounds. */
  private due: Delivery[] = [];
  /** Joins and leaves for the next round, where anybody wants to know. */
  private comings: Comings | undefined;
  /** Its turn at the end of the tick is to come. */
  private isWaiting = false;

  constructor(pushOptions: PushOptions, context: SubscribersContext) {
    this.pushOptions = pushOptions;
    this.context = context;
  }

  get count(): number {
    return this.list.length - this.left;
  }

  /** The subscriptions of the moment. */
  *[Symbol.iterator](): IterableIterator<Subscription> {
    for (const each of [...this.list]) if (each !== undefined) yield each;
  }

  /** What is on its way is not for the subscription. */
  add(subscription: Subscription): void {
    subscription.after = this.context.tickEnd.last;
    subscription.index = this.list.length;
    this.list.push(subscription);
    if (subscription.hearsJoins) this.listeners++;
  }

  remove(subscription: Subscription): void {
    const { index } = subscription;
    if (index < 0) return;
    subscription.index = -1;
    if (subscription.hearsJoins) this.listeners--;
    if (this.round !== undefined) {
      // the round counts on places to stay
      this.list[index] = undefined;
      this.left++;
      return;
    }
    const last = this.list.pop();
    if (last === undefined || last === subscription) return;
    this.list[index] = last;
    last.index = index;
  }

  /** A publication for all of them. `base`: the one before it, where deltas to it are wanted. */
  publish(publication: Publication, base: DeltaBase | undefined): Delivery {
    const { clock, tickEnd } = this.context;
    const push = new PublicationPush(publication, this.pushOptions, base);
    const delivery = new Delivery(push, clock.now(), tickEnd.next());
    this.due.push(delivery);
    this.wait();
    return delivery;
  }

  join(info: ClientInfo): void {
    this.changes()?.join(info);
  }

  leave(info: ClientInfo): void {
    this.changes()?.leave(info);
  }

  /** Gives one subscriber all publications that are on their way to it: it is about to leave, or to go on from another place. */
  flushTo(subscription: Subscription): void {
    const { round } = this;
    if (round !== undefined && subscription.index >= round.next && subscription.index < round.end) {
      for (const delivery of round.due) deliverTo(subscription, delivery);
    }
    for (const delivery of this.due) deliverTo(subscription, delivery);
  }

  /** As far as the budget goes. False: there is more. */
  fanOut(budget: TickBudget): boolean {
    const round = (this.round ??= this.begin());
    while (round.next < round.end) {
      if (budget.isOver) return false;
      const from = round.next;
      this.give(round, Math.min(from + Math.ceil(AT_ONCE / round.messages), round.end));
      budget.passed((round.next - from) * round.messages);
    }
    this.isWaiting = false;
    if (this.round !== round) return true; // the last subscriber has gone
    this.end(round);
    if (this.due.length > 0 || this.comings !== undefined) this.wait();
    return true;
  }

  /** The channel closes: what is on its way has nobody to go to. */
  close(): void {
    if (this.round !== undefined) this.end(this.round);
    while (this.due.length > 0) this.end(this.begin());
    this.comings = undefined;
  }

  private wait(): void {
    if (this.isWaiting) return;
    this.isWaiting = true;
    this.context.tickEnd.addChannel(this);
  }

  private begin(): Round {
    const { comings, due, pushOptions } = this;
    const isTooMuch = due.length > MOST_IN_ROUND;
    this.due = isTooMuch ? due.slice(MOST_IN_ROUND) : [];
    const some = isTooMuch ? due.slice(0, MOST_IN_ROUND) : due;
    // who came in this tick may have published in it, and who has published may have gone
    this.comings = undefined;
    const { leaves, joins } = comings?.net() ?? NOBODY;
    const isBack = new Set(joins.map(({ client }) => client));
    const before = [
      ...this.messages(
        "leave",
        leaves.filter(({ client }) => isBack.has(client)),
      ),
      ...this.messages("join", joins),
    ];
    const after = this.messages(
      "leave",
      leaves.filter(({ client }) => !isBack.has(client)),
    );
    const joined = joinDeliveries(some, pushOptions.whenFull);
    const messages = before.length + (joined === undefined ? some.length : 1) + after.length;
    return { before, due: some, joined, after, messages, end: messages === 0 ? 0 : this.list.length, next: 0 };
  }

  private give(round: Round, end: number): void {
    const { list } = this;
    const { before, due, joined, after } = round;
    const hasComings = before.length + after.length > 0;
    while (round.next < end) {
      const subscription = list[round.next++];
      if (subscription === undefined) continue;
      if (hasComings) tell(subscription, before);
      if (joined !== undefined && takesJoined(subscription, joined)) {
        if (joined.last > 0) subscription.offset = joined.last;
        subscription.outbox.share(joined.message, joined.counts, joined.number);
      } else {
        for (const delivery of due) deliverTo(subscription, delivery);
      }
      if (hasComings) tell(subscription, after);
    }
  }

  private end({ due, joined }: Round): void {
    this.round = undefined;
    if (this.left > 0) {
      this.list = this.list.filter((each) => each !== undefined);
      this.left = 0;
      for (const [index, each] of this.list.entries()) if (each !== undefined) each.index = index;
    }
    for (const delivery of due) this.report(delivery, joined?.counts);
  }

  /** Who has come and gone since the last round; undefined: nobody wants to know. */
  private changes(): Comings | undefined {
    if (this.listeners === 0) return undefined;
    this.comings ??= new Comings();
    this.wait();
    return this.comings;
  }

  /** Tells who has come or gone: in one message, or in few. */
  private messages(kind: "join" | "leave", infos: readonly ClientInfo[]): SharedMessage[] {
    if (infos.length === 0) return [];
    const { whenFull, channel } = this.pushOptions;
    const messages: SharedMessage[] = [];
    let lines: string[] = [];
    let size = 0;
    for (const [index, info] of infos.entries()) {
      const line = channelPush(channel, kind, aboutClientJson(info));
      lines.push(line);
      size += line.length;
      if (size < MOST_JOINED && index < infos.length - 1) continue;
      messages.push(new SharedMessage(lines.join("\n"), whenFull === "conflate" ? "drop-oldest" : whenFull));
      lines = [];
      size = 0;
    }
    return messages;
  }

  private report(delivery: Delivery, joined: FanOut | undefined): void {
    const { counts, publishedAt } = delivery;
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
    delivery.done();
  }
}

const NOBODY = { leaves: [], joins: [] } as const;
const uncounted: FanOut = { delivered: 0, queued: 0, dropped: 0, disconnected: 0 };

/** Who comes and goes is told to those who want to know. */
function tell(subscription: Subscription, messages: readonly SharedMessage[]): void {
  if (!subscription.live || !subscription.hearsJoins) return;
  for (const message of messages) subscription.outbox.share(message, uncounted);
}
