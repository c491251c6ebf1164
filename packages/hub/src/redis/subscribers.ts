import { StoreUnavailableError } from "../broker/broker.ts";
import type { Deployment } from "./deployment.ts";
import type { LinkContext } from "./link.ts";
import type { Server } from "./server.ts";
import { Subscriber, type SubscriberEvents } from "./subscriber.ts";

const TRIES = 5;
const MOVED_PAUSE = 200; // ms

/**
 * The subscriptions at one deployment. There is one connection for each server with subscriptions.
 * When a slot moves to another server, its subscriptions follow.
 */
export class Subscribers {
  private readonly deployment: Deployment;
  private readonly context: LinkContext;
  private readonly events: Pick<SubscriberEvents, "message" | "interrupted">;
  private readonly byServer = new Map<Server, Subscriber>();
  /** Names whose slot has no server at the moment. */
  private readonly homeless = new Set<string>();
  private stopListening: (() => void) | undefined;
  private retry: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(deployment: Deployment, context: LinkContext, events: Pick<SubscriberEvents, "message" | "interrupted">) {
    this.deployment = deployment;
    this.context = context;
    this.events = events;
  }

  /** Rejects if a server cannot be reached. */
  async open(): Promise<void> {
    await Promise.all(this.homes().map((server) => this.add(server).open()));
    this.stopListening = this.deployment.onMoved(() => this.reassign());
  }

  close(): void {
    this.isClosed = true;
    this.stopListening?.();
    clearTimeout(this.retry);
    for (const subscriber of this.byServer.values()) subscriber.close();
    this.byServer.clear();
  }

  async subscribe(name: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.of(name).subscribe(name);
        return;
      } catch (error) {
        const next = tries < TRIES ? await this.deployment.redirect(error, name) : undefined;
        if (next === undefined) throw error;
      }
    }
  }

  async unsubscribe(name: string): Promise<void> {
    this.homeless.delete(name);
    // the name may have moved meanwhile
    const where = [...this.byServer.values()].filter((each) => each.names.has(name));
    await Promise.all(where.map((each) => each.unsubscribe(name)));
  }

  async settled(): Promise<void> {
    await Promise.all(Array.from(this.byServer.values(), (each) => each.settled()));
  }

  /** Returns the servers that need a subscriber connection. */
  private homes(): readonly Server[] {
    const servers = this.deployment.servers();
    // without sharded pub/sub, each server of a cluster delivers the messages of all
    return this.deployment.publishes === "SPUBLISH" ? servers : servers.slice(0, 1);
  }

  /** Undefined: the slot has no server at the moment. */
  private homeOf(name: string): Server | undefined {
    if (this.deployment.publishes === "PUBLISH") return this.homes()[0];
    try {
      return this.deployment.serverOf(name);
    } catch {
      return undefined;
    }
  }

  private of(name: string): Subscriber {
    const home = this.homeOf(name);
    const subscriber = home === undefined ? undefined : this.byServer.get(home);
    if (subscriber === undefined) {
      throw new StoreUnavailableError(`Redis at ${this.deployment.name} has no server for a slot`);
    }
    return subscriber;
  }

  private add(server: Server): Subscriber {
    const isSharded = this.deployment.publishes === "SPUBLISH";
    const subscriber = new Subscriber(server, isSharded, this.context, {
      ...this.events,
      moved: () => this.moved(),
    });
    this.byServer.set(server, subscriber);
    return subscriber;
  }

  /** Moves each name to the server that has its slot now. */
  private reassign(): void {
    const homes = new Set(this.homes());
    for (const server of homes) if (!this.byServer.has(server)) this.add(server).openLater();
    for (const name of [...this.homeless]) this.settle(name, this.homeOf(name));
    for (const [server, subscriber] of this.byServer) {
      for (const name of [...subscriber.names]) {
        const home = this.homeOf(name);
        if (home === server) continue;
        void subscriber.unsubscribe(name);
        this.settle(name, home);
      }
      if (homes.has(server)) continue;
      subscriber.close();
      this.byServer.delete(server);
    }
  }

  private settle(name: string, home: Server | undefined): void {
    const subscriber = home === undefined ? undefined : this.byServer.get(home);
    if (subscriber === undefined) {
      this.homeless.add(name);
    } else {
      this.homeless.delete(name);
      subscriber.adopt(name);
    }
  }

  /** The slots of a server have moved: looks up their new servers, and subscribes there again. */
  private moved(): void {
    if (this.retry !== undefined) return;
    this.retry = setTimeout(() => {
      void this.deployment.refresh().then(() => {
        this.retry = undefined;
        if (this.isClosed) return;
        this.reassign();
        for (const subscriber of this.byServer.values()) subscriber.resubscribe();
      });
    }, MOVED_PAUSE);
    this.retry.unref();
  }
}
