import type { Background } from "../schedule/background.ts";
import { type Broker, type HistoryPage, isPlaceIn, type Position, type Publication } from "../broker/broker.ts";
import type { Channel, PageLimits } from "./channel.ts";
import { UNSUBSCRIBES } from "../codes.ts";
import type { JsonText } from "../json/json.ts";
import type { HubMetrics } from "../metrics.ts";
import { channelPush, publicationJson } from "../protocol/encode.ts";
import { wholeJson } from "../protocol/publication-push.ts";
import type { Subscription } from "./subscription.ts";

/** What catching up needs of its hub. */
export interface CatchUpContext {
  readonly broker: Broker;
  readonly metrics: HubMetrics;
  readonly background: Background;
  readonly settings: { readonly limits: PageLimits };
}

/**
 * Returns the publications of a page if they follow `since` without a gap. Undefined: they do not,
 * or the page is of another stream.
 */
export function following(page: HistoryPage, since: Position): readonly Publication[] | undefined {
  if (!isPlaceIn(page, since) || since.offset > page.offset) return undefined;
  let next = since.offset + 1;
  for (const { offset } of page.publications) if (offset !== next++) return undefined;
  const isMissing = page.publications.length === 0 && page.offset > since.offset;
  return isMissing ? undefined : page.publications;
}

/** Returns a publication from history for one subscriber. */
export function recoveredJson(publication: Publication, subscription: Subscription): JsonText {
  return subscription.delta ? wholeJson(publication) : publicationJson(publication);
}

/**
 * A subscriber that is behind its channel: a cursor on the stream. What it misses is read from
 * history page by page, as fast as its connection accepts it, including what is published
 * meanwhile. When the cursor reaches the top of the stream, the subscriber is live. If history no
 * longer reaches back to the cursor, the client is told to subscribe again from its position.
 */
export class CatchUp {
  private readonly subscription: Subscription;
  private readonly channel: Channel;
  private readonly epoch: string;
  private readonly context: CatchUpContext;
  private isStopped = false;

  /** `epoch`: of the stream that the subscription's offset belongs to. */
  constructor(subscription: Subscription, channel: Channel, epoch: string, context: CatchUpContext) {
    this.subscription = subscription;
    this.channel = channel;
    this.epoch = epoch;
    this.context = context;
  }

  start(): void {
    this.subscription.isBehind = true;
    this.continue();
  }

  /** The membership has ended. */
  stop(): void {
    this.isStopped = true;
  }

  private continue(): void {
    void this.subscription.owner.pages.run(() => this.step());
  }

  private async step(): Promise<void> {
    if (this.isStopped) return;
    const { channel, subscription, context } = this;
    const since = { offset: subscription.offset, epoch: this.epoch };
    try {
      channel.buffer(subscription, context.settings.limits.pageBytes);
      const page = await channel.readPage(since, context.settings.limits, true);
      if (!this.isStopped) this.take(page, since);
    } catch (error) {
      context.background.onError(error);
      this.lose();
    }
  }

  private take(page: HistoryPage, since: Position): void {
    const { channel, subscription, context } = this;
    if (page.epoch !== channel.position.epoch) channel.restart(page); // it ends this catch-up too
    const publications = following(page, since);
    if (publications === undefined || this.isStopped) {
      this.lose();
      return;
    }
    // publications of other channels may have left no room
    if (!subscription.outbox.hasRoomFor(context.settings.limits.pageBytes)) {
      channel.stopBuffering(subscription);
      this.continue();
      return;
    }
    const last = publications.at(-1)?.offset ?? since.offset;
    const rest = last < page.offset ? undefined : channel.goLive(subscription, last);
    this.send(publications);
    if (rest === undefined) {
      this.continue();
      return;
    }
    this.send(rest);
    subscription.isBehind = false;
    context.metrics.caughtUp++;
  }

  private send(publications: readonly Publication[]): void {
    const newest = publications.at(-1);
    if (newest === undefined) return;
    const { subscription, channel, context } = this;
    const lines = publications.map((each) => channelPush(channel.nameJson, "pub", recoveredJson(each, subscription)));
    context.metrics.recoveredPublications += lines.length;
    subscription.offset = newest.offset;
    subscription.deltaBase = newest.offset;
    const text = lines.join("\n");
    subscription.owner.charge(text.length);
    subscription.outbox.line(text);
  }

  private lose(): void {
    if (!this.isStopped) this.subscription.owner.lost(this.subscription, UNSUBSCRIBES.INSUFFICIENT_STATE);
  }
}
