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
import { own } from "../memory/owned.ts";
import { Nodes } from "../nodes/nodes.ts";
import { namespaceOf, type Parts } from "../sessions/parts.ts";
import { readClients } from "../presence/pages.ts";
import type { PresenceStats } from "../presence/presence-store.ts";
import { applyControl, type SessionControl } from "../sessions/session-controls.ts";
import { type SurveyAnswer, Surveys } from "../nodes/surveys.ts";
import type { Loop } from "../schedule/time-slices.ts";

const SURVEY_TIMEOUT = 5_000; // ms
/** Publications that are made between two looks at the time. */
const AT_ONCE = 64;
/** How much of a history is read at a time. */
const PAGE = { limit: 1000, maxBytes: 256 * 1024 };
const NOTHING: FanOut = { delivered: 0, queued: 0, dropped: 0, disconnected: 0 };

/** Options of `publish` and `broadcast`. */
export interface PublishOptions {
  /** A second publication to the channel with the same key is not published: the first one's position comes back. */
  readonly idempotencyKey?: string | undefined;
  /** How long the key is remembered, ms; a RangeError where that is not above 0. Default: 300,000. */
  readonly idempotencyTtl?: number | undefined;
  /** Go with the publication to the clients. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Delivers it, and does not keep it. */
  readonly skipHistory?: boolean | undefined;
  /** Requires that subscribers can get it as a delta: rejects with a CommandError (108) where the namespace has none. Default: false. */
  readonly delta?: boolean | undefined;
}

/** Where a publication is in its stream, and what became of it where that is known: on this node, at this moment. */
export interface PublishReport extends Position, Readonly<FanOut> {
  /** It was not published: the idempotency key was known. */
  readonly duplicate: boolean;
}

/** What became of a broadcast in one channel. */
export type BroadcastReport =
  | {
      /** The channel. */
      readonly channel: string;
      /** What became of the publication in this channel. */
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
  /** Only what comes behind this position (before it, in reverse). */
  readonly since?: Position | undefined;
  /** The most publications to return; -1: all. Default: 0, just the position. */
  readonly limit?: number | undefined;
  /** From the newest to the oldest. */
  readonly reverse?: boolean | undefined;
  /**
   * About the most bytes that the publications may have as JSON, one at least: of what is left, the offset of the last one is where the next page
   * begins (`since`). Default: no limit.
   */
  readonly maxBytes?: number | undefined;
}

/** Which of a user's clients; undefined: all. */
export interface ClientSelection {
  /** The id of the only client meant; undefined: all clients of the user. */
  readonly client?: string | undefined;
}

/** Options of `disconnect`. */
export interface DisconnectOptions extends ClientSelection {
  /** Default: 3503, after which clients do not come back by themselves. */
  readonly code?: number | undefined;
  /** What the client is told, at most 123 bytes. Default: "force disconnect". */
  readonly reason?: string | undefined;
  /** Clients to leave alone. */
  readonly except?: readonly string[] | undefined;
}

/** What a server does with channels and users, with JSON as text. Rejects with CommandErrors. */
export class Operations {
  /** Of the hub, as far as they are known here. */
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
    this.surveys = new Surveys({ clock, id, newId, nodes, tell, background });
  }

  /** Publishes to a channel. Rejects with a CommandError. */
  publish(channel: string, data: JsonText, options?: PublishOptions): Promise<PublishReport> {
    return this.publishOwned(channel, own(data), options);
  }

  /** `data` shares no memory with what is to be forgotten. */
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

  /** The same to many channels; each has its own result. Other work has its turn meanwhile. */
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

  /** Reads as much as is asked for, page by page; of a page with `maxBytes` no more than that. */
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
      // what was read before has gone meanwhile, and with it what comes between
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

  /** All who are there. Other work has its turn meanwhile. */
  async presence(channel: string): Promise<readonly ClientInfo[]> {
    const all: ClientInfo[] = [];
    await this.presencePage(channel, undefined, Infinity, (info) => {
      all.push(info);
      return 0;
    });
    return all;
  }

  /**
   * Some of those who are there, from `cursor` on, until the sizes that `take` returns for them are more than `size`. Returns the cursor of
   * the next page; undefined: that was all.
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

  /** Subscribes the clients that a user has now, on all nodes. Those that are subscribed already get `info` and `expireAt` where they are given. */
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

  /** Throws a RangeError where code or reason can't be sent. */
  async disconnect(user: string, options: DisconnectOptions = {}): Promise<void> {
    const { client, except = [] } = options;
    const { code = DISCONNECTS.FORCE_NO_RECONNECT.code, reason = DISCONNECTS.FORCE_NO_RECONNECT.reason } = options;
    checkDisconnect(code, reason);
    await this.tellAll({ type: "disconnect", user, client, code, reason, except });
  }

  /**
   * `expireAt`: Unix time in seconds; undefined: never. One that has passed ends the connections (3005). `info`, where it is given, replaces
   * what others may know of the clients. Throws a RangeError.
   */
  async refresh(
    user: string,
    expireAt: number | undefined,
    options: ClientSelection & { readonly info?: JsonText | undefined } = {},
  ): Promise<void> {
    checkExpireAt(expireAt);
    await this.tellAll({ type: "refresh", user, client: options.client, expireAt, info: options.info });
  }

  /** A message that belongs to no channel. */
  async send(user: string, data: JsonText, options: ClientSelection = {}): Promise<void> {
    await this.tellAll({ type: "message", user, client: options.client, data });
  }

  /** Channels with subscribers on this node, and how many. */
  channels(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const channel of this.parts.channels.values()) {
      if (channel.subscriberCount > 0) counts.set(channel.name, channel.subscriberCount);
    }
    return counts;
  }

  /** Asks all nodes. Rejects with a RangeError where `timeout`, in ms, makes no sense. */
  async survey(name: string, data: JsonText | undefined, timeout = SURVEY_TIMEOUT): Promise<readonly SurveyAnswer[]> {
    const fault = timeFault("timeout", timeout);
    if (fault !== undefined) throw new RangeError(fault);
    return this.stored(this.surveys.ask(name, data, timeout));
  }

  /** For those who have many items to go through: other work has its turn meanwhile. */
  loop(): Loop {
    return this.parts.slices.loop();
  }

  /** This node. */
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

  /** On this node. */
  private apply(control: SessionControl): Promise<void> {
    return applyControl(control, this.parts, (channel) => this.namespace(channel));
  }

  /** What a store was asked for; where it cannot be had, a temporary error. What went wrong is told to `onError`, however it is answered. */
  private async stored<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
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

/** Throws a RangeError where `expireAt` is no Unix time in seconds. */
function checkExpireAt(expireAt: number | undefined): void {
  if (expireAt === undefined || (Number.isSafeInteger(expireAt) && expireAt > 0)) return;
  throw new RangeError(
    `expireAt must be a Unix time in seconds, an integer from 1 to 2^53 - 1, got ${String(expireAt)}`,
  );
}

/** Of two numbers of publications the lower one; -1 is no limit. */
function atMost(limit: number, most: number): number {
  return limit < 0 ? most : Math.min(limit, most);
}

/** How many more are wanted. */
function left(limit: number, got: readonly unknown[]): number {
  return limit < 0 ? limit : limit - got.length;
}
