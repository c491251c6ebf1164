import type { ClientInfo } from "../broker/broker.ts";
import type { TickEnd } from "../schedule/tick-end.ts";

interface Change {
  /** Whether the client was present at the first event of the tick. */
  readonly wasThere: boolean;
  readonly before: ClientInfo;
  isThere: boolean;
  info: ClientInfo;
}

/**
 * The joins and leaves of a channel in one tick. A client that joined and left, or left and
 * returned unchanged, is in neither.
 */
export class Comings {
  private readonly changes = new Map<string, Change>();

  join(info: ClientInfo): void {
    this.add(info, true);
  }

  leave(info: ClientInfo): void {
    this.add(info, false);
  }

  /** Returns the leaves and joins; a client in both has changed. */
  net(): { readonly leaves: readonly ClientInfo[]; readonly joins: readonly ClientInfo[] } {
    const leaves: ClientInfo[] = [];
    const joins: ClientInfo[] = [];
    for (const { wasThere, before, isThere, info } of this.changes.values()) {
      if (wasThere && isThere && isSame(before, info)) continue;
      if (wasThere) leaves.push(before);
      if (isThere) joins.push(info);
    }
    return { leaves, joins };
  }

  private add(info: ClientInfo, isThere: boolean): void {
    const change = this.changes.get(info.client);
    if (change === undefined) {
      this.changes.set(info.client, { wasThere: !isThere, before: info, isThere, info });
      return;
    }
    change.isThere = isThere;
    change.info = info;
  }
}

function isSame(a: ClientInfo, b: ClientInfo): boolean {
  return a === b || (a.user === b.user && a.connInfo === b.connInfo && a.chanInfo === b.chanInfo);
}

/** A channel of this node. */
interface Announced {
  readonly name: string;
  /** Number of subscribers that get joins and leaves. */
  readonly listeners: number;
}

interface Announcement {
  readonly comings: Comings;
  /** By client. */
  readonly charges: Map<string, (listeners: number) => void>;
  channel: Announced;
}

/** Where joins and leaves are published. */
export interface AnnouncementSink {
  join(channel: string, info: ClientInfo): void;
  leave(channel: string, info: ClientInfo): void;
}

/**
 * Joins and leaves of this node's clients, published at the end of the tick after they are
 * coalesced.
 */
export class Announcements {
  private readonly tickEnd: TickEnd;
  private readonly sink: AnnouncementSink;
  private byChannel = new Map<string, Announcement>();

  constructor(tickEnd: TickEnd, sink: AnnouncementSink) {
    this.tickEnd = tickEnd;
    this.sink = sink;
  }

  /**
   * `charge`: called when the join is published, with the number of subscribers on this node that
   * get it.
   */
  join(channel: Announced, info: ClientInfo, charge: (listeners: number) => void): void {
    const { comings, charges } = this.of(channel);
    comings.join(info);
    charges.set(info.client, charge);
  }

  leave(channel: Announced, info: ClientInfo): void {
    this.of(channel).comings.leave(info);
  }

  flush(): void {
    const { byChannel } = this;
    if (byChannel.size === 0) return;
    this.byChannel = new Map();
    for (const [name, { comings, charges, channel }] of byChannel) {
      const { leaves, joins } = comings.net();
      for (const info of leaves) this.sink.leave(name, info);
      for (const info of joins) {
        charges.get(info.client)?.(channel.listeners);
        this.sink.join(name, info);
      }
    }
  }

  private of(channel: Announced): Announcement {
    let announcement = this.byChannel.get(channel.name);
    if (announcement === undefined) {
      if (this.byChannel.size === 0) this.tickEnd.addFirst(this);
      announcement = { comings: new Comings(), charges: new Map(), channel };
      this.byChannel.set(channel.name, announcement);
    }
    announcement.channel = channel; // the channel may have been closed and opened again
    return announcement;
  }
}
