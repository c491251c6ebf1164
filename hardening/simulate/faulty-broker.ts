import type {
  Broker,
  BrokerHandler,
  BrokerResult,
  ClientInfo,
  HistoryPage,
  MemoryEngine,
  MemoryPresenceStore,
  PresenceStore,
} from "@tungstate/hub";
import { MemoryBroker } from "@tungstate/hub";
import type { Life, World } from "./world.ts";

/** Failures between a node and the store, as probabilities. */
export interface Faults {
  on: boolean;
  /** A publication to a node is lost. */
  readonly loss: number;
  /** A publication is delayed, with those after it. */
  readonly delay: number;
  /** A call is rejected: before or after it took effect. */
  readonly rejection: number;
}

/** A call of a process that has died. */
const never = <T>(): Promise<T> => new Promise(() => undefined);

/** A broker that fails as much as its contract permits. */
export class FaultyBroker implements Broker {
  readonly lossy = true;
  private readonly world: World;
  private readonly life: Life;
  private readonly faults: Faults;
  private readonly inner: MemoryBroker;
  /** Deliveries in transit, in order. */
  private readonly lane: (() => void)[] = [];
  private busy = false;
  private stopped = false;

  constructor(world: World, life: Life, engine: MemoryEngine, faults: Faults) {
    this.world = world;
    this.life = life;
    this.faults = faults;
    this.inner = new MemoryBroker(engine);
  }

  start(handler: BrokerHandler): Promise<void> {
    const { world, faults } = this;
    return this.inner.start({
      publication: (channel, publication, epoch) => {
        if (faults.on && world.dice.chance(faults.loss)) this.lost(channel, publication.offset);
        else this.later(() => void handler.publication(channel, publication, epoch));
        return undefined;
      },
      join: (channel, info) => this.later(() => handler.join(channel, info)),
      leave: (channel, info) => this.later(() => handler.leave(channel, info)),
      control: (message) => this.later(() => handler.control(message)),
      interrupted: (channels) => this.later(() => handler.interrupted(channels)),
    });
  }

  private lost(channel: string, offset: number): void {
    this.world.count("publications lost by the broker");
    this.world.log(this.life.name, `${channel} ${offset} lost`);
  }

  /** Keeps the order, whatever the delay. */
  private later(deliver: () => void): void {
    this.lane.push(deliver);
    if (!this.busy) this.next();
  }

  private next(): void {
    const deliver = this.lane.shift();
    this.busy = deliver !== undefined;
    if (deliver === undefined) return;
    const { faults, world } = this;
    const delay = faults.on && world.dice.chance(faults.delay) ? world.dice.whole(1, 800) : 0;
    const go = (): void => {
      if (this.life.alive && !this.stopped) deliver();
      this.next();
    };
    if (delay > 0) this.life.after(delay, go);
    else go();
  }

  die(): void {
    void this.inner.stop();
  }

  stop(): Promise<void> {
    this.stopped = true;
    return this.inner.stop();
  }

  private async call<T>(name: string, call: () => Promise<T>): Promise<T> {
    const { faults, world, life } = this;
    if (!life.alive) return never();
    const { dice } = world;
    const bad = faults.on && dice.chance(faults.rejection);
    const before = bad && dice.chance(0.5);
    if (before) throw new Error(`fault: ${name}`);
    const result = await call();
    if (faults.on && dice.chance(faults.delay)) {
      await new Promise<void>((resolve) => life.after(dice.whole(1, 800), resolve));
    }
    if (!life.alive) return never();
    if (bad) throw new Error(`fault: ${name}`);
    return result;
  }

  subscribe(channel: string): Promise<void> {
    return this.call("subscribe", () => this.inner.subscribe(channel));
  }

  async unsubscribe(channel: string): Promise<void> {
    if (this.life.alive) await this.inner.unsubscribe(channel);
  }

  publish(...args: Parameters<Broker["publish"]>): Promise<BrokerResult> {
    return this.call("publish", () => this.inner.publish(...args));
  }

  publishJoin(channel: string, info: ClientInfo): Promise<void> {
    return this.call("publishJoin", () => this.inner.publishJoin(channel, info));
  }

  publishLeave(channel: string, info: ClientInfo): Promise<void> {
    return this.call("publishLeave", () => this.inner.publishLeave(channel, info));
  }

  history(...args: Parameters<Broker["history"]>): Promise<HistoryPage> {
    return this.call("history", () => this.inner.history(...args));
  }

  async removeHistory(channel: string): Promise<void> {
    await this.inner.removeHistory(channel);
  }

  async control(message: string): Promise<void> {
    if (this.life.alive) await this.inner.control(message);
  }
}

/** A presence store that ignores a node that has died. */
export class Mortal implements PresenceStore {
  private readonly life: Life;
  private readonly inner: MemoryPresenceStore;

  constructor(life: Life, inner: MemoryPresenceStore) {
    this.life = life;
    this.inner = inner;
  }

  get ttl(): number {
    return this.inner.ttl;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  add: PresenceStore["add"] = (...args) => (this.life.alive ? this.inner.add(...args) : never());
  remove: PresenceStore["remove"] = (...args) => (this.life.alive ? this.inner.remove(...args) : never());
  renew: PresenceStore["renew"] = (...args) => (this.life.alive ? this.inner.renew(...args) : never());
  clients: PresenceStore["clients"] = (...args) => (this.life.alive ? this.inner.clients(...args) : never());
  stats: PresenceStore["stats"] = (...args) => (this.life.alive ? this.inner.stats(...args) : never());
}
