import { argumentError, checkTime, Deadlines } from "tungstate/internal";
import { Background } from "../schedule/background.ts";
import type { BrokerHandler, Position } from "../broker/broker.ts";
import { Channels } from "../channels/channels.ts";
import type { ClientSession } from "../settings/client-session.ts";
import { checkDisconnect, type CodeAndReason, DISCONNECTS } from "../codes.ts";
import { Announcements } from "../channels/comings.ts";
import type { HubConnection } from "../output/connection.ts";
import type { NodeInfo } from "../nodes/control.ts";
import { optionalJson, toJson } from "../json/json.ts";
import { HubMetrics } from "../metrics.ts";
import { METHODS } from "../protocol/command.ts";
import { Accepted, type Incoming } from "./incoming.ts";
import type {
  BroadcastReport,
  ClientSelection,
  DisconnectOptions,
  HistoryOptions,
  PublishOptions,
  PublishReport,
} from "./operation-types.ts";
import { Operations } from "./operations.ts";
import {
  type PastPublication,
  pastPublication,
  type PastPublications,
  type PresentClient,
  presentClient,
} from "./past-publications.ts";
import { renewPresence } from "./presence-renewal.ts";
import type { Limits } from "../settings/limits.ts";
import { type HubOptions, type HubSettings, resolveOptions } from "../settings/options.ts";
import type { Parts, RpcHandler } from "../sessions/parts.ts";
import type { PresenceStats } from "../presence/presence-store.ts";
import { QueueMemory } from "../output/queue-memory.ts";
import { Allowances } from "../limits/rate-limit.ts";
import { Reader } from "../sessions/reader.ts";
import { newPing, Session } from "../sessions/session.ts";
import { Sessions } from "../sessions/sessions.ts";
import type { SurveyAnswer, SurveyHandler, SurveyOptions } from "../nodes/surveys.ts";
import { TickEnd } from "../schedule/tick-end.ts";
import { TimeSlices } from "../schedule/time-slices.ts";
import { HubError } from "../errors.ts";

/** Number of publications parsed between two checks of the time slice. */
const PARSE_AT_ONCE = 16;
/** Number of parts of an interval over which position checks are spread. */
const CHECK_IN_PARTS = 30;

const DEADLINE_SLOT = 250; // ms; deadlines of sessions are met up to this much late

/**
 * Sessions, channels, presence, history and recovery. Hubs on several nodes that share a broker and
 * a presence store act as one hub.
 */
export class Hub implements AsyncDisposable {
  /** Counters of this hub. */
  readonly metrics: HubMetrics;
  /** The methods below for callers that have JSON as text. */
  readonly operations: Operations;
  readonly #settings: HubSettings;
  readonly #parts: Parts;
  readonly #deadlines: Deadlines;
  readonly #background: Background;
  readonly #channelsHere: Channels;
  readonly #announcements: Announcements;
  readonly #registry = new Sessions();
  readonly #handlers = new Map<string, RpcHandler>();
  readonly #timers = new Set<() => void>();
  #state: "new" | "open" | "closing" = "new";

  /** Throws a TypeError or RangeError for an invalid option. */
  constructor(options: HubOptions) {
    const settings = resolveOptions(options);
    const { broker, presence, clock } = settings;
    const registry = this.#registry;
    const metrics = new HubMetrics(METHODS, broker.metrics);
    this.metrics = metrics;
    const background = new Background(settings.onError);
    const tickEnd = new TickEnd(clock);
    const slices = new TimeSlices(clock);
    this.#announcements = new Announcements(tickEnd, {
      join: (channel, info) => background.add(broker.publishJoin(channel, info)),
      leave: (channel, info) => background.add(broker.publishLeave(channel, info)),
    });
    const channels = new Channels({ broker, clock, metrics, background, tickEnd, slices });
    this.#settings = settings;
    this.#background = background;
    this.#deadlines = new Deadlines(clock, DEADLINE_SLOT);
    this.#channelsHere = channels;
    this.#parts = {
      settings,
      broker,
      presence,
      metrics,
      channels,
      background,
      registry,
      deadlines: this.#deadlines,
      tickEnd,
      slices,
      allowances: new Allowances(settings.limits, clock),
      memory: new QueueMemory(settings.memoryBudget, metrics),
      ping: newPing(),
      announcements: this.#announcements,
      rpc: this.#handlers,
    };
    this.operations = new Operations(this.#parts);
  }

  /** The limits of one client, complete. */
  get limits(): Limits {
    return this.#settings.limits;
  }

  /** Connects the broker and the presence store. Rejects if they cannot be reached. */
  async start(): Promise<void> {
    if (this.#state !== "new") throw new HubError("INVALID_STATE", "the hub has been started before");
    const { broker, presence, clock } = this.#settings;
    checkTime("ttl of the presence store", presence.ttl);
    await broker.start(this.#brokerHandler());
    try {
      await presence.start();
    } catch (error) {
      await broker.stop();
      throw error;
    }
    this.#state = "open";
    const { announceInterval, positionCheckInterval } = this.#settings;
    const { nodes } = this.operations;
    this.#background.add(nodes.announce(true));
    this.#every(announceInterval, () => nodes.announce(false));
    this.#every(presence.ttl / 3, () =>
      renewPresence(this.#channelsHere, presence, this.#parts.slices, this.#background.onError),
    );
    if (!broker.lossy || positionCheckInterval === Infinity) return;
    this.#every(positionCheckInterval / CHECK_IN_PARTS, async () =>
      this.#channelsHere.checkSome(CHECK_IN_PARTS, clock.now() - positionCheckInterval),
    );
  }

  /**
   * Closes all sessions, so that their clients connect to other nodes, and accepts no new ones.
   * `window`: time in ms over which the closes are spread. Resolves when the stores are up to date
   * and stopped. Rejects with a RangeError if `why` cannot be sent.
   */
  async close(options: { readonly window?: number; readonly why?: CodeAndReason } = {}): Promise<void> {
    const { window = 0, why = DISCONNECTS.SHUTDOWN } = options;
    checkDisconnect(why.code, why.reason);
    checkTime("window", typeof window === "number" ? Math.ceil(window) : window, 0);
    if (this.#state === "closing") return;
    const started = this.#state === "open";
    this.#state = "closing";
    const sessions = this.#registry.all();
    const { clock } = this.#settings;
    const from = clock.now();
    for (const [index, session] of sessions.entries()) {
      const at = from + (window * index) / sessions.length;
      if (at > clock.now()) await new Promise<void>((resolve) => clock.after(at - clock.now(), resolve));
      session.close(why);
    }
    for (const stop of this.#timers) stop();
    this.#deadlines.stop();
    this.operations.surveys.close();
    if (started) this.#background.add(this.operations.nodes.leave());
    this.#announcements.flush();
    await this.#background.settled();
    if (started) await Promise.all([this.#settings.broker.stop(), this.#settings.presence.stop()]);
  }

  /** Closes the hub as `close()` does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Adds a connection. `context` is available to the application later, for example the request. A
   * connection that arrives while the hub closes is closed at once.
   */
  accept(connection: HubConnection, context?: unknown): Incoming {
    if (this.#state === "new") throw new HubError("INVALID_STATE", "the hub has not been started");
    const session = new Session(this.#parts, connection, context);
    const reader = new Reader(session, this.#parts, connection);
    session.reader = reader;
    if (this.#state === "closing") session.close(DISCONNECTS.SHUTDOWN);
    return new Accepted(session, reader);
  }

  /**
   * Publishes `data`, any JSON value. Rejects with a CommandError: unknown channel (102), or store
   * out of reach (100).
   */
  async publish(channel: string, data: unknown, options?: PublishOptions): Promise<PublishReport> {
    return this.operations.publish(channel, toJson(data, "the data of a publication"), options);
  }

  /** Publishes to many channels; each has its own result. */
  async broadcast(
    channels: readonly string[],
    data: unknown,
    options?: PublishOptions,
  ): Promise<readonly BroadcastReport[]> {
    return this.operations.broadcast(channels, toJson(data, "the data of a publication"), options);
  }

  /**
   * Reads publications of a channel's stream. Rejects with a CommandError: 102 for an unknown
   * channel, 108 without history, 112 where `since` is of another stream.
   */
  async history(channel: string, options?: HistoryOptions): Promise<PastPublications> {
    const { offset, epoch, publications } = await this.operations.history(channel, options);
    const past: PastPublication[] = [];
    await this.#parts.slices.each(publications, PARSE_AT_ONCE, (some) => void past.push(...some.map(pastPublication)));
    return { offset, epoch, publications: past };
  }

  /** Removes the publications of a channel. Its position stays. */
  removeHistory(channel: string): Promise<void> {
    return this.operations.removeHistory(channel);
  }

  /** Returns the clients in a channel, on all nodes. */
  async presence(channel: string): Promise<readonly PresentClient[]> {
    return (await this.operations.presence(channel)).map(presentClient);
  }

  /**
   * Counts the clients and users of a channel. Rejects with a CommandError: 102 for an unknown
   * channel, 108 without presence.
   */
  presenceStats(channel: string): Promise<PresenceStats> {
    return this.operations.presenceStats(channel);
  }

  /**
   * Subscribes the connected clients of a user, on all nodes. Clients that are subscribed already
   * get `info` and `expireAt`, if given.
   */
  async subscribe(
    user: string,
    channel: string,
    options: ClientSelection & {
      /** What others may know of the client in the channel. */
      readonly info?: unknown;
      /** Data for the client, sent with the subscription. */
      readonly data?: unknown;
      readonly since?: Position;
      /** Unix time in seconds at which the subscription ends. Default: never. */
      readonly expireAt?: number | undefined;
    } = {},
  ): Promise<void> {
    const { client, since, expireAt } = options;
    const info = optionalJson(options.info, "the info of a subscription");
    const data = optionalJson(options.data, "the data of a subscription");
    await this.operations.subscribe(user, channel, { client, since, info, data, expireAt });
  }

  /**
   * Unsubscribes the clients of a user from a channel (code 2000), on all nodes. Rejects with a
   * CommandError.
   */
  unsubscribe(user: string, channel: string, options?: ClientSelection): Promise<void> {
    return this.operations.unsubscribe(user, channel, options);
  }

  /**
   * Closes the connections of a user, on all nodes. Rejects with a RangeError if code or reason
   * cannot be sent.
   */
  disconnect(user: string, options?: DisconnectOptions): Promise<void> {
    return this.operations.disconnect(user, options);
  }

  /**
   * Changes when the connections of a user expire. `expireAt`: Unix time in seconds; undefined:
   * never. A past time closes the connections (3005). Rejects with a RangeError.
   */
  async refresh(
    user: string,
    expireAt: number | undefined,
    options: ClientSelection & { /** Replaces what others may know of the clients. */ readonly info?: unknown } = {},
  ): Promise<void> {
    const info = optionalJson(options.info, "the info of a client");
    await this.operations.refresh(user, expireAt, { client: options.client, info });
  }

  /** Sends a message to the clients of a user that belongs to no channel. */
  async send(user: string, data: unknown, options?: ClientSelection): Promise<void> {
    await this.operations.send(user, toJson(data, "a message"), options);
  }

  /** Registers a function that clients can call. Throws if there is one with that name. */
  rpc(name: string, handler: RpcHandler): this {
    if (this.#handlers.has(name)) throw argumentError(TypeError, `a function ${name} is registered already`);
    this.#handlers.set(name, handler);
    return this;
  }

  /** Returns the sessions of this node, or those of one user. */
  sessions(user?: string): readonly ClientSession[] {
    return user === undefined ? this.#registry.connected() : this.#registry.select(user, undefined);
  }

  /** Returns the channels with subscribers on this node, with their numbers. */
  channels(): ReadonlyMap<string, number> {
    return this.operations.channels();
  }

  /** Returns information about this node. */
  info(): NodeInfo {
    return this.operations.node();
  }

  /**
   * Returns all nodes that announced themselves within three `announceInterval`; this one first.
   */
  nodes(): readonly NodeInfo[] {
    return this.operations.nodes.list();
  }

  /** Registers a handler for a survey on all nodes. Throws if there is one with that name. */
  onSurvey(name: string, handler: SurveyHandler): this {
    this.operations.surveys.add(name, handler);
    return this;
  }

  /**
   * Sends a survey to all nodes, including this one, and returns their answers; a node without an
   * answer in time has an error. `data`: any JSON value.
   */
  async survey(name: string, data?: unknown, options: SurveyOptions = {}): Promise<readonly SurveyAnswer[]> {
    return this.operations.survey(name, optionalJson(data, "the data of a survey"), options.timeout);
  }

  #brokerHandler(): BrokerHandler {
    return {
      publication: (channel, publication, epoch) => this.#channelsHere.publication(channel, publication, epoch),
      join: (channel, info) => this.#channelsHere.join(channel, info),
      leave: (channel, info) => this.#channelsHere.leave(channel, info),
      control: (message) => this.operations.receive(message),
      interrupted: (channels) => this.#background.add(this.#channelsHere.interrupted(channels)),
    };
  }

  /** Calls `work` again and again, `interval` ms after it has completed. */
  #every(interval: number, work: () => Promise<void>): void {
    const stop = this.#settings.clock.after(interval, () => {
      this.#timers.delete(stop);
      const done = work().finally(() => {
        if (this.#state === "open") this.#every(interval, work);
      });
      this.#background.add(done);
    });
    this.#timers.add(stop);
  }
}
