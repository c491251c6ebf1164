import type { ClientInfo } from "./broker/broker.ts";
import type { TurnEnd } from "./outbox.ts";

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

/** Where joins and leaves are published. */
export interface AnnouncementSink {
  join(channel: string, info: ClientInfo): void;
  leave(channel: string, info: ClientInfo): void;
}

/** Joins and leaves of this node's clients: told to the broker at the end of the tick, as far as anything is left of them. */
export class Announcements {
  private readonly turnEnd: TurnEnd;
  private readonly sink: AnnouncementSink;
  private byChannel = new Map<string, Comings>();

  constructor(turnEnd: TurnEnd, sink: AnnouncementSink) {
    this.turnEnd = turnEnd;
    this.sink = sink;
  }

  join(channel: string, info: ClientInfo): void {
    this.of(channel).join(info);
  }

  leave(channel: string, info: ClientInfo): void {
    this.of(channel).leave(info);
  }

  flush(): void {
    const { byChannel } = this;
    if (byChannel.size === 0) return;
    this.byChannel = new Map();
    for (const [channel, comings] of byChannel) {
      const { leaves, joins } = comings.net();
      for (const info of leaves) this.sink.leave(channel, info);
      for (const info of joins) this.sink.join(channel, info);
    }
  }

  private of(channel: string): Comings {
    let comings = this.byChannel.get(channel);
    if (comings === undefined) {
      if (this.byChannel.size === 0) this.turnEnd.addFirst(this);
      this.byChannel.set(channel, (comings = new Comings()));
    }
    return comings;
  }
}
