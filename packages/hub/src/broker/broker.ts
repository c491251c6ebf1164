import type { JsonText } from "../json/json.ts";
import type { StoreMetrics } from "../metrics.ts";
import { HubError } from "../errors.ts";

/** Default lifetime of an idempotency key in ms. */
export const DEFAULT_IDEMPOTENCY_TTL = 5 * 60_000;
/**
 * Approximate bytes of a publication on the wire besides its texts; a page counts them for each
 * publication.
 */
export const FRAMING_BYTES = 64;
/**
 * Lifetime in ms of a stream that never had a publication. It is shorter, because clients can make
 * up names.
 */
export const EMPTY_META_TTL = 60 * 60_000;

/**
 * The store cannot be reached at the moment. The thrower reports the outage once; it is not
 * reported for each call.
 */
export class StoreUnavailableError extends HubError {
  override readonly name = "StoreUnavailableError";

  constructor(message: string, options?: ErrorOptions) {
    super("STORE_UNAVAILABLE", message, options);
  }
}

/**
 * The store has reached a quota, and nothing was done. The message names the quota and says what to
 * do.
 */
export class QuotaExceededError extends HubError {
  override readonly name = "QuotaExceededError";

  constructor(message: string, options?: ErrorOptions) {
    super("QUOTA_EXCEEDED", message, options);
  }
}

/** The client of a connection, as publications, presence, joins and leaves show it. */
export interface ClientInfo {
  /** The id of the connection, unique among all nodes. */
  readonly client: string;
  /** The user; "" is an anonymous one. */
  readonly user: string;
  /** `info` of the connection's credentials. */
  readonly connInfo?: JsonText | undefined;
  /** `info` of the subscription. */
  readonly chanInfo?: JsonText | undefined;
}

/** A position in a channel's stream. */
export interface Position {
  /** Offset of the last publication before the position; 0: before the first one. */
  readonly offset: number;
  /**
   * Identifies the stream. A stream that was lost is replaced by one with another epoch, in which
   * old offsets mean nothing. "" if the channel has no stream.
   */
  readonly epoch: string;
}

/** A publication to be published. */
export interface NewPublication {
  /** The content, as JSON. */
  readonly data: JsonText;
  /** The client that publishes; undefined: the server does. */
  readonly info?: ClientInfo | undefined;
  /** Tags that go with the publication to the clients. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/** A publication of a stream. */
export interface Publication extends NewPublication {
  /** Number in the stream: 1, 2, 3, ...; 0: not kept in a stream. */
  readonly offset: number;
}

/** Options of `Broker.publish`. */
export interface BrokerPublishOptions {
  /**
   * Number of publications to keep. 0: this one is not kept and gets offset 0, and the stream does
   * not change.
   */
  readonly historySize: number;
  /** How long publications are kept after the last one, in ms. 0: as `historySize` 0. */
  readonly historyTtl: number;
  /** How long epoch and offset are kept after the last call of publish or history, in ms. */
  readonly metaTtl: number;
  /**
   * Maximum number of channels of the namespace that are kept without a subscriber; the least
   * recently used one is evicted. Default: no limit.
   */
  readonly maxChannels?: number | undefined;
  /**
   * A second publication to the channel with the same key is not published; the result of the first
   * one is returned.
   */
  readonly idempotencyKey?: string | undefined;
  /** Lifetime of the key in ms. */
  readonly idempotencyTtl?: number | undefined;
  /**
   * Whether the texts of the publication share no memory with others, so that they need not be
   * copied to be kept.
   */
  readonly isOwned?: boolean | undefined;
}

/** The result of delivering a publication, as numbers of subscribers. */
export interface FanOut {
  /** Written to the connection. */
  delivered: number;
  /** Put into the queue of a connection that accepts no more at the moment. */
  queued: number;
  /** Publications dropped from full queues: older ones, or this one. */
  dropped: number;
  /** Connections closed because their queue was full. */
  disconnected: number;
}

/** The delivery of a publication while it is under way. */
export interface PendingFanOut {
  /**
   * Resolves when the publication has reached all subscribers of the nodes that had it when the
   * call returned.
   */
  settled(): Promise<FanOut>;
}

/** Result of `Broker.publish`: the position of the publication. */
export interface BrokerResult extends Position {
  /**
   * Nothing was published: the idempotency key was known. The position is that of the first
   * publication.
   */
  readonly duplicate: boolean;
  /**
   * The delivery on the nodes that had the publication when the call returned; undefined if the
   * broker does not know it.
   */
  readonly fanOut: PendingFanOut | undefined;
}

/** Which publications `Broker.history` returns. */
export interface HistoryFilter {
  /**
   * Returns only publications after this position (before it, in reverse). Its epoch is ignored:
   * the page has the epoch of the stream.
   */
  readonly since?: Position | undefined;
  /** Maximum number of publications. 0: only the position. -1: no limit. */
  readonly limit: number;
  /**
   * Approximate maximum size of the publications as JSON, in bytes. The page ends before the
   * publication that exceeds it, but has at least one. Default: no limit.
   */
  readonly maxBytes?: number | undefined;
  /** As in BrokerPublishOptions. */
  readonly maxChannels?: number | undefined;
  /** Returns the newest publications first. Default: false. */
  readonly reverse?: boolean | undefined;
  /**
   * Waits for a store that cannot be reached for a moment, in order to fill a gap. Default: an
   * unreachable store is an error at once.
   */
  readonly patient?: boolean | undefined;
}

/**
 * A page of history. Its position is the top of the stream when the publications were read. If
 * `limit` or `maxBytes` has cut the page, the next one begins after the offset of its last
 * publication (`since`).
 */
export interface HistoryPage extends Position {
  /** In ascending order of offsets; descending with `reverse`. */
  readonly publications: readonly Publication[];
  /**
   * Earlier epochs of the stream, each with the offset up to which its positions are valid. A store
   * that has restarted and may have lost its newest publications continues under another epoch,
   * because it would otherwise assign their offsets again.
   */
  readonly earlier?: readonly Position[] | undefined;
}

/**
 * Whether a position belongs to this stream, so that later publications follow what its holder has.
 */
export function isPlaceIn(stream: HistoryPage, { epoch, offset }: Position): boolean {
  if (epoch === "" || epoch === stream.epoch) return true;
  return stream.earlier?.some((each) => each.epoch === epoch && offset <= each.offset) ?? false;
}

/**
 * Receives what a broker delivers to its hub. Calls for one channel come in order. It must not
 * throw.
 */
export interface BrokerHandler {
  /**
   * A publication. `epoch` is "" for one with offset 0. Returns its delivery on this node;
   * undefined if that is not known.
   */
  publication(channel: string, publication: Publication, epoch: string): PendingFanOut | undefined;
  /** A client has joined a channel. */
  join(channel: string, info: ClientInfo): void;
  /** A client has left a channel. */
  leave(channel: string, info: ClientInfo): void;
  /** A message of another node's `control`. */
  control(message: string): void;
  /** Publications may have been lost on the way to this node: of these channels, or of all. */
  interrupted(channels?: Iterable<string>): void;
}

/**
 * Publishing, delivery and history. One broker object serves one hub; all nodes share the streams
 * behind it.
 * - Delivery: after `subscribe` has resolved, and until `unsubscribe` is called, each publication,
 *   join and leave of the channel reaches the handler at most once. A broker that may lose some
 *   says so by `lossy`; the hub then checks positions and fills gaps from history.
 * - Order: publications of a channel are numbered in the order of the `publish` calls of one node,
 *   and reach the handler in the order of their offsets. Joins and leaves come in the order of
 *   their calls.
 * - Atomicity: number, history, idempotency key and delivery to the nodes are one step: a reader of
 *   a page who gets every later publication misses nothing. A page is never older than what was
 *   delivered before it was requested.
 * - A call that rejects may or may not have had its effect: a publisher that must not publish twice
 *   uses an idempotency key.
 */
export interface Broker {
  /** Whether publications can be lost on the way to the handler without a call of `interrupted`. */
  readonly lossy: boolean;
  /** Counters of the connection to an external store; undefined if there is none. */
  readonly metrics?: StoreMetrics;
  /** Called once, before anything else. Rejects if the store cannot be reached. */
  start(handler: BrokerHandler): Promise<void>;
  /** Ends the broker. The handler is not called after it has resolved. Streams stay. */
  stop(): Promise<void>;
  /**
   * Starts the delivery of a channel to the handler. Resolves when no later publication is missed.
   */
  subscribe(channel: string): Promise<void>;
  /** Ends the delivery of a channel to the handler. */
  unsubscribe(channel: string): Promise<void>;
  /** Publishes to a channel. Rejects with a StoreUnavailableError or a QuotaExceededError. */
  publish(channel: string, publication: NewPublication, options: BrokerPublishOptions): Promise<BrokerResult>;
  /** Notifies the nodes that a client has joined a channel. */
  publishJoin(channel: string, info: ClientInfo): Promise<void>;
  /** Notifies the nodes that a client has left a channel. */
  publishLeave(channel: string, info: ClientInfo): Promise<void>;
  /**
   * Reads a page of history. A channel without a stream gets one, with offset 0 and an epoch that
   * later publications continue for `metaTtl` ms.
   */
  history(channel: string, filter: HistoryFilter, metaTtl: number): Promise<HistoryPage>;
  /** Removes the publications of a channel. Offset and epoch stay. */
  removeHistory(channel: string): Promise<void>;
  /** Sends a message to the handlers of all other nodes. */
  control(message: string): Promise<void>;
}
