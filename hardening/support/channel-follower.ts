/** A publication, as far as these clients parse it. */
export interface HubPublication {
  readonly data: unknown;
  readonly offset?: number;
}

/** A line from the hub, as far as these clients parse it. */
export interface HubLine {
  readonly id?: number;
  readonly error?: { readonly code: number; readonly message: string };
  readonly connect?: { readonly client: string };
  readonly subscribe?: SubscribeResult;
  readonly push?: {
    readonly channel?: string;
    readonly pub?: HubPublication;
    readonly unsubscribe?: { readonly code: number };
  };
}

export interface SubscribeResult {
  readonly epoch?: string;
  readonly offset?: number;
  readonly recovered?: boolean;
  readonly publications?: readonly HubPublication[];
}

/** The position of a client in the stream of a channel. */
export interface Place {
  readonly epoch: string;
  readonly offset: number;
}

/** What a reply to a subscribe command means for a client's position. */
export interface Subscribed {
  /** "new": the first subscription; "lost": missed publications are not available. */
  readonly outcome: "new" | "recovered" | "lost";
  /** The fault of the reply; undefined: none. */
  readonly fault: string | undefined;
}

/**
 * The position of a client in one channel, over all of its connections. It finds gaps and
 * duplicates in what the hub sends. The client gives it each reply to a subscribe command, and then
 * each publication, those of the reply included.
 */
export class ChannelFollower {
  readonly channel: string;
  /** Undefined before the first subscription. */
  place: Place | undefined;
  /** The position in the last subscribe command. */
  private asked: Place | undefined;

  constructor(channel: string) {
    this.channel = channel;
  }

  /** The next subscribe command, without its id. It asks for what the client missed. */
  subscribeCommand(): { readonly subscribe: Readonly<Record<string, unknown>> } {
    const { channel, place } = this;
    this.asked = place;
    return { subscribe: { channel, ...(place === undefined ? {} : { recover: true, ...place }) } };
  }

  subscribed({ epoch = "", offset = 0, recovered = false }: SubscribeResult): Subscribed {
    const { place, asked } = this;
    if (place === undefined || !recovered) {
      this.place = { epoch, offset };
      return { outcome: place === undefined ? "new" : "lost", fault: undefined };
    }
    // a store that was replaced by its replica has another epoch, in which positions up to what it
    // has still hold
    this.place = { epoch, offset: place.offset };
    // the reply has the position before the publications
    const isExpected = offset === asked?.offset && offset === place.offset;
    const fault = isExpected
      ? undefined
      : `asked to go on at ${asked?.offset}, is at ${place.offset}, was told ${offset}`;
    return { outcome: "recovered", fault };
  }

  /**
   * Advances past a publication. Returns what is wrong with its offset, or undefined if it is the
   * next one.
   */
  published({ offset = 0 }: HubPublication): string | undefined {
    const { place } = this;
    if (place === undefined) return `${offset} without a subscription`;
    this.place = { ...place, offset };
    return offset === place.offset + 1 ? undefined : `${offset} behind ${place.offset}`;
  }
}
