import type { PublicationContext, SubscribedContext, Subscription } from "centrifuge";
import { type ChatListener, type ChatMessage, newId } from "../chat/chat.ts";
import type { Outbox } from "../chat/outbox.ts";
import type { LinkState } from "../connection/link.ts";
import { type Envelope, personOf, readEnvelope } from "./envelope.ts";
import { codeOf, type HubLink } from "./hub-link.ts";
import type { OwnClients } from "./own-clients.ts";
import { MAX_LISTED, Presence } from "./presence.ts";
import { SAY_EVERY_MS, Typing } from "./typing.ts";

/** Notifications of a room to its views, in addition to those of a chat. */
export interface RoomListener extends ChatListener {
  /** The people who are typing. */
  typing(names: readonly string[]): void;
  /** Messages of history: after what is displayed, or `before` it. */
  past(messages: readonly ChatMessage[], before: boolean): void;
  /** Whether `earlier` can load more. */
  earlierChanged(more: boolean): void;
  /** The server denied access or ended the subscription. This is final. */
  refused(reason: string): void;
  /**
   * There was no connection for `milliseconds`. The next `count` messages are those missed
   * meanwhile.
   */
  recovered(milliseconds: number, count: number): void;
  /**
   * Missed messages are not available, or not all of them. `anew`: the server has lost its history.
   */
  lost(milliseconds: number | undefined, anew: boolean): void;
}

const PAGE = 100; // messages requested from history at a time
const MAX_MISSED = 300; // messages requested after a loss
const PEOPLE_MS = 30; // ms during which joins and leaves are collected
const MAX_KNOWN_IDS = 4_000;
const RETRY_MS = 1_000; // ms before retrying after a temporary error
// lowest code of temporary errors of the server; lower codes belong to the client library
const TEMPORARY = 100;
const TOO_MANY_REQUESTS = 111;

/**
 * A room: a channel of the hub with history, presence and recovery, and a second channel for typing
 * indicators.
 */
export class Room {
  private readonly link: HubLink;
  private readonly own: OwnClients;
  private readonly outbox: Outbox;
  private readonly listener: RoomListener;
  private readonly channel: Subscription;
  private readonly typingChannel: Subscription;
  private readonly presence = new Presence();
  private readonly typists = new Typing();
  /** IDs of displayed messages. A message that is sent again is not displayed again. */
  private readonly known = new Set<string>();
  /** Messages received while history is requested; undefined when history is known. */
  private waiting: PublicationContext[] | undefined = [];
  /** Recovered messages. They all arrive in one event-loop tick. */
  private missed: PublicationContext[] | undefined;
  private oldest: number | undefined;
  private epoch = "";
  private lostAt: number | undefined;
  private isEntered = false;
  /** Whether the user was told why the connection was lost. */
  private inTrouble = false;
  /** Whether the server ended the subscription. */
  private isOut = false;
  private saidTypingAt = 0;
  private typingTimer: number | undefined;
  private retryTimer: number | undefined;
  private peopleTimer: number | undefined;
  private closed = false;

  constructor(name: string, link: HubLink, own: OwnClients, outbox: Outbox, listener: RoomListener) {
    this.link = link;
    this.own = own;
    this.outbox = outbox;
    this.listener = listener;
    this.channel = link.client.newSubscription(`public:${name}`);
    this.typingChannel = link.client.newSubscription(`typing:${name}`);
    this.channel.on("subscribed", (context) => this.subscribed(context));
    this.channel.on("publication", (publication) => this.published(publication));
    this.channel.on("join", ({ info }) => {
      this.presence.joined(personOf(info));
      this.reportPeople();
    });
    this.channel.on("leave", ({ info: { client } }) => {
      this.presence.left(client);
      this.typists.stopped(client);
      this.reportPeople();
      this.reportTyping();
    });
    this.channel.on("unsubscribed", ({ code, reason }) => {
      if (code === 0) return;
      this.isOut = true;
      this.listener.refused(reason);
      for (const { id } of outbox.list()) this.fail(id);
    });
    this.typingChannel.on("publication", ({ info, data }) => {
      if (info === undefined || own.has(info.client)) return;
      if ((data as { readonly typing?: unknown } | null)?.typing === false) this.typists.stopped(info.client);
      else this.typists.typing(personOf(info), Date.now());
      this.reportTyping();
    });
    for (const { id, text } of outbox.list()) this.show({ id, text, at: Date.now() });
    this.channel.subscribe();
    this.typingChannel.subscribe();
  }

  /** Leaves the room. Undelivered messages stay in the outbox. */
  close(): void {
    this.closed = true;
    clearTimeout(this.typingTimer);
    clearTimeout(this.retryTimer);
    clearTimeout(this.peopleTimer);
    for (const channel of [this.channel, this.typingChannel]) {
      channel.unsubscribe();
      channel.removeAllListeners();
      this.link.client.removeSubscription(channel);
    }
  }

  stateChanged(state: LinkState): void {
    if (state.kind !== "open") {
      if (this.isEntered) this.lostAt ??= Date.now();
      if (state.reason !== undefined) this.inTrouble = true;
      this.presence.forget();
      this.typists.clear();
      this.reportTyping();
    }
    this.listener.stateChanged(state);
  }

  /** Checks whether the connection is still alive. */
  check(): void {
    if (this.isIn) this.askPresence();
    else this.link.open();
  }

  /**
   * Sends a message to everyone, or queues it until there is a subscription. Returns false if too
   * many are queued.
   */
  say(text: string): boolean {
    if (this.outbox.full) return false;
    const envelope = { id: newId(), text, at: Date.now() };
    this.outbox.add(envelope.id, text);
    this.show(envelope);
    this.saidTypingAt = 0;
    if (this.isOut) this.fail(envelope.id);
    if (this.isIn && this.waiting === undefined) void this.deliver(envelope);
    return true;
  }

  /** Reports that the user typed, or with `typing` false that the text was deleted. */
  typing(typing: boolean): void {
    const now = Date.now();
    if (!this.isIn || (typing ? now - this.saidTypingAt < SAY_EVERY_MS : this.saidTypingAt === 0)) return;
    this.saidTypingAt = typing ? now : 0;
    // a failure has no consequence
    this.typingChannel.publish({ typing }).catch(() => undefined);
  }

  /** Requests the history before the first displayed message. */
  async earlier(): Promise<void> {
    const { oldest, epoch } = this;
    if (oldest === undefined) return;
    try {
      const since = { offset: oldest, epoch };
      const { publications } = await this.link.answered(this.channel.history({ limit: PAGE, since, reverse: true }));
      if (this.closed || epoch !== this.epoch) return;
      this.listener.past(this.unknown(publications.toReversed()), true);
      this.oldest = publications.at(-1)?.offset ?? oldest;
      this.listener.earlierChanged(publications.length === PAGE);
    } catch {
      // the epoch has changed, or there is no connection; both are shown elsewhere
      if (!this.closed) this.listener.earlierChanged(!this.isIn);
    }
  }

  private get isIn(): boolean {
    return this.link.state.kind === "open" && this.channel.state === "subscribed";
  }

  private subscribed({ wasRecovering, recovered, streamPosition }: SubscribedContext): void {
    const away = this.lostAt === undefined ? undefined : Date.now() - this.lostAt;
    const { inTrouble } = this;
    this.lostAt = undefined;
    this.inTrouble = false;
    this.isEntered = true;
    const { epoch } = this;
    this.epoch = streamPosition?.epoch ?? "";
    this.askPresence();
    if (wasRecovering && recovered && this.waiting === undefined) {
      this.missed = [];
      // the library delivers recovered messages before anything else
      queueMicrotask(() => this.caughtUp(away, inTrouble));
      return;
    }
    if (wasRecovering && !recovered) this.listener.lost(away, epoch !== this.epoch);
    void this.askPast(wasRecovering && !recovered);
  }

  private caughtUp(away: number | undefined, inTrouble: boolean): void {
    const missed = this.missed ?? [];
    this.missed = undefined;
    const others = missed.filter((each) => !this.isOwn(each) && !this.isKnown(each)).length;
    // report an empty recovery only if the user saw the connection lost
    if (away !== undefined && (inTrouble || others > 0)) this.listener.recovered(away, others);
    for (const publication of missed) this.receive(publication);
    this.deliverAll();
  }

  /**
   * Requests history. With `lost` the messages are appended, and nothing can be inserted before
   * them any more.
   */
  private async askPast(lost: boolean): Promise<void> {
    this.waiting = [];
    const { channel, epoch } = this;
    const limit = lost ? MAX_MISSED : PAGE;
    try {
      const reply = await this.link.answered(channel.history({ limit, reverse: true }));
      if (this.closed || epoch !== this.epoch) return;
      this.listener.past(this.unknown(reply.publications.toReversed()), false);
      this.oldest = reply.publications.at(-1)?.offset;
      this.listener.earlierChanged(!lost && reply.publications.length === PAGE);
      for (const publication of this.waiting)
        if ((publication.offset ?? Infinity) > reply.offset) this.receive(publication);
    } catch (error) {
      // without a connection, the next one requests again; otherwise there is no history or no
      // permission
      if (this.closed || !this.isIn || codeOf(error) < TEMPORARY) return;
      for (const publication of this.waiting) this.receive(publication);
    }
    this.waiting = undefined;
    this.deliverAll();
  }

  private published(publication: PublicationContext): void {
    const { waiting, missed } = this;
    if (missed !== undefined) missed.push(publication);
    else if (waiting !== undefined) waiting.push(publication);
    else this.receive(publication);
  }

  private receive(publication: PublicationContext): void {
    const { info } = publication;
    if (info !== undefined) {
      this.typists.stopped(info.client);
      this.reportTyping();
    }
    for (const message of this.unknown([publication])) this.listener.message({ ...message, at: Date.now() });
  }

  /** Converts publications that are not displayed yet to messages. */
  private unknown(publications: readonly PublicationContext[]): ChatMessage[] {
    const now = Date.now();
    return publications.flatMap((publication) => {
      const { id, text, at } = readEnvelope(publication.data, now);
      const own = this.isOwn(publication);
      if (id !== undefined) {
        if (own) this.outbox.confirm(id);
        if (this.known.has(id)) {
          // it may be displayed as queued by an earlier visit of this room
          if (own) this.listener.delivered(id);
          return [];
        }
        this.remember(id);
      }
      const { info } = publication;
      const from = info === undefined || id === undefined ? undefined : personOf(info);
      return text === "" ? [] : [{ id: id ?? newId(), from, own: own && id !== undefined, text, at, delivered: true }];
    });
  }

  private isOwn({ info }: PublicationContext): boolean {
    return info !== undefined && this.own.has(info.client);
  }

  private isKnown({ data }: PublicationContext): boolean {
    const { id } = readEnvelope(data, Date.now());
    return id !== undefined && this.known.has(id);
  }

  private show({ id, text, at }: Envelope): void {
    this.remember(id);
    this.listener.message({ id, from: undefined, own: true, text, at, delivered: false });
  }

  /**
   * Sends messages again that had not come back when the connection was lost: they never arrived.
   */
  private deliverAll(): void {
    const { send, givenUp } = this.outbox.again();
    for (const id of givenUp) this.listener.failed(id);
    for (const { id, text } of send) void this.deliver({ id, text, at: Date.now() });
  }

  private async deliver(envelope: Envelope): Promise<void> {
    const { id } = envelope;
    this.outbox.tried(id);
    try {
      await this.link.answered(this.channel.publish(envelope));
      if (this.outbox.confirm(id) && !this.closed) this.listener.delivered(id);
    } catch (error) {
      const code = codeOf(error);
      // The connection was lost: whether the message arrived is known after the next recovery.
      if (this.closed || code < TEMPORARY) return;
      if (code === TEMPORARY || code === TOO_MANY_REQUESTS) {
        clearTimeout(this.retryTimer);
        this.retryTimer = setTimeout(() => this.isIn && this.waiting === undefined && this.deliverAll(), RETRY_MS);
      } else this.fail(id);
    }
  }

  private fail(id: string): void {
    if (this.outbox.confirm(id)) this.listener.failed(id);
  }

  private askPresence(): void {
    this.presence.asked();
    this.link
      .answered(this.channel.presenceStats())
      .then(async ({ numClients }) => {
        if (numClients > MAX_LISTED) this.presence.answeredByCount(numClients);
        else {
          const { clients } = await this.link.answered(this.channel.presence());
          this.presence.answered(Object.values(clients).map(personOf));
        }
        if (!this.closed) this.reportPeople();
      })
      // without a connection, or without presence in the namespace, the list is unknown
      .catch(() => undefined);
  }

  private reportPeople(): void {
    // when a server restarts, hundreds of clients join at once
    this.peopleTimer ??= setTimeout(() => {
      this.peopleTimer = undefined;
      if (this.presence.isKnown)
        this.listener.peopleChanged(this.presence.list(this.link.clientId), this.presence.size);
    }, PEOPLE_MS);
  }

  private reportTyping(): void {
    const now = Date.now();
    this.listener.typing(this.typists.names(now));
    clearTimeout(this.typingTimer);
    const next = this.typists.next();
    if (next !== undefined) this.typingTimer = setTimeout(() => this.reportTyping(), next - now + 10);
  }

  private remember(id: string): void {
    this.known.add(id);
    if (this.known.size <= MAX_KNOWN_IDS) return;
    const [oldest] = this.known;
    if (oldest !== undefined) this.known.delete(oldest);
  }
}
