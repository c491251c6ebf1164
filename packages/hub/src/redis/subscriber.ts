import { StoreUnavailableError } from "../broker/broker.ts";
import { Link, type LinkContext } from "./link.ts";
import { Refusals } from "./refusals.ts";
import type { Server } from "./server.ts";
import { slotOf } from "./slots.ts";

const AT_ONCE = 512; // names in one command

export interface SubscriberEvents {
  message(name: string, message: string): void;
  /** Messages in these may have been lost. They are subscribed to again. */
  interrupted(names: readonly string[]): void;
  /** The server has told that it is not, or no longer, the one for some of the names. */
  moved(): void;
}

/** A name that is to be subscribed to, or no longer. */
interface Request {
  readonly name: string;
  readonly on: boolean;
  /** Undefined: nobody waits; messages may have been lost before. */
  readonly asked: { resolve(): void; reject(error: unknown): void } | undefined;
}

/** One connection with pub/sub subscriptions at one server. The requests of one tick are sent as one command. */
export class Subscriber {
  private readonly link: Link;
  private readonly refusals: Refusals;
  private readonly context: LinkContext;
  private readonly events: SubscriberEvents;
  /** SSUBSCRIBE, whose names have to be of one slot, instead of SUBSCRIBE. */
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

  /** What is, or is to be, subscribed to. */
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

  /** Resolves when messages come. Rejects where the connection is lost before. */
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

  /** Takes over a name that was subscribed to elsewhere, as soon as it can: `interrupted` tells when. */
  adopt(name: string): void {
    this.want(name);
    if (this.link.isUp) this.request({ name, on: true, asked: undefined });
  }

  /** Subscribes to everything again; where it is not connected, that happens by itself when it is. */
  resubscribe(): void {
    if (!this.link.isUp) return;
    for (const name of this.wanted) this.request({ name, on: true, asked: undefined });
  }

  /** Resolves when all that the server has sent until now has come. */
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

  /** What may go into one command. */
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
      // where the connection was lost, all is subscribed to again with the next one
      if (on && this.link.isUp && requests.some(({ asked }) => asked === undefined)) this.events.moved();
      return;
    }
    for (const { asked } of requests) asked?.resolve();
    const adopted = requests.filter(({ name, asked }) => on && asked === undefined && this.wanted.has(name));
    if (adopted.length > 0) this.events.interrupted(adopted.map(({ name }) => name));
  }
}
