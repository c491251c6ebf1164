import { Link, type LinkListener, type LinkState } from "../connection/link.ts";
import type { Outbox } from "./outbox.ts";
import { BEACON_MS, People, type Person } from "./people.ts";
import { decodePacket, describeBinary, encodePacket, type Packet } from "./wire.ts";

/** A message as it is displayed. */
export interface ChatMessage {
  readonly id: string;
  /** The author; undefined if the message was not sent by a page like this one. */
  readonly from: Person | undefined;
  readonly own: boolean;
  readonly text: string;
  /**
   * Unix time in ms. Live messages have the time of receipt, because other clocks may be wrong;
   * messages of history have the author's time.
   */
  readonly at: number;
  /** Whether others have received it. Own messages are displayed before that. */
  readonly delivered: boolean;
}

/** Notifications of a chat to its views. */
export interface ChatListener {
  stateChanged(state: LinkState): void;
  /** `count` may exceed the length of the list. The user of this page is the first entry. */
  peopleChanged(people: readonly Person[], count: number): void;
  message(message: ChatMessage): void;
  /** An own message has reached everyone, or was given up. */
  delivered(id: string): void;
  failed(id: string): void;
  /** There was no connection for so many ms. Messages sent by others meanwhile are unknown. */
  missed(milliseconds: number): void;
}

const MAX_KNOWN_IDS = 2_000;
const HELLO_ANSWER_MS = 20; // ms for each person present, so that not all answer a newcomer at once
const MAX_ANSWER_DELAY_MS = 3_000;

/** A chat with all clients of the server, over its broadcast route. */
export class Chat implements LinkListener {
  private readonly client = newId();
  private name: string;
  private readonly listener: ChatListener;
  private readonly link: Link;
  private readonly people = new People();
  private readonly outbox: Outbox;
  /** IDs of displayed messages. A message that is sent again is not displayed again. */
  private readonly known = new Set<string>();
  private beaconTimer: number | undefined;
  private answerTimer: number | undefined;
  private lostAt: number | undefined;

  constructor(url: string, name: string, outbox: Outbox, listener: ChatListener) {
    this.name = name;
    this.outbox = outbox;
    this.listener = listener;
    this.link = new Link(url, this, () => encodePacket({ type: "here", client: this.client, name: this.name }));
    for (const { id, text } of outbox.list()) this.show(id, text);
  }

  open(): void {
    this.link.tryNow();
  }

  /** Announces that this page leaves, and closes the connection. */
  close(): void {
    this.send({ type: "bye", client: this.client });
    if (this.link.state.kind === "open") this.lostAt = Date.now();
    this.link.close();
    this.quieten();
  }

  /** Checks whether the connection is still alive. */
  check(): void {
    if (this.link.state.kind === "open") this.beacon();
    else this.link.tryNow();
  }

  rename(name: string): void {
    if (name === this.name) return;
    this.name = name;
    this.people.seen(this.client, name, Date.now());
    this.reportPeople();
    this.send({ type: "here", client: this.client, name });
  }

  /**
   * Sends a message to everyone, or queues it until there is a connection. Returns false if too
   * many are queued.
   */
  say(text: string): boolean {
    if (this.outbox.full) return false;
    const id = newId();
    this.outbox.add(id, text);
    this.show(id, text);
    this.deliver(id, text);
    return true;
  }

  stateChanged(state: LinkState): void {
    if (state.kind === "open") this.opened();
    else if (this.beaconTimer !== undefined) {
      this.lostAt = Date.now();
      this.quieten();
    }
    this.listener.stateChanged(state);
  }

  received(data: string | Uint8Array): void {
    if (typeof data !== "string") return this.foreign(describeBinary(data));
    const packet = decodePacket(data);
    if (packet === "foreign") this.foreign(data);
    else if (packet !== "ignored") this.packet(packet);
  }

  private show(id: string, text: string): void {
    this.remember(id);
    this.listener.message({ id, from: undefined, own: true, text, at: Date.now(), delivered: false });
  }

  private packet(packet: Packet): void {
    const { client, type } = packet;
    if (type === "message") this.incoming(packet);
    // own announcements are received like those of others
    if (client === this.client) return;
    const changed = type === "bye" ? this.people.left(client) : this.people.seen(client, packet.name, Date.now());
    if (changed) this.reportPeople();
    if (type === "hello") this.answerSoon();
  }

  private incoming({ client, name, id, text }: Packet & { readonly type: "message" }): void {
    if (this.outbox.confirm(id)) return this.listener.delivered(id);
    if (this.known.has(id)) return;
    this.remember(id);
    this.listener.message({ id, from: { client, name }, own: false, text, at: Date.now(), delivered: true });
  }

  private foreign(text: string): void {
    this.listener.message({ id: newId(), from: undefined, own: false, text, at: Date.now(), delivered: true });
  }

  private opened(): void {
    const now = Date.now();
    this.people.clear();
    this.people.seen(this.client, this.name, now);
    this.reportPeople();
    this.send({ type: "hello", client: this.client, name: this.name });
    this.link.expectAnswer();
    this.beaconTimer = setInterval(() => this.beacon(), BEACON_MS);
    if (this.lostAt !== undefined) this.listener.missed(now - this.lostAt);
    this.lostAt = undefined;
    const { send, givenUp } = this.outbox.again();
    for (const id of givenUp) this.listener.failed(id);
    for (const { id, text } of send) this.deliver(id, text);
  }

  private beacon(): void {
    const now = Date.now();
    this.people.seen(this.client, this.name, now);
    if (this.people.expire(now)) this.reportPeople();
    this.send({ type: "here", client: this.client, name: this.name });
    this.link.expectAnswer();
  }

  /** Announces this page to a newcomer. Several newcomers at the same time get one announcement. */
  private answerSoon(): void {
    const spread = Math.min(MAX_ANSWER_DELAY_MS, HELLO_ANSWER_MS * this.people.size);
    this.answerTimer ??= setTimeout(() => {
      this.answerTimer = undefined;
      this.send({ type: "here", client: this.client, name: this.name });
    }, Math.random() * spread);
  }

  private deliver(id: string, text: string): void {
    if (!this.send({ type: "message", client: this.client, name: this.name, id, text })) return;
    this.outbox.tried(id);
    this.link.expectAnswer();
  }

  private send(packet: Packet): boolean {
    return this.link.send(encodePacket(packet));
  }

  private reportPeople(): void {
    this.listener.peopleChanged(this.people.list(), this.people.size);
  }

  private remember(id: string): void {
    this.known.add(id);
    if (this.known.size <= MAX_KNOWN_IDS) return;
    const [oldest] = this.known;
    if (oldest !== undefined) this.known.delete(oldest);
  }

  private quieten(): void {
    clearInterval(this.beaconTimer);
    clearTimeout(this.answerTimer);
    this.beaconTimer = this.answerTimer = undefined;
  }
}

/** Creates an ID. crypto.randomUUID only exists on https: pages and on localhost. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(36).padStart(2, "0")).join("");
}
