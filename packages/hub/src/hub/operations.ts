import { timeFault } from "tungstate/internal";
import {
  type ClientInfo,
  type FanOut,
  type HistoryFilter,
  type HistoryPage,
  isPlaceIn,
  type Position,
  QuotaExceededError,
} from "../broker/broker.ts";
import { channelNameFault } from "../options/channel-name.ts";
import { checkDisconnect, CommandError, commandError, DISCONNECTS, UNSUBSCRIBES } from "../codes.ts";
import { type Control, decodeControl, encodeControl, type NodeInfo } from "../nodes/control.ts";
import type { JsonText } from "../json/json.ts";
import type { Namespace } from "../settings/namespaces.ts";
import { own, sizeOfOptional } from "../memory/owned.ts";
import { Nodes } from "../nodes/nodes.ts";
import { namespaceOf, type Parts } from "../sessions/parts.ts";
import { readClients } from "../presence/pages.ts";
import type { PresenceStats } from "../presence/presence-store.ts";
import { applyControl, type SessionControl } from "../sessions/session-controls.ts";
import { type SurveyAnswer, Surveys } from "../nodes/surveys.ts";
import type { Loop } from "../schedule/time-slices.ts";

const SURVEY_TIMEOUT = 5_000; // ms
/** Number of publications between two checks of the time slice. */
const AT_ONCE = 64;
/** Limits of one page of history. */
const PAGE = { limit: 1000, maxBytes: 256 * 1024 };
const NOTHING: FanOut = { delivered: 0, queued: 0, dropped: 0, disconnected: 0 };

/** Options of `publish` and `broadcast`. */
export interface PublishOptions {
  /**
   * A second publication to the channel with the same key is not published: the position of the
   * first one is returned.
   */
  readonly idempotencyKey?: string | undefined;
  /** Lifetime of the key in ms; a RangeError unless it is above 0. Default: 300,000. */
  readonly idempotencyTtl?: number | undefined;
  /** Tags that go with the publication to the clients. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Delivers the publication without keeping it. Default: false. */
  readonly skipHistory?: boolean | undefined;
  /**
   * Requires that subscribers can get a delta: rejects with a CommandError (108) if the namespace
   * has none. Default: false.
   */
  readonly delta?: boolean | undefined;
}

/**
 * The position of a publication, and its delivery as far as it is known: on this node, at this
 * moment.
 */
export interface PublishReport extends Position, Readonly<FanOut> {
  /** Whether nothing was published, because the idempotency key was known. */
  readonly duplicate: boolean;
}

/** What became of a broadcast in one channel. */
export type BroadcastReport =
  | {
      /** The channel. */
      readonly channel: string;
      /** The result in this channel. */
      readonly report: PublishReport;
    }
  | {
      /** The channel. */
      readonly channel: string;
      /** Why nothing was published in this channel. */
      readonly error: CommandError;
    };

/** Options of `history`. */
export interface HistoryOptions {
  /**
   * Returns only publications after this position (before it, in reverse). Default: from the
   * beginning.
   */
  readonly since?: Position | undefined;
  /** Maximum number of publications; -1: no limit. Default: 0, only the position. */
  readonly limit?: number | undefined;
  /** Returns the newest publications first. Default: false. */
  readonly reverse?: boolean | undefined;
  /**
   * Approximate maximum size of the publications as JSON, in bytes; at least one is returned. The
   * next page begins after the offset of the last one (`since`). Default: no limit.
   */
  readonly maxBytes?: number | undefined;
}

/** Selects clients of a user. */
export interface ClientSelection {
  /** The id of the only client meant; undefined: all clients of the user. */
  readonly client?: string | undefined;
}

/** Options of `disconnect`. */
export interface DisconnectOptions extends ClientSelection {
  /** Close code. Default: 3503, after which clients do not reconnect. */
  readonly code?: number | undefined;
  /** Close reason, at most 123 bytes. Default: "force disconnect". */
  readonly reason?: string | undefined;
  /** Ids of clients that are left alone. */
  readonly except?: readonly string[] | undefined;
}

/** What a server does with channels and users, with JSON as text. Rejects with CommandErrors. */
export class Operations {
  /** The nodes of the hub, as far as they are known here. */
  readonly nodes: Nodes;
  /** The questions to all nodes. */
  readonly surveys: Surveys;
  private readonly parts: Parts;
  private readonly id: string;
  private readonly startedAt: number;

  constructor(parts: Parts) {
    const { clock, announceInterval, newId } = parts.settings;
    const { background } = parts;
    const id = newId();
    const tell = (control: Control): Promise<void> => parts.broker.control(encodeControl(control));
    this.parts = parts;
    this.id = id;
    this.startedAt = clock.now();
    this.nodes = new Nodes({ clock, announceInterval, self: () => this.node(), tell });
    const nodes = (): string[] => this.nodes.list().map((node) => node.id);
    this.surveys = new Surveys({ clock, id, newId, nodes, tell, background, memory: parts.memory });
  }

  /** Publishes to a channel. Rejects with a CommandError. */
  publish(channel: string, data: JsonText, options?: PublishOptions): Promise<PublishReport> {
    return this.publishOwned(channel, own(data), options);
  }

  /** `data` shares no memory with a frame or body. */
  private async publishOwned(channel: string, data: JsonText, options: PublishOptions = {}): Promise<PublishReport> {
    const { publishing, delta } = this.namespace(channel);
    const { idempotencyKey, idempotencyTtl, tags } = options;
    if (options.delta === true && !delta) throw commandError("NOT_AVAILABLE", "the namespace has no deltas");
    if (idempotencyTtl !== undefined && !(idempotencyTtl > 0)) {
      throw new RangeError(`idempotencyTtl has to be more than 0 ms, got ${idempotencyTtl}`);
    }
    const history = options.skipHistory === true ? { ...publishing, historySize: 0 } : publishing;
    this.parts.metrics.published++;
    const result = await this.stored(
      this.parts.broker.publish(channel, { data, tags }, { ...history, idempotencyKey, idempotencyTtl, isOwned: true }),
    );
    const { offset, epoch, duplicate } = result;
    const { delivered, queued, dropped, disconnected } = (await result.fanOut?.settled()) ?? NOTHING;
    return { offset, epoch, duplicate, delivered, queued, dropped, disconnected };
  }

  /** Publishes to many channels; each has its own result. Yields to other work meanwhile. */
  async broadcast(
    channels: readonly string[],
    data: JsonText,
    options?: PublishOptions,
  ): Promise<readonly BroadcastReport[]> {
    const reports: BroadcastReport[] = [];
    await this.broadcastTo(channels, data, options, (some) => void reports.push(...some));
    return reports;
  }

  /** As `broadcast`; `take` is called with some results at a time, in the order of the channels. */
  async broadcastTo(
    channels: readonly string[],
    data: JsonText,
    options: PublishOptions | undefined,
    take: (reports: readonly BroadcastReport[]) => void,
  ): Promise<void> {
    const kept = own(data); // once for all channels
    const publish = async (channel: string): Promise<BroadcastReport> => {
      try {
        return { channel, report: await this.publishOwned(channel, kept, options) };
      } catch (error) {
        if (error instanceof CommandError) return { channel, error };
        throw error;
      }
    };
    await this.parts.slices.each(channels, AT_ONCE, async (some) => take(await Promise.all(some.map(publish))));
  }

  /** Reads the requested publications page by page; with `maxBytes` only one page. */
  async history(channel: string, options: HistoryOptions = {}): Promise<HistoryPage> {
    const namespace = this.namespace(channel);
    if (!namespace.hasHistory) throw commandError("NOT_AVAILABLE", "the channel has no history");
    const { since, limit = 0, reverse, maxBytes } = options;
    const first = await this.historyPage(channel, namespace, {
      since,
      limit: atMost(limit, PAGE.limit),
      reverse,
      maxBytes,
    });
    if (since !== undefined && !isPlaceIn(first, since)) throw commandError("UNRECOVERABLE_POSITION");
    let publications = [...first.publications];
    const loop = this.parts.slices.loop();
    for (let page = first; maxBytes === undefined && page.publications.length > 0;) {
      const last = publications.at(-1)?.offset ?? 0;
      if (publications.length === limit || (reverse === true ? last <= 1 : last >= first.offset)) break;
      if (loop.isOver(page.publications.length)) await loop.next();
      const more = {
        since: { offset: last, epoch: first.epoch },
        limit: atMost(left(limit, publications), PAGE.limit),
        reverse,
      };
      page = await this.historyPage(channel, namespace, more);
      if (page.epoch !== first.epoch) break;
      // publications were removed meanwhile, and those in between are missing
      if (reverse !== true && (page.publications[0]?.offset ?? last + 1) > last + 1) publications = [];
      for (const publication of page.publications)
        if (publication.offset <= first.offset) publications.push(publication);
    }
    loop.end();
    return { ...first, publications };
  }

  /**
   * Removes the publications of a channel's stream; offset and epoch stay. Rejects with a
   * CommandError.
   */
  async removeHistory(channel: string): Promise<void> {
    if (!this.namespace(channel).hasHistory) throw commandError("NOT_AVAILABLE", "the channel has no history");
    await this.stored(this.parts.broker.removeHistory(channel));
  }

  /** Returns all clients in a channel. Yields to other work meanwhile. */
  async presence(channel: string): Promise<readonly ClientInfo[]> {
    const all: ClientInfo[] = [];
    await this.presencePage(channel, undefined, Infinity, (info) => {
      all.push(info);
      return 0;
    });
    return all;
  }

  /**
   * Passes clients from `cursor` on to `take`, until the sizes that it returns exceed `size`.
   * Returns the cursor of the next page; undefined: there are no more.
   */
  async presencePage(
    channel: string,
    cursor: string | undefined,
    size: number,
    take: (info: ClientInfo) => number,
  ): Promise<string | undefined> {
    this.checkPresence(channel);
    const { presence, slices } = this.parts;
    let taken = 0;
    return this.stored(
      readClients(presence, slices, channel, cursor, (clients) => {
        for (const info of clients) taken += take(info);
        return taken < size;
      }),
    );
  }

  /** Counts the clients and users of a channel. Rejects with a CommandError. */
  async presenceStats(channel: string): Promise<PresenceStats> {
    this.checkPresence(channel);
    return this.stored(this.parts.presence.stats(channel));
  }

  /**
   * Subscribes the connected clients of a user, on all nodes. Clients that are subscribed already
   * get `info` and `expireAt`, if given.
   */
  async subscribe(
    user: string,
    channel: string,
    options: ClientSelection & {
      readonly info?: JsonText | undefined;
      readonly data?: JsonText | undefined;
      readonly since?: Position | undefined;
      readonly expireAt?: number | undefined;
    } = {},
  ): Promise<void> {
    this.namespace(channel);
    const { client, info, data, since, expireAt } = options;
    this.checkInfo(info);
    checkExpireAt(expireAt);
    if (expireAt !== undefined && expireAt * 1000 <= this.parts.settings.clock.unix()) {
      throw commandError("BAD_REQUEST", "the subscription would have expired already");
    }
    await this.tellAll({ type: "subscribe", user, client, channel, info, data, since, expireAt });
  }

  /**
   * Unsubscribes the clients of a user from a channel (code 2000), on all nodes. Rejects with a
   * CommandError.
   */
  async unsubscribe(user: string, channel: string, options: ClientSelection = {}): Promise<void> {
    this.namespace(channel);
    await this.tellAll({ type: "unsubscribe", user, client: options.client, channel, ...UNSUBSCRIBES.SERVER });
  }

  /**
   * Closes the connections of a user, on all nodes. Throws a RangeError if code or reason cannot be
   * sent.
   */
  async disconnect(user: string, options: DisconnectOptions = {}): Promise<void> {
    const { client, except = [] } = options;
    const { code = DISCONNECTS.FORCE_NO_RECONNECT.code, reason = DISCONNECTS.FORCE_NO_RECONNECT.reason } = options;
    checkDisconnect(code, reason);
    await this.tellAll({ type: "disconnect", user, client, code, reason, except });
  }

  /**
   * Changes when the connections of a user expire. `expireAt`: Unix time in seconds; undefined:
   * never. A past time closes the connections (3005). `info`, if given, replaces what others may
   * know of the clients. Throws a RangeError.
   */
  async refresh(
    user: string,
    expireAt: number | undefined,
    options: ClientSelection & { readonly info?: JsonText | undefined } = {},
  ): Promise<void> {
    checkExpireAt(expireAt);
    this.checkInfo(options.info);
    await this.tellAll({ type: "refresh", user, client: options.client, expireAt, info: options.info });
  }

  /** Sends a message to the clients of a user that belongs to no channel. */
  async send(user: string, data: JsonText, options: ClientSelection = {}): Promise<void> {
    await this.tellAll({ type: "message", user, client: options.client, data });
  }

  /** Returns the channels with subscribers on this node, with their numbers. */
  channels(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const channel of this.parts.channels.values()) {
      if (channel.subscriberCount > 0) counts.set(channel.name, channel.subscriberCount);
    }
    return counts;
  }

  /** Sends a survey to all nodes. Rejects with a RangeError for an invalid `timeout` in ms. */
  async survey(name: string, data: JsonText | undefined, timeout = SURVEY_TIMEOUT): Promise<readonly SurveyAnswer[]> {
    const fault = timeFault("timeout", timeout);
    if (fault !== undefined) throw new RangeError(fault);
    return this.stored(this.surveys.ask(name, data, timeout));
  }

  /** Returns a loop for many items, which yields to other work. */
  loop(): Loop {
    return this.parts.slices.loop();
  }

  /** Returns information about this node. */
  node(): NodeInfo {
    const { settings, registry, channels, metrics } = this.parts;
    return {
      id: this.id,
      name: settings.name,
      version: settings.version,
      clients: registry.size,
      users: registry.users,
      channels: channels.size,
      subscriptions: metrics.subscriptions,
      uptime: Math.floor((settings.clock.now() - this.startedAt) / 1000),
    };
  }

  /** A message from another node. */
  receive(message: string): void {
    const control = decodeControl(message);
    const obeyed = control === undefined ? undefined : this.obey(control);
    if (obeyed !== undefined) this.parts.background.add(obeyed);
  }

  private obey(control: Control): Promise<void> | undefined {
    switch (control.type) {
      case "node":
      case "gone":
        return this.nodes.receive(control);
      case "survey":
      case "answer":
        this.surveys.receive(control);
        return undefined;
      default:
        return this.apply(control);
    }
  }

  private async tellAll(control: SessionControl): Promise<void> {
    await Promise.all([this.stored(this.parts.broker.control(encodeControl(control))), this.apply(control)]);
  }

  private checkInfo(info: JsonText | undefined): void {
    const most = this.parts.settings.limits.infoBytes;
    const bytes = sizeOfOptional(info);
    if (bytes > most) throw commandError("LIMIT_EXCEEDED", `info takes ${bytes} bytes, at most ${most} may`);
  }

  /** Applies a control message to this node. */
  private apply(control: SessionControl): Promise<void> {
    return applyControl(control, this.parts, (channel) => this.namespace(channel));
  }

  /** Awaits a call of a store. A failure is reported to `onError` and becomes a temporary error. */
  private async stored<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      if (error instanceof CommandError) throw error;
      if (error instanceof QuotaExceededError) throw commandError("LIMIT_EXCEEDED", error.message, { cause: error });
      this.parts.background.onError(error);
      throw commandError("INTERNAL", undefined, { cause: error });
    }
  }

  private historyPage(channel: string, { publishing }: Namespace, filter: HistoryFilter): Promise<HistoryPage> {
    const { metaTtl, maxChannels } = publishing;
    const { maxBytes = PAGE.maxBytes } = filter;
    return this.stored(this.parts.broker.history(channel, { ...filter, maxBytes, maxChannels }, metaTtl));
  }

  private namespace(channel: string): Namespace {
    const fault = channelNameFault(channel, this.parts.settings.limits.channelLength);
    if (fault !== undefined) throw commandError("BAD_REQUEST", fault);
    return namespaceOf(this.parts, channel);
  }

  private checkPresence(channel: string): void {
    if (!this.namespace(channel).presence) throw commandError("NOT_AVAILABLE", "the channel has no presence");
  }
}

/** Throws a RangeError unless `expireAt` is a Unix time in seconds. */
function checkExpireAt(expireAt: number | undefined): void {
  if (expireAt === undefined || (Number.isSafeInteger(expireAt) && expireAt > 0)) return;
  throw new RangeError(
    `expireAt must be a Unix time in seconds, an integer from 1 to 2^53 - 1, got ${String(expireAt)}`,
  );
}

/** Returns the smaller of two numbers of publications; -1 is no limit. */
function atMost(limit: number, most: number): number {
  return limit < 0 ? most : Math.min(limit, most);
}

/** Returns how many more are wanted. */
function left(limit: number, got: readonly unknown[]): number {
  return limit < 0 ? limit : limit - got.length;
}
