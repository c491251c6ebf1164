import type { LinkState } from "../connection/link.ts";
import type { HubLink } from "../hub/hub-link.ts";
import { type NodeStats, parseNodeStats } from "./node-stats.ts";

const CHANNEL = "live:server";
const PAST = 120; // publications

export interface StatsListener {
  stateChanged(state: LinkState): void;
  stats(stats: readonly NodeStats[]): void;
  refused(reason: string): void;
}

/**
 * The statistics that the server publishes while a client is subscribed, starting with those of the
 * last minutes.
 */
export class StatsSubscription {
  private readonly link: HubLink;
  private readonly listener: StatsListener;
  private readonly channel;

  constructor(link: HubLink, listener: StatsListener) {
    this.link = link;
    this.listener = listener;
    this.channel = link.client.newSubscription(CHANNEL);
    this.channel.on("subscribed", ({ recovered }) => {
      if (!recovered) void this.askPast();
    });
    this.channel.on("publication", ({ data }) => this.report([data]));
    this.channel.on("unsubscribed", ({ code, reason }) => {
      if (code !== 0) this.listener.refused(reason);
    });
    this.channel.subscribe();
  }

  close(): void {
    this.channel.unsubscribe();
    this.channel.removeAllListeners();
    this.link.client.removeSubscription(this.channel);
  }

  stateChanged(state: LinkState): void {
    this.listener.stateChanged(state);
  }

  check(): void {
    if (this.link.state.kind !== "open") this.link.open();
    else void this.askPast();
  }

  private async askPast(): Promise<void> {
    try {
      const { publications } = await this.link.answered(this.channel.history({ limit: PAST, reverse: true }));
      this.report(publications.toReversed().map(({ data }) => data as unknown));
    } catch {
      return; // live publications arrive anyway
    }
  }

  private report(data: readonly unknown[]): void {
    const stats = data.map(parseNodeStats).filter((each) => each !== undefined);
    if (stats.length > 0) this.listener.stats(stats);
  }
}
