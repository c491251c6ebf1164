import type { ClientInfo, Publication } from "../broker/broker.ts";
import type { CodeAndReason } from "../codes.ts";
import type { Outbox } from "../output/outbox.ts";
import type { Pages } from "../limits/pages.ts";

/** Whoever has subscriptions: told where one ended for a reason of the channel. */
export interface SubscriptionOwner {
  readonly outbox: Outbox;
  readonly pages: Pages;
  /** Something that it asked for has cost so many bytes of work. */
  charge(bytes: number): void;
  /** The client's place in the stream is lost: it has to come back. */
  lost(subscription: Subscription, why: CodeAndReason): void;
}

export interface SubscriptionOptions {
  /** By the server, not by a command of the client's. */
  readonly serverSide: boolean;
  /** The client is told its position, and gets each publication behind it or is told that it can't. */
  readonly positioned: boolean;
  readonly delta: boolean;
  /** Whether it is told who comes and goes. */
  readonly hearsJoins: boolean;
  /** Who the client is in this channel. */
  readonly info: ClientInfo;
  /** Unix time in seconds; undefined: never. */
  readonly expireAt: number | undefined;
}

/** What was published while a page of history is read, in the order of the offsets. */
export interface ReadAhead {
  readonly publications: Publication[];
  /** Bytes that it may still take. Below 0 it is incomplete, and the rest has to be read. */
  room: number;
}

/** No offset: what a subscriber has that can make nothing of a delta. */
export const NO_BASE = -1;

/** One session's place in one channel. Its fields are the channel's and the session's to change. */
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
  /** Between preparation and commit nothing is sent. */
  live = false;
  /** It gets what is in the stream from history, until it has met the top: see `CatchUp`. */
  isBehind = false;
  readAhead: ReadAhead | undefined;
  /** Of the last publication that it was sent, or that it had when it subscribed. */
  offset = 0;
  /** Of the publication that the next one may be a delta to. */
  deltaBase = NO_BASE;
  /** The last publication before it came: those that wait for the end of the turn are none of its. */
  after = 0;
  /** Its index in the channel's list; -1: not in there. */
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
