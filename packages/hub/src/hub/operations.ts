import { argumentError, checkTime } from "tungstate/internal";
import {
  type ClientInfo,
  type FanOut,
  type HistoryFilter,
  type HistoryPage,
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
import { readHistory } from "./history-pages.ts";
import type {
  BroadcastReport,
  ClientSelection,
  DisconnectOptions,
  HistoryOptions,
  PublishOptions,
  PublishReport,
} from "./operation-types.ts";
import { applyControl, type SessionControl } from "../sessions/session-controls.ts";
import { type SurveyAnswer, Surveys } from "../nodes/surveys.ts";
import type { Loop } from "../schedule/time-slices.ts";

const SURVEY_TIMEOUT = 5_000; // ms
/** Number of publications between two checks of the time slice. */
const AT_ONCE = 64;
const NOTHING: FanOut = { delivered: 0, queued: 0, dropped: 0, disconnected: 0 };

/** What a server does with channels and users, with JSON as text. Rejects with CommandErrors. */
export class Operations {
  /** The nodes of the hub, as far as they are known here. */
  readonly nodes: Nodes;
  /** The questions to all nodes. */
  readonly surveys: Surveys;
  readonly #parts: Parts;
  readonly #id: string;
  readonly #startedAt: number;

  constructor(parts: Parts) {
    const { clock, announceInterval, newId } = parts.settings;
    const { background } = parts;
    const id = newId();
    const tell = (control: Control): Promise<void> => parts.broker.control(encodeControl(control));
    this.#parts = parts;
    this.#id = id;
    this.#startedAt = clock.now();
    this.nodes = new Nodes({ clock, announceInterval, self: () => this.node(), tell });
    const nodes = (): string[] => this.nodes.list().map((node) => node.id);
    this.surveys = new Surveys({ clock, id, newId, nodes, tell, background, memory: parts.memory });
  }

  /** Publishes to a channel. Rejects with a CommandError. */
  publish(channel: string, data: JsonText, options?: PublishOptions): Promise<PublishReport> {
    return this.#publishOwned(channel, own(data), options);
  }

  /** `data` shares no memory with a frame or body. */
  async #publishOwned(channel: string, data: JsonText, options: PublishOptions = {}): Promise<PublishReport> {
    const { publishing, delta } = this.#namespace(channel);
    const { idempotencyKey, idempotencyTtl, tags } = options;
    if (options.delta === true && !delta) throw commandError("NOT_AVAILABLE", "the namespace has no deltas");
    if (idempotencyTtl !== undefined && !(idempotencyTtl > 0)) {
      throw argumentError(RangeError, `idempotencyTtl must be more than 0 (ms), got ${idempotencyTtl}`);
    }
    const history = options.skipHistory === true ? { ...publishing, historySize: 0 } : publishing;
    this.#parts.metrics.published++;
    const result = await this.#stored(
      this.#parts.broker.publish(
        channel,
        { data, tags },
        { ...history, idempotencyKey, idempotencyTtl, isOwned: true },
      ),
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
        return { channel, report: await this.#publishOwned(channel, kept, options) };
      } catch (error) {
        if (error instanceof CommandError) return { channel, error };
        throw error;
      }
    };
    await this.#parts.slices.each(channels, AT_ONCE, async (some) => take(await Promise.all(some.map(publish))));
  }

  /** Reads the requested publications page by page; with `maxBytes` only one page. */
  async history(channel: string, options: HistoryOptions = {}): Promise<HistoryPage> {
    const namespace = this.#namespace(channel);
    if (!namespace.hasHistory) throw commandError("NOT_AVAILABLE", "the channel has no history");
    const { broker, slices } = this.#parts;
    const { metaTtl, maxChannels } = namespace.publishing;
    const read = (filter: HistoryFilter): Promise<HistoryPage> =>
      this.#stored(broker.history(channel, { ...filter, maxChannels }, metaTtl));
    return readHistory(read, slices, options);
  }

  /**
   * Removes the publications of a channel's stream; offset and epoch stay. Rejects with a
   * CommandError.
   */
  async removeHistory(channel: string): Promise<void> {
    if (!this.#namespace(channel).hasHistory) throw commandError("NOT_AVAILABLE", "the channel has no history");
    await this.#stored(this.#parts.broker.removeHistory(channel));
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
    this.#checkPresence(channel);
    const { presence, slices } = this.#parts;
    let taken = 0;
    return this.#stored(
      readClients(presence, slices, channel, cursor, (clients) => {
        for (const info of clients) taken += take(info);
        return taken < size;
      }),
    );
  }

  /** Counts the clients and users of a channel. Rejects with a CommandError. */
  async presenceStats(channel: string): Promise<PresenceStats> {
    this.#checkPresence(channel);
    return this.#stored(this.#parts.presence.stats(channel));
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
    this.#namespace(channel);
    const { client, info, data, since, expireAt } = options;
    this.#checkInfo(info);
    checkExpireAt(expireAt);
    if (expireAt !== undefined && expireAt * 1000 <= this.#parts.settings.clock.unix()) {
      throw commandError("BAD_REQUEST", "expire_at must be in the future");
    }
    await this.#tellAll({ type: "subscribe", user, client, channel, info, data, since, expireAt });
  }

  /**
   * Unsubscribes the clients of a user from a channel (code 2000), on all nodes. Rejects with a
   * CommandError.
   */
  async unsubscribe(user: string, channel: string, options: ClientSelection = {}): Promise<void> {
    this.#namespace(channel);
    await this.#tellAll({ type: "unsubscribe", user, client: options.client, channel, ...UNSUBSCRIBES.SERVER });
  }

  /**
   * Closes the connections of a user, on all nodes. Throws a RangeError if code or reason cannot be
   * sent.
   */
  async disconnect(user: string, options: DisconnectOptions = {}): Promise<void> {
    const { client, except = [] } = options;
    const { code = DISCONNECTS.FORCE_NO_RECONNECT.code, reason = DISCONNECTS.FORCE_NO_RECONNECT.reason } = options;
    checkDisconnect(code, reason);
    await this.#tellAll({ type: "disconnect", user, client, code, reason, except });
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
    this.#checkInfo(options.info);
    await this.#tellAll({ type: "refresh", user, client: options.client, expireAt, info: options.info });
  }

  /** Sends a message to the clients of a user that belongs to no channel. */
  async send(user: string, data: JsonText, options: ClientSelection = {}): Promise<void> {
    await this.#tellAll({ type: "message", user, client: options.client, data });
  }

  /** Returns the channels with subscribers on this node, with their numbers. */
  channels(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const channel of this.#parts.channels.values()) {
      if (channel.subscriberCount > 0) counts.set(channel.name, channel.subscriberCount);
    }
    return counts;
  }

  /** Sends a survey to all nodes. Rejects with a RangeError for an invalid `timeout` in ms. */
  async survey(name: string, data: JsonText | undefined, timeout = SURVEY_TIMEOUT): Promise<readonly SurveyAnswer[]> {
    checkTime("timeout", timeout);
    return this.#stored(this.surveys.ask(name, data, timeout));
  }

  /** Returns a loop for many items, which yields to other work. */
  loop(): Loop {
    return this.#parts.slices.loop();
  }

  /** Returns information about this node. */
  node(): NodeInfo {
    const { settings, registry, channels, metrics } = this.#parts;
    return {
      id: this.#id,
      name: settings.name,
      version: settings.version,
      clients: registry.size,
      users: registry.users,
      channels: channels.size,
      subscriptions: metrics.subscriptions,
      uptime: Math.floor((settings.clock.now() - this.#startedAt) / 1000),
    };
  }

  /** A message from another node. */
  receive(message: string): void {
    const control = decodeControl(message);
    const obeyed = control === undefined ? undefined : this.#obey(control);
    if (obeyed !== undefined) this.#parts.background.add(obeyed);
  }

  #obey(control: Control): Promise<void> | undefined {
    switch (control.type) {
      case "node":
      case "gone":
        return this.nodes.receive(control);
      case "survey":
      case "answer":
        this.surveys.receive(control);
        return undefined;
      default:
        return this.#apply(control);
    }
  }

  async #tellAll(control: SessionControl): Promise<void> {
    await Promise.all([this.#stored(this.#parts.broker.control(encodeControl(control))), this.#apply(control)]);
  }

  #checkInfo(info: JsonText | undefined): void {
    const most = this.#parts.settings.limits.infoBytes;
    const bytes = sizeOfOptional(info);
    if (bytes > most) throw commandError("LIMIT_EXCEEDED", `info must be at most ${most} bytes, got ${bytes}`);
  }

  /** Applies a control message to this node. */
  #apply(control: SessionControl): Promise<void> {
    return applyControl(control, this.#parts, (channel) => this.#namespace(channel));
  }

  /** Awaits a call of a store. A failure is reported to `onError` and becomes a temporary error. */
  async #stored<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      if (error instanceof CommandError) throw error;
      if (error instanceof QuotaExceededError) throw commandError("LIMIT_EXCEEDED", error.message, { cause: error });
      this.#parts.background.onError(error);
      throw commandError("INTERNAL", undefined, { cause: error });
    }
  }

  #namespace(channel: string): Namespace {
    const fault = channelNameFault(channel, this.#parts.settings.limits.channelLength);
    if (fault !== undefined) throw commandError("BAD_REQUEST", fault);
    return namespaceOf(this.#parts, channel);
  }

  #checkPresence(channel: string): void {
    if (!this.#namespace(channel).presence) throw commandError("NOT_AVAILABLE", "the channel has no presence");
  }
}

/** Throws a RangeError unless `expireAt` is a Unix time in seconds. */
function checkExpireAt(expireAt: number | undefined): void {
  if (expireAt === undefined || (Number.isSafeInteger(expireAt) && expireAt > 0)) return;
  throw argumentError(
    RangeError,
    `expireAt must be a Unix time in seconds, an integer from 1 to 2^53 - 1, got ${String(expireAt)}`,
  );
}
