import type { Background } from "./background.ts";
import {
  type Broker,
  type ClientInfo,
  type HistoryPage,
  isPlaceIn,
  type Position,
  type Publication,
} from "./broker/broker.ts";
import type { Channel } from "./channel.ts";
import type { Channels } from "./channels.ts";
import { commandError } from "./codes.ts";
import type { JsonText } from "./json.ts";
import type { HubMetrics } from "./metrics.ts";
import type { Namespace } from "./namespaces.ts";
import type { PresenceStore } from "./presence/presence-store.ts";
import { publicationJson } from "./protocol/encode.ts";
import { wholeJson } from "./protocol/publication-push.ts";
import type { Subscription } from "./subscription.ts";

/** What memberships need of their hub. */
export interface MembershipContext {
  readonly channels: Channels;
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly metrics: HubMetrics;
  readonly background: Background;
}

/** What a client is told when it becomes a subscriber. */
export interface Beginning {
  /** Where it stands before the publications below; undefined where the channel keeps no position for it. */
  readonly position: Position | undefined;
  readonly wasRecovering: boolean;
  readonly recovered: boolean;
  /** What it missed, serialised, in order. */
  readonly publications: readonly JsonText[];
}

/**
 * A session's membership of a channel, from the first step to the last: `prepare`, which may wait, then `commit`, which does
 * not, so that whoever commits can write the client's answer in the same step, then `announce`; `end` at any time.
 */
export class Membership {
  readonly subscription: Subscription;
  readonly namespace: Namespace;
  /** The client's credentials name the channel: it ends when they no longer do. */
  byCredentials = false;
  private readonly context: MembershipContext;
  private readonly channel: Channel;
  private state: "preparing" | "live" | "ended" = "preparing";
  private isPresent = false;
  private isAnnounced = false;
  /** Where the client wants to go on, and what the stream has behind it. */
  private since: Position | undefined;
  private page: HistoryPage | undefined;

  constructor(subscription: Subscription, namespace: Namespace, context: MembershipContext) {
    this.subscription = subscription;
    this.namespace = namespace;
    this.context = context;
    this.channel = context.channels.acquire(subscription.channel, namespace);
  }

  get isLive(): boolean {
    return this.state === "live";
  }

  /**
   * Everything that takes time. `since`: the client's position, where it wants what it missed. Rejects with a CommandError;
   * `end` is to be called then, too.
   */
  async prepare(since: Position | undefined): Promise<void> {
    const { subscription, channel, namespace, context } = this;
    try {
      await channel.opened;
      this.checkWanted();
      if (namespace.presence) {
        this.isPresent = true;
        await context.presence.add(channel.name, subscription.info);
        this.checkWanted();
      }
      if (since !== undefined && namespace.recovery) {
        this.since = since;
        subscription.buffer = []; // from here on nothing is missed
        channel.add(subscription);
        this.page = await this.readSince(since);
        this.checkWanted();
      }
    } catch (error) {
      if (this.state === "ended") throw error;
      context.background.onError(error);
      throw commandError("INTERNAL", undefined, { cause: error });
    }
  }

  /** Whether what the client missed since its position is all there. Asked between `prepare` and `commit`. */
  get isRecoverable(): boolean {
    return this.missed() !== undefined;
  }

  /** The client is a subscriber: what is published from now on is sent to it, behind what the caller writes now. */
  commit(): Beginning {
    const { subscription, channel, context, since } = this;
    const missed = this.missed();
    const position = this.newest(channel.position);
    if (subscription.index < 0) channel.add(subscription);
    else channel.recovered(subscription);
    subscription.live = true;
    this.state = "live";
    context.metrics.subscriptions++;
    if (since === undefined || missed === undefined) {
      subscription.offset = position.offset;
      if (since !== undefined) context.metrics.unrecovered++;
      return {
        position: subscription.positioned ? position : undefined,
        wasRecovering: since !== undefined,
        recovered: false,
        publications: [],
      };
    }
    const last = missed.at(-1)?.offset ?? since.offset;
    subscription.offset = last;
    if (missed.length > 0) subscription.deltaBase = last;
    context.metrics.recovered++;
    context.metrics.recoveredPublications += missed.length;
    return {
      position: { offset: since.offset, epoch: position.epoch },
      wasRecovering: true,
      recovered: true,
      publications: missed.map((each) => (subscription.delta ? wholeJson(each) : publicationJson(each))),
    };
  }

  /** Tells the others that the client is there. To be called once the client knows it. */
  announce(): void {
    const { context, channel, subscription } = this;
    if (this.namespace.joinLeave === false || !this.isLive) return;
    this.isAnnounced = true;
    context.background.add(context.broker.publishJoin(channel.name, subscription.info));
  }

  /** Others may know something else of the client from now on. */
  describe(info: ClientInfo): void {
    const { subscription, context, channel } = this;
    const { connInfo, chanInfo } = subscription.info;
    if (info.connInfo === connInfo && info.chanInfo === chanInfo) return;
    subscription.info = info;
    if (this.isPresent) context.background.add(context.presence.add(channel.name, info));
  }

  /** Sends the client what was published in this turn. */
  flush(): void {
    this.channel.flush();
  }

  /** The client is a subscriber no longer, whatever it was before. Nothing is sent for the channel after this call. */
  end(): void {
    this.flush(); // which may end it: its queue may be full
    if (this.state === "ended") return;
    const { subscription, channel, context } = this;
    if (this.isLive) context.metrics.subscriptions--;
    this.state = "ended";
    subscription.live = false;
    subscription.buffer = undefined;
    channel.remove(subscription);
    if (this.isPresent) context.background.add(context.presence.remove(channel.name, subscription.info));
    if (this.isAnnounced) context.background.add(context.broker.publishLeave(channel.name, subscription.info));
    context.channels.release(channel);
  }

  private checkWanted(): void {
    if (this.state === "ended") throw commandError("UNAUTHORIZED", "the subscription was ended meanwhile");
  }

  private async readSince(since: Position): Promise<HistoryPage> {
    const { channel, namespace, context } = this;
    const { position } = channel;
    if (since.offset === position.offset && (since.epoch === "" || since.epoch === position.epoch)) {
      return { ...position, publications: [] };
    }
    const filter = { since, limit: namespace.recoveryLimit };
    const page = await context.broker.history(channel.name, filter, namespace.publishing.metaTtl);
    if (page.epoch !== channel.position.epoch && this.state !== "ended") channel.restart(page);
    return page;
  }

  /** The history that was read may be ahead of what has reached this node. What comes up to there is not sent again. */
  private newest(position: Position): Position {
    const { page } = this;
    if (page === undefined || page.epoch !== position.epoch || page.offset <= position.offset) return position;
    return { offset: page.offset, epoch: page.epoch };
  }

  /** All that was published behind the client's position until now; undefined where that can't be had. */
  private missed(): readonly Publication[] | undefined {
    const { since, page } = this;
    if (since === undefined || page === undefined) return undefined;
    if (!isPlaceIn(page, since)) return undefined;
    const { offset, epoch } = this.channel.position;
    if (page.epoch !== epoch) return undefined;
    // the limit may have cut the page, or the stream no longer reaches back, or never came so far
    const last = page.publications.at(-1)?.offset ?? since.offset;
    if (last !== page.offset) return undefined;
    const missed = [...page.publications];
    let next = since.offset + 1;
    for (const publication of page.publications) if (publication.offset !== next++) return undefined;
    for (const publication of this.subscription.buffer ?? []) {
      if (publication.offset < next) continue;
      if (publication.offset > next) return undefined;
      missed.push(publication);
      next++;
    }
    return next > offset ? missed : undefined;
  }
}
