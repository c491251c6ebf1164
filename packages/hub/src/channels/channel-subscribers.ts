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

/** Maximum number of publications in one round. */
const MOST_IN_ROUND = 256;
/** Number of messages between two checks of the budget. */
const AT_ONCE = 16;
/**
 * Joins and leaves of a channel take about this many writes per second at most, so that many of
 * them share a message.
 */
const COMING_WRITES = 500;
const LONGEST_COMING_INTERVAL = 1000; // ms
/**
 * Shorter intervals are none: joins and leaves of small channels are sent at the end of the tick.
 */
const SHORTEST_COMING_INTERVAL = 20; // ms

/** What the subscribers of a channel need of their hub. */
export interface SubscribersContext {
  readonly clock: Clock;
  readonly metrics: HubMetrics;
  readonly tickEnd: TickEnd;
}

/**
 * The publications of a tick, under way to the subscribers of that moment: all of them to one
 * subscriber, then to the next.
 */
interface Round {
  /** Joins, and leaves of clients that have returned. */
  readonly before: readonly SharedMessage[];
  readonly due: readonly Delivery[];
  /** Everything as one message, for subscribers that get all of it. */
  readonly joined: Joined | undefined;
  /** Leaves of clients that may have published before. */
  readonly after: readonly SharedMessage[];
  /** Maximum number of messages for each subscriber. */
  readonly messages: number;
  /** The end of the list of subscribers for this round, and the next index. */
  readonly end: number;
  next: number;
}

/**
 * The subscribers of one channel on this node, and what is under way to them. It is sent at the end
 * of the tick, in rounds: one subscriber gets everything that is due, in one message if possible,
 * then the next one. The memory of a subscriber is spread widely, and with thousands of them it has
 * left the processor's caches when the next publication comes. A round that does not fit into a
 * tick continues in the next one; what comes meanwhile waits for the next round.
 */
export class ChannelSubscribers {
  /** Number of subscribers that get joins and leaves. */
  listeners = 0;
  private readonly context: SubscribersContext;
  private readonly pushOptions: PushOptions;
  /** Undefined: a subscriber that left during a round. */
  private list: (Subscription | undefined)[] = [];
  private left = 0;
  private round: Round | undefined;
  /** Publications for the next rounds. */
  private due: Delivery[] = [];
  /** Joins and leaves for the next round, if any subscriber gets them. */
  private comings: Comings | undefined;
  /** When joins and leaves were last sent, on the hub's clock. */
  private comingsSentAt = -Infinity;
  private stopComingsTimer: (() => void) | undefined;
  /** Whether it is registered for the end of the tick. */
  private isWaiting = false;

  constructor(pushOptions: PushOptions, context: SubscribersContext) {
    this.pushOptions = pushOptions;
    this.context = context;
  }

  get count(): number {
    return this.list.length - this.left;
  }

  /** Iterates over the current subscriptions. */
  *[Symbol.iterator](): IterableIterator<Subscription> {
    for (const each of [...this.list]) if (each !== undefined) yield each;
  }

  /** Adds a subscription. It does not get what is under way. */
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
      // the round needs stable indices
      this.list[index] = undefined;
      this.left++;
      return;
    }
    const last = this.list.pop();
    if (last === undefined || last === subscription) return;
    this.list[index] = last;
    last.index = index;
  }

  /** Adds a publication for all subscribers. `base`: the one before it, if deltas are wanted. */
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

  /**
   * Sends one subscriber all publications that are under way to it: it is about to leave, or
   * continues from another position.
   */
  flushTo(subscription: Subscription): void {
    const { round } = this;
    if (round !== undefined && subscription.index >= round.next && subscription.index < round.end) {
      for (const delivery of round.due) deliverTo(subscription, delivery);
    }
    for (const delivery of this.due) deliverTo(subscription, delivery);
  }

  /** Sends as much as the budget allows. Returns false if there is more. */
  fanOut(budget: TickBudget): boolean {
    const round = (this.round ??= this.begin());
    while (round.next < round.end) {
      if (budget.isOver) return false;
      const from = round.next;
      this.give(round, Math.min(from + Math.ceil(AT_ONCE / round.messages), round.end));
      budget.passed((round.next - from) * round.messages);
    }
    this.isWaiting = false;
    if (this.round !== round) return true; // the last subscriber has left
    this.end(round);
    if (this.due.length > 0) this.wait();
    else if (this.comings !== undefined) this.waitForComings();
    return true;
  }

  /** The channel closes: what is under way has no subscribers. */
  close(): void {
    if (this.round !== undefined) this.end(this.round);
    while (this.due.length > 0) this.end(this.begin());
    this.comings = undefined;
    this.stopComingsTimer?.();
  }

  private wait(): void {
    if (this.isWaiting) return;
    this.isWaiting = true;
    this.context.tickEnd.addChannel(this);
  }

  /** Waits until joins and leaves may be sent: see COMING_WRITES. Publications take them along. */
  private waitForComings(): void {
    if (this.isWaiting || this.stopComingsTimer !== undefined) return;
    const { clock } = this.context;
    const interval = Math.min((this.listeners * 1000) / COMING_WRITES, LONGEST_COMING_INTERVAL);
    const delay = this.comingsSentAt + interval - clock.now();
    if (delay <= 0 || interval < SHORTEST_COMING_INTERVAL) {
      this.wait();
      return;
    }
    this.stopComingsTimer = clock.after(delay, () => {
      this.stopComingsTimer = undefined;
      this.wait();
    });
  }

  private begin(): Round {
    const { comings, due, pushOptions } = this;
    const isTooMuch = due.length > MOST_IN_ROUND;
    this.due = isTooMuch ? due.slice(MOST_IN_ROUND) : [];
    const some = isTooMuch ? due.slice(0, MOST_IN_ROUND) : due;
    // a client that joined in this tick may have published in it, and one that published may have
    // left
    if (comings !== undefined) this.tookComings();
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

  private tookComings(): void {
    this.comings = undefined;
    this.comingsSentAt = this.context.clock.now();
    this.stopComingsTimer?.();
    this.stopComingsTimer = undefined;
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

  /** Returns the joins and leaves since the last round; undefined if no subscriber gets them. */
  private changes(): Comings | undefined {
    if (this.listeners === 0) return undefined;
    this.comings ??= new Comings();
    this.waitForComings();
    return this.comings;
  }

  /** Returns joins or leaves in as few messages as possible. */
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

/** Sends joins and leaves to a subscriber that gets them. */
function tell(subscription: Subscription, messages: readonly SharedMessage[]): void {
  if (!subscription.live || !subscription.hearsJoins) return;
  for (const message of messages) subscription.outbox.share(message, uncounted);
}
