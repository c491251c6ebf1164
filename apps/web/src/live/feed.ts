import type { LinkState } from "../connection/link.ts";
import type { HubLink } from "../hub/hub-link.ts";
import { type Figures, readFigures } from "./figures.ts";

const CHANNEL = "live:server";
const PAST = 120; // publications

export interface FeedListener {
  stateChanged(state: LinkState): void;
  figures(figures: readonly Figures[]): void;
  refused(reason: string): void;
}

/** The figures that the server publishes while somebody watches, those of the last minutes first. */
export class Feed {
  private readonly link: HubLink;
  private readonly listener: FeedListener;
  private readonly channel;

  constructor(link: HubLink, listener: FeedListener) {
    this.link = link;
    this.listener = listener;
    this.channel = link.client.newSubscription(CHANNEL);
    this.channel.on("subscribed", ({ recovered }) => {
      if (!recovered) void this.askPast();
    });
    this.channel.on("publication", ({ data }) => this.tell([data]));
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
      this.tell(publications.toReversed().map(({ data }) => data as unknown));
    } catch {
      return; // what is published now comes all the same
    }
  }

  private tell(data: readonly unknown[]): void {
    const figures = data.map(readFigures).filter((each) => each !== undefined);
    if (figures.length > 0) this.listener.figures(figures);
  }
}
