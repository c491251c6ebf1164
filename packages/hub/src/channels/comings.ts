import type { ClientInfo } from "../broker/broker.ts";
import type { TickEnd } from "../schedule/tick-end.ts";

interface Change {
  /** What came first in the tick, and of whom. */
  readonly wasThere: boolean;
  readonly before: ClientInfo;
  isThere: boolean;
  info: ClientInfo;
}

/** Who comes and goes in a channel in one tick. Who has come and gone again, or gone and come again as before, has done neither. */
export class Comings {
  private readonly changes = new Map<string, Change>();

  join(info: ClientInfo): void {
    this.add(info, true);
  }

  leave(info: ClientInfo): void {
    this.add(info, false);
  }

  /** Those who left and those who joined; who is in both is another one now. */
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
  /** Subscribers that are told who comes and goes. */
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

/** Joins and leaves of this node's clients: told to the broker at the end of the tick, as far as anything is left of them. */
export class Announcements {
  private readonly tickEnd: TickEnd;
  private readonly sink: AnnouncementSink;
  private byChannel = new Map<string, Announcement>();

  constructor(tickEnd: TickEnd, sink: AnnouncementSink) {
    this.tickEnd = tickEnd;
    this.sink = sink;
  }

  /** `charge`: called where others are told of the join, with how many on this node. */
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
    announcement.channel = channel; // it may have been closed and opened again
    return announcement;
  }
}
