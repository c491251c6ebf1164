import { StoreUnavailableError } from "../broker/broker.ts";
import { Link, type LinkContext } from "./link.ts";
import { Refusals } from "./refusals.ts";
import type { Server } from "./server.ts";
import { slotOf } from "./slots.ts";

const AT_ONCE = 512; // names in one command

export interface SubscriberEvents {
  message(name: string, message: string): void;
  /** Messages of these names may have been lost. They are subscribed to again. */
  interrupted(names: readonly string[]): void;
  /** The server does not have, or no longer has, the slots of some names. */
  moved(): void;
}

/** A name to subscribe to or to unsubscribe from. */
interface Request {
  readonly name: string;
  readonly on: boolean;
  /** Undefined if no caller waits; messages may have been lost before. */
  readonly asked: { resolve(): void; reject(error: unknown): void } | undefined;
}

/** One pub/sub connection to one server. The requests of a tick are sent as one command. */
export class Subscriber {
  private readonly link: Link;
  private readonly refusals: Refusals;
  private readonly context: LinkContext;
  private readonly events: SubscriberEvents;
  /** Whether to use SSUBSCRIBE, whose names must be in one slot, instead of SUBSCRIBE. */
  private readonly isSharded: boolean;
  private readonly wanted = new Set<string>();
  private requests: Request[] = [];

  constructor(server: Server, isSharded: boolean, context: LinkContext, events: SubscriberEvents) {
    this.context = context;
    this.events = events;
    this.isSharded = isSharded;
    this.refusals = new Refusals(server.name);
    this.link = new Link(server.name, server.options, context, {
      up: () => this.resubscribe(),
      moved: () => events.moved(),
    });
    this.link.redis.on(isSharded ? "smessage" : "message", (name: string, message: string) =>
      events.message(name, message),
    );
  }

  /** Names that are, or will be, subscribed to. */
  get names(): ReadonlySet<string> {
    return this.wanted;
  }

  open(): Promise<void> {
    return this.link.open();
  }

  openLater(): void {
    this.link.openLater();
  }

  close(): void {
    for (const name of [...this.wanted]) this.unwant(name);
    this.link.close();
  }

  /** Subscribes. Resolves when messages are delivered. Rejects if the connection is lost before. */
  subscribe(name: string): Promise<void> {
    if (!this.link.isUp) {
      return Promise.reject(new StoreUnavailableError(`Redis at ${this.link.name} is not connected`));
    }
    this.want(name);
    return new Promise((resolve, reject) => this.request({ name, on: true, asked: { resolve, reject } }));
  }

  unsubscribe(name: string): Promise<void> {
    this.unwant(name);
    if (!this.link.isUp) return Promise.resolve();
    return new Promise((resolve) => this.request({ name, on: false, asked: { resolve, reject: () => resolve() } }));
  }

  /** Takes over a name from another connection. `interrupted` is called when it is subscribed. */
  adopt(name: string): void {
    this.want(name);
    if (this.link.isUp) this.request({ name, on: true, asked: undefined });
  }

  /** Subscribes to everything again, now or when it is connected. */
  resubscribe(): void {
    if (!this.link.isUp) return;
    for (const name of this.wanted) this.request({ name, on: true, asked: undefined });
  }

  /** Resolves when everything that the server has sent so far has been received. */
  async settled(): Promise<void> {
    await this.link.redis.ping();
  }

  private want(name: string): void {
    if (this.wanted.has(name)) return;
    this.wanted.add(name);
    this.context.metrics.subscriptions++;
  }

  private unwant(name: string): void {
    if (this.wanted.delete(name)) this.context.metrics.subscriptions--;
  }

  private request(request: Request): void {
    if (this.requests.push(request) === 1) setImmediate(() => this.fulfil());
  }

  private fulfil(): void {
    const requests = this.requests;
    this.requests = [];
    this.link.cork();
    for (let start = 0; start < requests.length;) {
      let end = start + 1;
      while (end < requests.length && requests[end]?.on === requests[start]?.on) end++;
      for (const group of this.groups(requests.slice(start, end))) void this.send(group);
      start = end;
    }
  }

  /** Returns names that can be sent in one command. */
  private *groups(requests: readonly Request[]): Iterable<readonly Request[]> {
    if (!this.isSharded) {
      for (let i = 0; i < requests.length; i += AT_ONCE) yield requests.slice(i, i + AT_ONCE);
      return;
    }
    const bySlot = new Map<number, Request[]>();
    for (const request of requests) {
      const slot = slotOf(request.name);
      const group = bySlot.get(slot);
      if (group === undefined) bySlot.set(slot, [request]);
      else group.push(request);
    }
    yield* bySlot.values();
  }

  private async send(requests: readonly Request[]): Promise<void> {
    const { redis } = this.link;
    const names = requests.map(({ name }) => name);
    const on = requests[0]?.on === true;
    try {
      if (on) await (this.isSharded ? redis.ssubscribe(...names) : redis.subscribe(...names));
      else await (this.isSharded ? redis.sunsubscribe(...names) : redis.unsubscribe(...names));
    } catch (error) {
      for (const { name, asked } of requests) {
        if (asked === undefined) continue;
        if (on) this.unwant(name);
        asked.reject(
          this.link.isUp
            ? this.refusals.of(error)
            : new StoreUnavailableError(`Redis at ${this.link.name} was lost`, { cause: error }),
        );
      }
      // after a lost connection, the next one subscribes to everything again
      if (on && this.link.isUp && requests.some(({ asked }) => asked === undefined)) this.events.moved();
      return;
    }
    for (const { asked } of requests) asked?.resolve();
    const adopted = requests.filter(({ name, asked }) => on && asked === undefined && this.wanted.has(name));
    if (adopted.length > 0) this.events.interrupted(adopted.map(({ name }) => name));
  }
}
