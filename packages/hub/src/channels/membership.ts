import type { ClientInfo, HistoryPage, Position, Publication } from "../broker/broker.ts";
import { CatchUp, type CatchUpContext, following, recoveredJson } from "./catch-up.ts";
import type { Channel } from "./channel.ts";
import type { Channels } from "./channels.ts";
import { commandError } from "../codes.ts";
import type { Announcements } from "./comings.ts";
import { COMING_COST } from "../limits/cost.ts";
import type { JsonText } from "../json/json.ts";
import type { Namespace } from "../settings/namespaces.ts";
import type { PresenceStore } from "../presence/presence-store.ts";
import type { Subscription } from "./subscription.ts";

/** What memberships need of their hub. */
export interface MembershipContext extends CatchUpContext {
  readonly channels: Channels;
  readonly presence: PresenceStore;
  readonly announcements: Announcements;
}

/** What a client is told when it becomes a subscriber. */
export interface Beginning {
  /** Where it stands before the publications below; undefined where the channel keeps no position for it. */
  readonly position: Position | undefined;
  readonly wasRecovering: boolean;
  readonly recovered: boolean;
  /** What it missed, serialised, in order: all of it, or the first page. The rest follows by pushes. */
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
  private catchUp: CatchUp | undefined;

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
   * Everything that takes time. `since`: the client's position, where it wants what it missed. `pageBytes`: how much of that may be read at once.
   * Rejects with a CommandError; `end` is to be called then, too.
   */
  async prepare(since: Position | undefined, pageBytes = this.context.settings.limits.pageBytes): Promise<void> {
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
        channel.buffer(subscription, pageBytes); // from here on nothing is missed
        this.page = await this.readSince(since, pageBytes);
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

  /**
   * The client is a subscriber: what is published from now on is sent to it, behind what the caller writes now. `room`: bytes that the
   * publications may take in what the caller writes; where they take more, there are none, and all follow by pushes.
   */
  commit(room = Infinity): Beginning {
    const { subscription, channel, context, since } = this;
    const missed = this.missed();
    const position = this.newest(channel.position);
    channel.subscribers.add(subscription);
    subscription.live = true;
    this.state = "live";
    context.metrics.subscriptions++;
    if (since === undefined || missed === undefined) {
      channel.stopBuffering(subscription);
      subscription.offset = position.offset;
      if (since !== undefined) context.metrics.unrecovered++;
      return {
        position: subscription.positioned ? position : undefined,
        wasRecovering: since !== undefined,
        recovered: false,
        publications: [],
      };
    }
    context.metrics.recovered++;
    return {
      position: { offset: since.offset, epoch: position.epoch },
      wasRecovering: true,
      recovered: true,
      publications: this.recover(since, missed, room),
    };
  }

  /** The publications for the answer: all that the client missed, or the first page; what follows is up to a CatchUp then. */
  private recover(since: Position, missed: readonly Publication[], room: number): readonly JsonText[] {
    const { subscription, channel, context, page } = this;
    const last = missed.at(-1)?.offset ?? since.offset;
    const rest = page === undefined || last < page.offset ? undefined : channel.goLive(subscription, last);
    const publications = rest === undefined ? missed : [...missed, ...rest];
    const texts = publications.map((each) => recoveredJson(each, subscription));
    const fits = room === Infinity || texts.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0) <= room;
    subscription.offset = fits ? (publications.at(-1)?.offset ?? since.offset) : since.offset;
    if (fits && texts.length > 0) subscription.deltaBase = subscription.offset;
    if (rest === undefined || !fits) {
      this.catchUp = new CatchUp(subscription, channel, channel.position.epoch, context);
      this.catchUp.start();
    }
    if (!fits) return [];
    context.metrics.recoveredPublications += texts.length;
    return texts;
  }

  /** Tells the others that the client is there. To be called once the client knows it. */
  announce(): void {
    const { context, channel, subscription } = this;
    if (this.namespace.joinLeave === false || !this.isLive) return;
    this.isAnnounced = true;
    context.announcements.join(channel, subscription.info, (listeners) => {
      subscription.owner.charge(listeners * COMING_COST);
    });
  }

  /** Others may know something else of the client from now on. */
  describe(info: ClientInfo): void {
    const { subscription, context, channel } = this;
    const { connInfo, chanInfo } = subscription.info;
    if (info.connInfo === connInfo && info.chanInfo === chanInfo) return;
    subscription.info = info;
    if (this.isPresent) context.background.add(context.presence.add(channel.name, info));
  }

  /** Sends the client what was published before. */
  flush(): void {
    this.channel.subscribers.flushTo(this.subscription);
  }

  /** The client is a subscriber no longer, whatever it was before. Nothing is sent for the channel after this call. */
  end(): void {
    this.flush(); // which may end it: its queue may be full
    if (this.state === "ended") return;
    const { subscription, channel, context } = this;
    if (this.isLive) context.metrics.subscriptions--;
    this.state = "ended";
    subscription.live = false;
    this.catchUp?.stop();
    channel.remove(subscription);
    if (this.isPresent) context.background.add(context.presence.remove(channel.name, subscription.info));
    if (this.isAnnounced) context.announcements.leave(channel, subscription.info);
    context.channels.release(channel);
  }

  private checkWanted(): void {
    if (this.state === "ended") throw commandError("UNAUTHORIZED", "the subscription was ended meanwhile");
  }

  private async readSince(since: Position, pageBytes: number): Promise<HistoryPage> {
    const { channel, context } = this;
    const { position } = channel;
    if (since.offset === position.offset && (since.epoch === "" || since.epoch === position.epoch)) {
      return { ...position, publications: [] };
    }
    const { historyPage } = context.settings.limits;
    const page = await channel.readPage(since, { historyPage, pageBytes }, false);
    if (page.epoch !== channel.position.epoch && this.state !== "ended") channel.restart(page);
    return page;
  }

  /** The history that was read may be ahead of what has reached this node. What comes up to there is not sent again. */
  private newest(position: Position): Position {
    const { page } = this;
    if (page === undefined || page.epoch !== position.epoch || page.offset <= position.offset) return position;
    return { offset: page.offset, epoch: page.epoch };
  }

  /** The first page of what was published behind the client's position; undefined where not all of it can be had. */
  private missed(): readonly Publication[] | undefined {
    const { since, page, channel } = this;
    if (since === undefined || page === undefined || page.epoch !== channel.position.epoch) return undefined;
    const { recoveryLimit } = this.namespace;
    if (recoveryLimit >= 0 && page.offset - since.offset > recoveryLimit) return undefined;
    return following(page, since);
  }
}
