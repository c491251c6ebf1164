import type { JsonText } from "../json/json.ts";
import type { StoreMetrics } from "../metrics.ts";

/** How long an idempotency key is remembered that comes without a time, ms. */
export const DEFAULT_IDEMPOTENCY_TTL = 5 * 60_000;
/** Bytes that a publication takes on its way to a client besides its texts, about: what a page counts for each. */
export const FRAMING_BYTES = 64;
/** A stream that never had a publication is forgotten sooner, ms, or names made up by clients would fill the store. */
export const EMPTY_META_TTL = 60 * 60_000;

/** A store that can't be reached at the moment. Whoever throws it tells of that once, by itself: it is no news each time. */
export class StoreUnavailableError extends Error {
  override readonly name = "StoreUnavailableError";
}

/** A store that keeps as much as it may: what was asked for was not done. The message says which quota, and what to do. */
export class QuotaExceededError extends Error {
  override readonly name = "QuotaExceededError";
}

/** Who is on a connection: goes with publications, presence, joins and leaves. */
export interface ClientInfo {
  /** The connection's id, unique among all nodes. */
  readonly client: string;
  /** "" is an anonymous user. */
  readonly user: string;
  /** What the connection's credentials say of it. */
  readonly connInfo?: JsonText | undefined;
  /** What the subscription's credentials say of it. */
  readonly chanInfo?: JsonText | undefined;
}

/** A place in a channel's stream. */
export interface Position {
  /** Of the last publication before this place; 0: before the first one. */
  readonly offset: number;
  /** Which stream: another one was lost, and its offsets mean nothing here. "" where a channel has no stream. */
  readonly epoch: string;
}

/** What is published. */
export interface NewPublication {
  /** The content, as JSON. */
  readonly data: JsonText;
  /** The client that publishes; undefined: the server does. */
  readonly info?: ClientInfo | undefined;
  /** Go with the publication to the clients. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/** What was published. */
export interface Publication extends NewPublication {
  /** 1, 2, 3, ... within a stream; 0: not kept in a stream. */
  readonly offset: number;
}

/** Options of `Broker.publish`. */
export interface BrokerPublishOptions {
  /** The newest publications to keep. 0: this one is not kept, gets offset 0, and nothing else of the stream changes. */
  readonly historySize: number;
  /** How long the publications of a stream are kept after its last one, ms. 0: as historySize 0. */
  readonly historyTtl: number;
  /** How long epoch and offset outlive the publications, ms, after the last publish or history call. */
  readonly metaTtl: number;
  /** The most channels of the namespace that are remembered without a subscriber; the one used longest ago gives way. Default: no limit. */
  readonly maxChannels?: number | undefined;
  /** A second publication to the channel with this key is not published; the first one's result is returned. */
  readonly idempotencyKey?: string | undefined;
  /** How long the key is remembered, ms. */
  readonly idempotencyTtl?: number | undefined;
  /** The texts of the publication share no memory with others that are forgotten sooner, and need not be copied to be kept. */
  readonly isOwned?: boolean | undefined;
}

/** What became of a publication on its way to subscribers. */
export interface FanOut {
  /** Handed to the connection. */
  delivered: number;
  /** Put into the connection's queue, because it takes no more at the moment. */
  queued: number;
  /** Publications that gave way in queues: older ones, or this one. */
  dropped: number;
  /** Connections ended because their queue was full. */
  disconnected: number;
}

/** What becomes of a publication on its way to subscribers, while it is on that way. */
export interface PendingFanOut {
  /** Resolves when it has reached all subscribers of the nodes that had it when the call was answered. */
  settled(): Promise<FanOut>;
}

/** Result of `Broker.publish`: the position of the publication. */
export interface BrokerResult extends Position {
  /** Nothing was published: the idempotency key was known, and the position is that of the first publication. */
  readonly duplicate: boolean;
  /** What becomes of it on the nodes that had it when the call was answered; undefined where it travels on by itself. */
  readonly fanOut: PendingFanOut | undefined;
}

/** Which publications `Broker.history` returns. */
export interface HistoryFilter {
  /** Only what comes behind this place (before it, in reverse). Its epoch is not looked at: the page tells the stream's. */
  readonly since?: Position | undefined;
  /** The most publications to return. 0: none, just the position. -1: all. */
  readonly limit: number;
  /**
   * About the most bytes that the publications may have as JSON. The page ends before the publication that is too much, but has one at least.
   * Default: no limit.
   */
  readonly maxBytes?: number | undefined;
  /** As for publishing. */
  readonly maxChannels?: number | undefined;
  /** From the newest to the oldest. */
  readonly reverse?: boolean | undefined;
  /** Waits for a store that is away for a moment, to fill a gap. Default: a store that is away is an error at once. */
  readonly patient?: boolean | undefined;
}

/**
 * The position is the top of the stream at the moment when the publications were read. Where `limit` or `maxBytes` has cut the page, the
 * offset of its last publication is where the next one begins (`since`).
 */
export interface HistoryPage extends Position {
  /** In the order of their offsets; the other way round with `reverse`. */
  readonly publications: readonly Publication[];
  /**
   * Epochs that the stream had before, each with the offset up to which its positions hold. A store that has come back and may have
   * lost its newest publications goes on under another epoch, as it would else give their numbers to others.
   */
  readonly earlier?: readonly Position[] | undefined;
}

/** Whether a position is a place in this stream, so that what is published behind it follows what its holder has. */
export function isPlaceIn(stream: HistoryPage, { epoch, offset }: Position): boolean {
  if (epoch === "" || epoch === stream.epoch) return true;
  return stream.earlier?.some((each) => each.epoch === epoch && offset <= each.offset) ?? false;
}

/** What a broker hands to its hub. Called in no other channel's order but in each channel's; must not throw. */
export interface BrokerHandler {
  /** `epoch` is "" for a publication with offset 0. Returns what becomes of it on this node; undefined: that is not known. */
  publication(channel: string, publication: Publication, epoch: string): PendingFanOut | undefined;
  /** A client has joined a channel. */
  join(channel: string, info: ClientInfo): void;
  /** A client has left a channel. */
  leave(channel: string, info: ClientInfo): void;
  /** A message of `control` from another node. */
  control(message: string): void;
  /** Publications may have been lost on the way to this node: of these channels, or of all. */
  interrupted(channels?: Iterable<string>): void;
}

/**
 * Publishing, delivery and history. One broker object serves one hub; the streams behind it are shared by all nodes.
 *
 * - Delivery: once `subscribe` has resolved, and until `unsubscribe` is called, each publication, join and leave of the
 *   channel reaches the handler, at most once. A broker on which some may be lost says so by `lossy`; the hub then checks
 *   positions and fills gaps from history.
 * - Order: publications of a channel are numbered in the order of the calls of `publish` on one node, and reach the handler in
 *   the order of their offsets. Joins and leaves come in the order of their calls.
 * - Atomicity: number, history, idempotency key and hand-over to the nodes are one step: whoever reads a page and has
 *   everything delivered from then on has everything. A page is never older than what was delivered before it was asked for.
 * - A call that rejects may have had its effect, or not: a publisher that must not double uses an idempotency key.
 */
export interface Broker {
  /** Whether publications can be lost on the way to the handler without a call of `interrupted`. */
  readonly lossy: boolean;
  /** Undefined: there is no store elsewhere. */
  readonly metrics?: StoreMetrics;
  /** Called once, before anything else. Rejects where the store can't be reached. */
  start(handler: BrokerHandler): Promise<void>;
  /** No call of the handler after it resolved. Streams stay. */
  stop(): Promise<void>;
  /**
   * Begins the delivery of a channel to the handler. Resolves when nothing published from then on
   * is missed.
   */
  subscribe(channel: string): Promise<void>;
  /** Ends the delivery of a channel. */
  unsubscribe(channel: string): Promise<void>;
  /** Publishes to a channel. Rejects with a StoreUnavailableError or a QuotaExceededError. */
  publish(channel: string, publication: NewPublication, options: BrokerPublishOptions): Promise<BrokerResult>;
  /** Tells the nodes that a client has joined a channel. */
  publishJoin(channel: string, info: ClientInfo): Promise<void>;
  /** Tells the nodes that a client has left a channel. */
  publishLeave(channel: string, info: ClientInfo): Promise<void>;
  /** A channel without a stream gets one: offset 0 and an epoch that later publications continue, for `metaTtl` ms. */
  history(channel: string, filter: HistoryFilter, metaTtl: number): Promise<HistoryPage>;
  /** Forgets the publications. Offset and epoch stay. */
  removeHistory(channel: string): Promise<void>;
  /** To the handlers of all other nodes. */
  control(message: string): Promise<void>;
}
