import assert from "node:assert/strict";
import { test } from "node:test";
import type { Broker, BrokerHandler, HistoryPage } from "../../src/broker/broker.ts";
import { MemoryBroker } from "../../src/broker/memory-broker.ts";
import { MemoryEngine } from "../../src/broker/memory-engine.ts";
import { Hub } from "../../src/hub/hub.ts";
import { MemoryPresenceStore } from "../../src/presence/memory-presence-store.ts";
import { type Line, type Pub, type SubscribeResult, TestClient } from "../support/test-client.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

/** Returns the same numbers for the same seed (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

type Random = ReturnType<typeof randomFrom>;

/**
 * A broker between nodes: publications arrive late, sometimes twice, sometimes never; history is
 * slow.
 */
class UnreliableBroker implements Broker {
  readonly lossy = true;
  private readonly inner: Broker;
  private readonly random: Random;
  private waiting: (() => void)[] = [];
  /** In percent. */
  losses: number;

  constructor(inner: Broker, random: Random, losses: number) {
    this.inner = inner;
    this.random = random;
    this.losses = losses;
  }

  start(handler: BrokerHandler): Promise<void> {
    return this.inner.start({
      ...handler,
      publication: (channel, publication, epoch) => {
        const fate = this.random(100);
        if (fate < this.losses) return undefined;
        const times = fate < this.losses * 2 ? 2 : 1;
        for (let i = 0; i < times; i++) this.waiting.push(() => void handler.publication(channel, publication, epoch));
        return undefined;
      },
    });
  }

  /** Delivers some of the pending publications. */
  arrive(count: number): void {
    for (const delivery of this.waiting.splice(0, count)) delivery();
  }

  async history(...args: Parameters<Broker["history"]>): Promise<HistoryPage> {
    for (let i = this.random(3); i > 0; i--) await new Promise((resolve) => setImmediate(resolve));
    const page = await this.inner.history(...args);
    for (let i = this.random(3); i > 0; i--) await new Promise((resolve) => setImmediate(resolve));
    return page;
  }

  stop = (): Promise<void> => this.inner.stop();
  subscribe = (channel: string): Promise<void> => this.inner.subscribe(channel);
  unsubscribe = (channel: string): Promise<void> => this.inner.unsubscribe(channel);
  publish: Broker["publish"] = (...args) => this.inner.publish(...args);
  publishJoin: Broker["publishJoin"] = (...args) => this.inner.publishJoin(...args);
  publishLeave: Broker["publishLeave"] = (...args) => this.inner.publishLeave(...args);
  removeHistory = (channel: string): Promise<void> => this.inner.removeHistory(channel);
  control = (message: string): Promise<void> => this.inner.control(message);
}

/** What a client has seen of one channel. */
interface View {
  epoch: string;
  /** Offset of the last publication; undefined before the first subscription. */
  offset: number | undefined;
  state: "none" | "asked" | "subscribed";
  /** Publications that the client was told are lost. */
  toldLost: number;
  seen: number;
}

/** A user of the hub that connects, disconnects, and checks everything it receives. */
class ModelClient {
  private client: TestClient | undefined;
  private nextId = 10;
  private readonly asked = new Map<number, string>();
  readonly views = new Map<string, View>();

  view(channel: string): View {
    let view = this.views.get(channel);
    if (view === undefined) {
      this.views.set(channel, (view = { epoch: "", offset: undefined, state: "none", toldLost: 0, seen: 0 }));
    }
    return view;
  }

  get isThere(): boolean {
    return this.client !== undefined && this.client.closedWith === undefined;
  }

  come(hub: Hub): void {
    this.client = new TestClient(hub);
    this.asked.clear();
    for (const view of this.views.values()) view.state = "none";
    this.client.send({ id: 1, connect: {} });
    for (const [channel, view] of this.views) if (view.offset !== undefined) this.subscribe(channel);
  }

  subscribe(channel: string): void {
    const view = this.view(channel);
    if (view.state !== "none" || !this.isThere) return;
    const id = this.nextId++;
    const position = view.offset === undefined ? {} : { recover: true, offset: view.offset, epoch: view.epoch };
    this.asked.set(id, channel);
    view.state = "asked";
    this.client?.send({ id, subscribe: { channel, ...position } });
  }

  unsubscribe(channel: string): void {
    if (this.view(channel).state !== "subscribed" || !this.isThere) return;
    this.read(); // includes messages in transit
    if (this.view(channel).state !== "subscribed") return;
    this.view(channel).state = "none";
    this.client?.send({ id: this.nextId++, unsubscribe: { channel } });
  }

  go(): void {
    if (!this.isThere) return;
    this.read();
    this.client?.lose();
  }

  /** Accepts at most one message until `wake`. */
  sleep(): void {
    if (this.isThere) this.client?.drain(1);
  }

  wake(): void {
    if (this.isThere) this.client?.drain();
  }

  read(): void {
    for (const line of this.client?.take() ?? []) this.readLine(line);
  }

  private readLine(line: Line): void {
    if (line.id !== undefined) {
      const channel = this.asked.get(line.id);
      if (channel === undefined) return;
      this.asked.delete(line.id);
      assert.equal(line.error, undefined, `${channel}: ${JSON.stringify(line.error)}`);
      this.begin(channel, line.subscribe ?? {});
      return;
    }
    const { channel = "", pub, unsubscribe } = line.push ?? {};
    if (pub !== undefined) {
      // messages sent before an unsubscribe still arrive
      if (this.view(channel).state === "subscribed") this.see(channel, pub);
    } else if (unsubscribe !== undefined) {
      assert.equal(unsubscribe.code, 2500);
      // otherwise it belongs to an earlier subscription
      if (this.view(channel).state !== "subscribed") return;
      this.view(channel).state = "none";
      this.subscribe(channel);
    }
  }

  private begin(channel: string, result: SubscribeResult): void {
    const view = this.view(channel);
    assert.equal(view.state, "asked");
    view.state = "subscribed";
    if (view.offset === undefined) {
      view.offset = result.offset ?? 0;
    } else if (result.recovered === true) {
      assert.equal(result.offset ?? 0, view.offset, "a recovery starts where the client stood");
      assert.equal(result.epoch, view.epoch);
    } else {
      assert.equal(result.was_recovering, true);
      assert.equal(result.publications, undefined);
      assert.ok((result.offset ?? 0) > view.offset, "nothing is lost, or the client is told so");
      view.toldLost += (result.offset ?? 0) - view.offset;
      view.offset = result.offset ?? 0;
    }
    view.epoch = result.epoch ?? "";
    for (const pub of result.publications ?? []) this.see(channel, pub);
  }

  private see(channel: string, { offset, data }: Pub): void {
    const view = this.view(channel);
    assert.equal(offset, (view.offset ?? 0) + 1, `${channel}: no gap, no double`);
    assert.equal(data, `${channel} ${offset}`);
    view.offset = offset;
    view.seen++;
  }
}

interface Scenario {
  readonly nodes: number;
  readonly historySize: number;
  readonly losses: number;
  readonly steps: number;
  readonly queueBytes: number;
  /** Default: a page is larger than what any client misses. */
  readonly pageBytes?: number;
}

/** Returns how many publications were lost, and how often clients were told so. */
async function play(
  seed: number,
  scenario: Scenario,
): Promise<{ lost: number; seen: number; slow: number; gaps: number; caughtUp: number }> {
  const random = randomFrom(seed);
  const clock = new VirtualClock();
  const engine = new MemoryEngine({ clock });
  const presence = new MemoryPresenceStore({ clock });
  const brokers = Array.from(
    { length: scenario.nodes },
    () => new UnreliableBroker(new MemoryBroker(engine), random, scenario.losses),
  );
  const hubs = brokers.map(
    (broker) =>
      new Hub({
        namespaces: {
          m: { history: { size: scenario.historySize, ttl: 3600_000 }, presence: true, subscribe: "anyone" },
        },
        anonymous: true,
        ping: false,
        limits: { queueBytes: scenario.queueBytes, pageBytes: scenario.pageBytes ?? 1_000_000, rates: false },
        clock,
        broker,
        presence,
      }),
  );
  for (const hub of hubs) await hub.start();
  const pick = <T>(all: readonly T[]): T => {
    const chosen = all[random(all.length)];
    assert.ok(chosen !== undefined);
    return chosen;
  };
  const channels = ["m:a", "m:b", "m:c", "m:__proto__"];
  const tops = new Map(channels.map((channel) => [channel, 0]));
  const clients = Array.from({ length: 12 }, () => new ModelClient());

  const publish = (): void => {
    const channel = pick(channels);
    const offset = (tops.get(channel) ?? 0) + 1;
    tops.set(channel, offset);
    void pick(hubs).publish(channel, `${channel} ${offset}`);
  };
  for (let step = 0; step < scenario.steps; step++) {
    const client = pick(clients);
    const what = random(100);
    if (what < 40) for (let i = random(4); i >= 0; i--) publish();
    else if (what < 55) pick(brokers).arrive(random(20));
    else if (what < 65) client.subscribe(pick(channels));
    else if (what < 70) client.unsubscribe(pick(channels));
    else if (what < 75) client.go();
    else if (what < 80) client.sleep();
    else if (what < 85) client.wake();
    else if (what < 95) client.read();
    else await settle();
    if (!client.isThere) {
      client.read();
      client.come(pick(hubs));
    }
    if (random(200) === 0) pick(brokers).arrive(1000);
    if (random(400) === 0) await clock.advance(31_000); // a position check
  }
  // everything arrives, all clients are connected and reading
  for (const broker of brokers) broker.losses = 0;
  for (let round = 0; round < 8; round++) {
    for (const broker of brokers) broker.arrive(100_000);
    await clock.advance(31_000);
    for (const client of clients) {
      client.wake();
      client.read();
      if (!client.isThere) client.come(pick(hubs));
      for (const [channel, { offset }] of client.views) if (offset !== undefined) client.subscribe(channel);
    }
    await settle();
  }
  let lost = 0;
  let seen = 0;
  for (const client of clients) {
    client.read();
    for (const [channel, view] of client.views) {
      if (view.offset === undefined) continue;
      assert.equal(view.offset, tops.get(channel), `${channel}: everybody has everything`);
      lost += view.toldLost;
      seen += view.seen;
    }
  }
  const slow = hubs.reduce((sum, { metrics }) => sum + metrics.slowDisconnects, 0);
  const gaps = hubs.reduce((sum, { metrics }) => sum + metrics.gaps, 0);
  const caughtUp = hubs.reduce((sum, { metrics }) => sum + metrics.caughtUp, 0);
  for (const hub of hubs) await hub.close();
  for (const { metrics } of hubs) {
    assert.deepEqual([metrics.connections, metrics.subscriptions, metrics.channels, metrics.queueBytes], [0, 0, 0, 0]);
  }
  assert.equal((await presence.stats("m:a")).clients, 0);
  return { lost, seen, slow, gaps, caughtUp };
}

async function playMany(seeds: number, scenario: Scenario): Promise<Awaited<ReturnType<typeof play>>> {
  const total = { lost: 0, seen: 0, slow: 0, gaps: 0, caughtUp: 0 };
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      const { lost, seen, slow, gaps, caughtUp } = await play(seed, scenario);
      total.lost += lost;
      total.seen += seen;
      total.slow += slow;
      total.gaps += gaps;
      total.caughtUp += caughtUp;
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  return total;
}

test("random kills, reconnects and delays on one node: order, no gap, no duplicate, no loss", async () => {
  const { lost, seen, slow } = await playMany(12, {
    nodes: 1,
    historySize: 10_000,
    losses: 0,
    steps: 1200,
    queueBytes: 3000,
  });
  assert.equal(lost, 0);
  assert.ok(seen > 5_000 && slow > 10, `${seen} seen, ${slow} slow`);
});

test("the same on three nodes whose broker loses and duplicates deliveries", async () => {
  const { lost, seen, gaps } = await playMany(12, {
    nodes: 3,
    historySize: 10_000,
    losses: 10,
    steps: 1200,
    queueBytes: 3000,
  });
  assert.equal(lost, 0);
  assert.ok(seen > 5_000 && gaps > 10, `${seen} seen, ${gaps} gaps`);
});

test("with too little history some is lost, and each client is notified of its losses", async () => {
  const { lost, seen } = await playMany(12, { nodes: 2, historySize: 5, losses: 10, steps: 1200, queueBytes: 3000 });
  assert.ok(lost > 100 && seen > 2_000, `${lost} lost, ${seen} seen`);
});

test("the same with pages of two publications: missed ones arrive page by page, without duplicates", async () => {
  const { lost, seen, gaps, caughtUp } = await playMany(12, {
    nodes: 3,
    historySize: 10_000,
    losses: 10,
    steps: 1200,
    queueBytes: 3000,
    pageBytes: 160,
  });
  assert.equal(lost, 0);
  assert.ok(seen > 5_000 && gaps > 10 && caughtUp > 100, `${seen} seen, ${gaps} gaps, ${caughtUp} caught up`);
});

test("pages and too little history: a client without a next page is notified of its losses", async () => {
  const { lost, seen, caughtUp } = await playMany(12, {
    nodes: 2,
    historySize: 5,
    losses: 10,
    steps: 1200,
    queueBytes: 3000,
    pageBytes: 1,
  });
  assert.ok(lost > 100 && seen > 2_000 && caughtUp > 20, `${lost} lost, ${seen} seen, ${caughtUp} caught up`);
});
