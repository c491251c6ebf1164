import { type Deadlines, NOWHERE, type Timed } from "tungstate/internal";
import type { ClientInfo, FanOut } from "../broker/broker.ts";
import type { ClientSession } from "../settings/client-session.ts";
import { checkDisconnect, type CodeAndReason, commandError, DISCONNECTS, UNSUBSCRIBES } from "../codes.ts";
import { type HubConnection, SharedMessage } from "../output/connection.ts";
import type { Credentials } from "../settings/credentials.ts";
import { type JsonText, optionalJson, toJson } from "../json/json.ts";
import { Membership, type MembershipContext } from "../channels/membership.ts";
import type { Namespace } from "../settings/namespaces.ts";
import { Pages } from "../limits/pages.ts";
import type { Allowance, Allowances, AllowanceUse } from "../limits/rate-limit.ts";
import type { TimeSlices } from "../schedule/time-slices.ts";
import type { HubSettings } from "../settings/options.ts";
import { own, sizeOf, sizeOfOptional } from "../memory/owned.ts";
import { Outbox, type OutboxContext } from "../output/outbox.ts";
import { SharedReads } from "./shared-reads.ts";
import { channelPush, type Expiry, messagePush, PING, refreshPush, unsubscribeJson } from "../protocol/encode.ts";
import { Subscription, type SubscriptionOptions, type SubscriptionOwner } from "../channels/subscription.ts";

/** What sessions need of their hub. */
export interface SessionContext extends MembershipContext, OutboxContext {
  readonly settings: HubSettings;
  readonly deadlines: Deadlines;
  readonly slices: TimeSlices;
  readonly allowances: Allowances;
  readonly ping: Ping;
  /** Told when a session begins, is connected, has ended. */
  readonly registry: { begin(session: Session): void; add(session: Session): void; end(session: Session): void };
}

/** As the application gave it, and as JSON. */
const INFO_COPIES = 2;

/**
 * The longest time that a client is told, s: the protocol's field has 32 bits, and many clients
 * keep it in 31. It refreshes earlier then.
 */
const MAX_TTL = 2 ** 31 - 1;

/** The ping of a hub, and the deliveries of it, which no metric counts. */
export interface Ping {
  readonly message: SharedMessage;
  readonly report: FanOut;
}

export function newPing(): Ping {
  return { message: new SharedMessage(PING), report: { delivered: 0, queued: 0, dropped: 0, disconnected: 0 } };
}

/** One connection: who it is, what it is subscribed to, its deadlines, its end. */
export class Session implements ClientSession, SubscriptionOwner, Timed {
  readonly client: string;
  readonly context: unknown;
  readonly outbox: Outbox;
  /** "new" until the connect command, and again if that was refused. */
  state: "new" | "connecting" | "connected" | "closed" = "new";
  user = "";
  info: unknown = undefined;
  meta: unknown = undefined;
  slot = NOWHERE;
  deadline = Infinity;
  /** Closed when it ends. */
  reader: { close(): void } | undefined;
  /** By channel: those that are being prepared too. */
  readonly memberships = new Map<string, Membership>();
  private readsMade: SharedReads | undefined;
  private pagesMade: Pages | undefined;
  private allowanceUse: AllowanceUse | undefined;
  private readonly hub: SessionContext;
  private readonly connection: HubConnection;
  private connInfo: JsonText | undefined;
  /** Bytes counted for what the hub knows of the client. */
  private infoBytes = 0;
  /** Unix time in seconds; undefined: never. */
  private expireAt: number | undefined;
  private readonly connectBy: number;
  private nextPing: number | undefined;
  private pingedAt = 0;
  private pongBy: number | undefined;
  /**
   * Nothing is read from the connection: the pong may wait there, so that its absence says nothing
   * about the client.
   */
  readingPaused = false;
  private seenAt = 0;

  constructor(hub: SessionContext, connection: HubConnection, context: unknown) {
    this.client = hub.settings.newId();
    this.context = context;
    this.hub = hub;
    this.connection = connection;
    this.outbox = new Outbox(connection, hub, hub.settings.limits.queueBytes, () => this.close(DISCONNECTS.SLOW));
    this.connectBy = hub.settings.clock.now() + hub.settings.connectTimeout;
    this.deadline = this.connectBy;
    hub.deadlines.watch(this);
    hub.registry.begin(this);
    hub.metrics.connections++;
  }

  /** What its commands may take: by its user, or by its address. */
  get allowance(): Allowance {
    const { allowances } = this.hub;
    this.allowanceUse ??= this.user === "" ? allowances.ofAddress(this.connection) : allowances.ofUser(this.user);
    return this.allowanceUse.allowance;
  }

  /** Something that it asked for has cost so many bytes. */
  charge(bytes: number): void {
    if (this.isClosed) return; // its allowance is given back
    this.allowance.charge(bytes, this.hub.settings.clock.now());
  }

  /** What it reads from stores, page by page. */
  get pages(): Pages {
    if (this.pagesMade === undefined) {
      const pages = new Pages(this, this.hub.slices, this.hub.settings.clock);
      this.outbox.onFree = pages;
      if (this.isClosed) pages.close();
      this.pagesMade = pages;
    }
    return this.pagesMade;
  }

  /** What it has read from a store last. */
  get reads(): SharedReads {
    return (this.readsMade ??= new SharedReads());
  }

  get isClosed(): boolean {
    return this.state === "closed";
  }

  get channels(): readonly string[] {
    return Array.from(this.memberships.values())
      .filter((each) => each.isLive)
      .map((each) => each.subscription.channel);
  }

  send(data: unknown): void {
    this.outbox.line(messagePush(toJson(data, "a message")));
  }

  disconnect(
    code: number = DISCONNECTS.FORCE_NO_RECONNECT.code,
    reason: string = DISCONNECTS.FORCE_NO_RECONNECT.reason,
  ): void {
    checkDisconnect(code, reason);
    this.close({ code, reason });
  }

  /** The peer is there: something came from it, or it took something. */
  seen(): void {
    this.seenAt = this.hub.settings.clock.now();
  }

  /** Takes what the credentials say. Nobody else knows of the session yet. */
  identify(credentials: Credentials, tokenBytes: number): void {
    this.user = own(credentials.user);
    this.info = credentials.info;
    this.meta = credentials.meta;
    this.connInfo = this.checked(optionalJson(credentials.info, "the info of a client"));
    const textBytes = sizeOf(this.user) + INFO_COPIES * sizeOfOptional(this.connInfo);
    this.count(tokenBytes + textBytes - this.infoBytes);
    this.expireAt = credentials.expireAt;
  }

  /** New credentials say something else of the client: what is undefined stays as it is. */
  describe(info: unknown, meta: unknown): void {
    if (meta !== undefined) this.meta = meta;
    if (info === undefined) return;
    const connInfo = this.checked(toJson(info, "the info of a client"));
    this.info = info;
    if (connInfo === this.connInfo) return;
    this.count((sizeOfOptional(connInfo) - sizeOfOptional(this.connInfo)) * INFO_COPIES);
    this.connInfo = connInfo;
    for (const membership of this.memberships.values()) {
      membership.describe({ ...membership.subscription.info, connInfo });
    }
  }

  /** The session is there for everybody. */
  connected(): void {
    this.state = "connected";
    if (this.user !== "") {
      this.allowanceUse?.close();
      this.allowanceUse = undefined; // of its user from now on
    }
    this.hub.registry.add(this);
    this.hub.metrics.sessions++;
    this.seen();
    const { ping } = this.hub.settings;
    // one interval at most until the first ping; not all of a reconnect storm at once
    if (ping !== false) this.nextPing = this.seenAt + ping.interval * (0.5 + (this.seenAt % 1000) / 2000);
    this.reschedule();
  }

  /** Who the client is to others in a channel. */
  infoIn(channel: string): ClientInfo {
    const membership = this.memberships.get(channel);
    return membership?.isLive === true ? membership.subscription.info : this.makeInfo(undefined);
  }

  makeInfo(chanInfo: JsonText | undefined): ClientInfo {
    return { client: this.client, user: this.user, connInfo: this.connInfo, chanInfo: this.checked(chanInfo) };
  }

  /**
   * Throws a CommandError where an info is larger than allowed: it goes with everything that others
   * are told of the client.
   */
  private checked<T extends JsonText | undefined>(info: T): T {
    const most = this.hub.settings.limits.infoBytes;
    const bytes = sizeOfOptional(info);
    if (bytes <= most) return info;
    throw commandError("LIMIT_EXCEEDED", `the info of a client must be at most ${most} bytes, got ${bytes}`);
  }

  /** What the hub knows of the client takes so many bytes more, or less. */
  private count(bytes: number): void {
    this.infoBytes += bytes;
    this.hub.memory.sessions(bytes);
  }

  /** A new membership, to be prepared and committed. */
  join(channel: string, namespace: Namespace, options: SubscriptionOptions): Membership {
    const membership = new Membership(new Subscription(channel, this, options), namespace, this.hub);
    this.count(membership.infoBytes);
    this.memberships.set(channel, membership);
    return membership;
  }

  /** Ends a membership without a word to the client. False: there was none. */
  leave(channel: string): boolean {
    const membership = this.memberships.get(channel);
    if (membership === undefined) return false;
    this.memberships.delete(channel);
    this.count(-membership.infoBytes);
    membership.end();
    return true;
  }

  /** Ends a membership and tells the client why. */
  expel(channel: string, why: CodeAndReason): void {
    if (!this.leave(channel)) return;
    this.outbox.line(channelPush(JSON.stringify(channel), "unsubscribe", unsubscribeJson(why)));
  }

  lost(subscription: Subscription, why: CodeAndReason): void {
    if (this.memberships.get(subscription.channel)?.subscription !== subscription) return;
    // a client takes an unsubscribe push for a subscription of the server's as its end, not as a
    // call to come back
    if (!subscription.serverSide) this.expel(subscription.channel, why);
    else this.close(why === UNSUBSCRIBES.EXPIRED ? DISCONNECTS.SUBSCRIPTION_EXPIRED : DISCONNECTS.INSUFFICIENT_STATE);
  }

  /** Seconds until the connection expires, for the client; 0 or less where it has. */
  get expiry(): Expiry {
    return this.secondsTo(this.expireAt);
  }

  secondsTo(expireAt: number | undefined): Expiry {
    if (expireAt === undefined) return undefined;
    return Math.min(Math.ceil(expireAt - this.hub.settings.clock.unix() / 1000), MAX_TTL);
  }

  /** The connection expires at another time, or never. `tellClient` by a push. */
  refresh(expireAt: number | undefined, tellClient: boolean): void {
    this.expireAt = expireAt;
    this.reschedule();
    if (tellClient) this.outbox.line(refreshPush(this.expiry));
  }

  /** Something that has a deadline has changed. */
  reschedule(): void {
    if (this.state === "closed") return;
    this.deadline = (this.state === "connected" ? this.nextDeadline() : this.connectBy) ?? Infinity;
    this.hub.deadlines.watch(this);
  }

  onDeadline(now: number): void {
    // always later than now: the wheel rings no deadline twice
    this.deadline = Math.max(this.handleDeadlines(now) ?? Infinity, now + 1);
  }

  /** Does what is due. Returns the next deadline; undefined for none. */
  private handleDeadlines(now: number): number | undefined {
    if (this.state === "new" || this.state === "connecting") {
      this.close(DISCONNECTS.STALE);
      return undefined;
    }
    const { ping } = this.hub.settings;
    if (this.pongBy !== undefined && now >= this.pongBy) {
      if (this.readingPaused && ping !== false) this.pongBy = now + ping.timeout;
      else {
        this.pongBy = undefined;
        if (this.seenAt < this.pingedAt) {
          this.close(DISCONNECTS.NO_PONG);
          return undefined;
        }
      }
    }
    if (ping !== false && this.nextPing !== undefined && now >= this.nextPing) {
      this.pingedAt = now;
      this.pongBy = now + ping.timeout;
      this.nextPing = now + ping.interval;
      this.outbox.share(this.hub.ping.message, this.hub.ping.report);
    }
    const expiresAt = this.deadlineOf(this.expireAt);
    if (expiresAt !== undefined && now >= expiresAt) this.close(DISCONNECTS.EXPIRED);
    for (const { subscription } of this.memberships.values()) {
      const at = this.deadlineOf(subscription.expireAt);
      if (at !== undefined && now >= at) this.lost(subscription, UNSUBSCRIBES.EXPIRED);
    }
    return this.state === "connected" ? this.nextDeadline() : undefined;
  }

  /** The connection has ended by itself. */
  closed(): void {
    this.end(DISCONNECTS.CONNECTION_CLOSED, false);
  }

  /** Ends the connection, behind what was to be sent before. */
  close(why: CodeAndReason): void {
    this.end(why, true);
  }

  private end(why: CodeAndReason, byServer: boolean): void {
    if (this.state === "closed") return;
    const wasConnected = this.state === "connected";
    const { hub } = this;
    this.state = "closed";
    hub.metrics.connections--;
    this.deadline = Infinity;
    hub.deadlines.forget(this);
    if (byServer) {
      hub.metrics.disconnects.add(why.code);
      for (const membership of this.memberships.values()) membership.flush();
      this.outbox.flush();
      this.connection.close(why.code, why.reason);
    }
    this.outbox.close();
    this.pagesMade?.close();
    this.allowanceUse?.close();
    this.reader?.close();
    for (const membership of this.memberships.values()) membership.end();
    this.memberships.clear();
    this.count(-this.infoBytes);
    hub.registry.end(this);
    if (!wasConnected) return;
    hub.metrics.sessions--;
    hub.settings.onDisconnect(this, why);
  }

  private nextDeadline(): number | undefined {
    let next = this.nextPing ?? Infinity;
    if (this.pongBy !== undefined) next = Math.min(next, this.pongBy);
    next = Math.min(next, this.deadlineOf(this.expireAt) ?? Infinity);
    for (const { subscription } of this.memberships.values()) {
      if (subscription.expireAt !== undefined)
        next = Math.min(next, this.deadlineOf(subscription.expireAt) ?? Infinity);
    }
    return next === Infinity ? undefined : next;
  }

  /** When, on the hub's clock, something that expires at a Unix time (s) has had its grace. */
  private deadlineOf(expireAt: number | undefined): number | undefined {
    if (expireAt === undefined) return undefined;
    const { clock, refreshGrace } = this.hub.settings;
    return clock.now() + expireAt * 1000 - clock.unix() + refreshGrace;
  }
}
