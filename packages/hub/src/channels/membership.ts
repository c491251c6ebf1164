import type { ClientInfo, HistoryPage, Position, Publication } from "../broker/broker.ts";
import { CatchUp, type CatchUpContext, following, recoveredJson } from "./catch-up.ts";
import type { Channel } from "./channel.ts";
import type { Channels } from "./channels.ts";
import { commandError } from "../codes.ts";
import type { Announcements } from "./comings.ts";
import { COMING_COST } from "../limits/cost.ts";
import { sizeOfOptional } from "../memory/owned.ts";
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

/** What a client gets when it becomes a subscriber. */
export interface Beginning {
  /**
   * Its position before the publications below; undefined if the channel keeps no position for it.
   */
  readonly position: Position | undefined;
  readonly wasRecovering: boolean;
  readonly recovered: boolean;
  /**
   * The publications that it missed, as JSON, in order: all, or the first page. The rest follows by
   * pushes.
   */
  readonly publications: readonly JsonText[];
}

/**
 * The membership of a session in a channel. `prepare` may wait; `commit` does not, so that the
 * caller can write the client's reply in the same step; then `announce`. `end` may be called at any
 * time.
 */
export class Membership {
  readonly subscription: Subscription;
  readonly namespace: Namespace;
  /** Size of its info in the channel at the start, in bytes. */
  readonly infoBytes: number;
  /**
   * Whether the client's credentials name the channel: the membership ends when they no longer do.
   */
  byCredentials = false;
  private readonly context: MembershipContext;
  private readonly channel: Channel;
  private state: "preparing" | "live" | "ended" = "preparing";
  private isPresent = false;
  private isAnnounced = false;
  /** The position from which the client recovers, and the publications after it. */
  private since: Position | undefined;
  private page: HistoryPage | undefined;
  private catchUp: CatchUp | undefined;

  constructor(subscription: Subscription, namespace: Namespace, context: MembershipContext) {
    this.subscription = subscription;
    this.namespace = namespace;
    this.context = context;
    this.infoBytes = sizeOfOptional(subscription.info.chanInfo);
    this.channel = context.channels.acquire(subscription.channel, namespace);
  }

  get isLive(): boolean {
    return this.state === "live";
  }

  /**
   * Does everything that takes time. `since`: the client's position, if it wants what it missed.
   * `pageBytes`: how much of that is read at once. Rejects with a CommandError; call `end` then
   * too.
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
        channel.buffer(subscription, pageBytes); // nothing is missed from here on
        this.page = await this.readSince(since, pageBytes);
        this.checkWanted();
      }
    } catch (error) {
      if (this.state === "ended") throw error;
      context.background.onError(error);
      throw commandError("INTERNAL", undefined, { cause: error });
    }
  }

  /**
   * Whether everything that the client missed is available. Valid between `prepare` and `commit`.
   */
  get isRecoverable(): boolean {
    return this.missed() !== undefined;
  }

  /**
   * Makes the client a subscriber: publications from now on are sent after what the caller writes
   * now. `room`: bytes that recovered publications may take in the caller's message; if they take
   * more, all follow by pushes.
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

  /**
   * Returns the publications for the reply: all that the client missed, or the first page. A
   * CatchUp sends the rest.
   */
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

  /** Announces the client to the others. Call it once the client has its reply. */
  announce(): void {
    const { context, channel, subscription } = this;
    if (this.namespace.joinLeave === false || !this.isLive) return;
    this.isAnnounced = true;
    context.announcements.join(channel, subscription.info, (listeners) => {
      subscription.owner.charge(listeners * COMING_COST);
    });
  }

  /** The information about the client has changed. */
  describe(info: ClientInfo): void {
    const { subscription, context, channel } = this;
    const { connInfo, chanInfo } = subscription.info;
    if (info.connInfo === connInfo && info.chanInfo === chanInfo) return;
    subscription.info = info;
    if (this.isPresent) context.background.add(context.presence.add(channel.name, info));
  }

  /** Sends the client what is under way to it. */
  flush(): void {
    this.channel.subscribers.flushTo(this.subscription);
  }

  /** Ends the membership in any state. Nothing is sent for the channel after this call. */
  end(): void {
    this.flush(); // it may end the session, if its queue is full
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

  /**
   * The history that was read may be ahead of what has reached this node; publications up to it are
   * not sent again.
   */
  private newest(position: Position): Position {
    const { page } = this;
    if (page === undefined || page.epoch !== position.epoch || page.offset <= position.offset) return position;
    return { offset: page.offset, epoch: page.epoch };
  }

  /** Returns the first page of what the client missed; undefined if not everything is available. */
  private missed(): readonly Publication[] | undefined {
    const { since, page, channel } = this;
    if (since === undefined || page === undefined || page.epoch !== channel.position.epoch) return undefined;
    const { recoveryLimit } = this.namespace;
    if (recoveryLimit >= 0 && page.offset - since.offset > recoveryLimit) return undefined;
    return following(page, since);
  }
}
