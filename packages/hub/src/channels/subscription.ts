import type { ClientInfo, Publication } from "../broker/broker.ts";
import type { CodeAndReason } from "../codes.ts";
import type { Outbox } from "../output/outbox.ts";
import type { Pages } from "../limits/pages.ts";

/** The owner of subscriptions. */
export interface SubscriptionOwner {
  readonly outbox: Outbox;
  readonly pages: Pages;
  /** A request of the owner has cost this many bytes of work. */
  charge(bytes: number): void;
  /** The client's position in the stream is lost: it has to subscribe again. */
  lost(subscription: Subscription, why: CodeAndReason): void;
}

export interface SubscriptionOptions {
  /** Whether the server made the subscription. */
  readonly serverSide: boolean;
  /**
   * Whether the client gets its position, and each publication after it, or is told that it cannot
   * recover.
   */
  readonly positioned: boolean;
  readonly delta: boolean;
  /** Whether it gets joins and leaves. */
  readonly hearsJoins: boolean;
  /** Information about the client in this channel. */
  readonly info: ClientInfo;
  /** Unix time in seconds; undefined: never. */
  readonly expireAt: number | undefined;
}

/** Publications that were made while a page of history is read, in the order of their offsets. */
export interface ReadAhead {
  readonly publications: Publication[];
  /** Bytes that it may still take. Below 0 it is incomplete, and the rest has to be read. */
  room: number;
}

/** No offset: the base of a subscriber that cannot use a delta. */
export const NO_BASE = -1;

/**
 * The subscription of one session to one channel. The channel and the session change its fields.
 */
export class Subscription {
  readonly channel: string;
  readonly owner: SubscriptionOwner;
  readonly outbox: Outbox;
  readonly positioned: boolean;
  readonly serverSide: boolean;
  readonly delta: boolean;
  readonly hearsJoins: boolean;
  info: ClientInfo;
  expireAt: number | undefined;
  /** Nothing is sent between preparation and commit. */
  live = false;
  /** Whether it gets the stream from history until it has reached the top: see `CatchUp`. */
  isBehind = false;
  readAhead: ReadAhead | undefined;
  /** Offset of the last publication that it was sent, or that it had when it subscribed. */
  offset = 0;
  /** Offset of the publication that the next delta may be based on. */
  deltaBase = NO_BASE;
  /**
   * Number of the last publication before it subscribed: earlier ones that wait for the end of the
   * tick are not for it.
   */
  after = 0;
  /** Its index in the channel's list; -1: not in the list. */
  index = -1;

  constructor(channel: string, owner: SubscriptionOwner, options: SubscriptionOptions) {
    this.channel = channel;
    this.owner = owner;
    this.outbox = owner.outbox;
    this.positioned = options.positioned;
    this.serverSide = options.serverSide;
    this.delta = options.delta;
    this.hearsJoins = options.hearsJoins;
    this.info = options.info;
    this.expireAt = options.expireAt;
  }
}
