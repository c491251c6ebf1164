import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultyBroker } from "../support/faulty-broker.ts";
import { withHub } from "../support/hubs.ts";
import { pubsOf, TestClient } from "../support/test-client.ts";
import { settle } from "../support/virtual-clock.ts";

const OPEN = { subscribe: "anyone", publish: "anyone" } as const;
const KEPT = { ...OPEN, history: { size: 100, ttl: 60_000 } } as const;
const SUBSCRIBERS = 3_000;
/** Approximate number of connections written to in one tick. */
const MOST_AT_ONCE = 1_100;

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const texts = (client: TestClient): unknown[] => pubsOf(client.take()).map(({ data }) => data);

async function subscribers(
  hub: ConstructorParameters<typeof TestClient>[0],
  count = SUBSCRIBERS,
): Promise<TestClient[]> {
  const clients = Array.from({ length: count }, () => new TestClient(hub));
  for (const client of clients) client.send({ id: 1, connect: {} }, { id: 2, subscribe: { channel: "x" } });
  while (clients.some((client) => client.frames.join("\n").includes('"subscribe":') === false)) await settle();
  for (const client of clients) client.take();
  return clients;
}

/** Returns how many connections are written to in each tick until `isDone`. */
async function perTick(
  clients: readonly TestClient[],
  isDone: () => boolean,
  pass: () => Promise<void> = () => Promise.resolve(),
): Promise<number[]> {
  const counts: number[] = [];
  for (let before = clients.map(({ frames }) => frames.length); !isDone();) {
    await pass();
    await tick();
    const now = clients.map(({ frames }) => frames.length);
    counts.push(now.filter((count, index) => count > (before[index] ?? 0)).length);
    before = now;
    assert.ok(counts.length < 1_000);
  }
  return counts;
}

for (const [what, namespace] of [
  ["without history", OPEN],
  ["with history", KEPT],
  ["with deltas", { ...KEPT, delta: true }],
  ["with conflation", { ...OPEN, slowConsumer: "conflate" }],
] as const) {
  test(`publications reach the subscribers of a large channel ${what} over several ticks, each in order and once`, () =>
    withHub({ namespaces: { "": namespace } }, async ({ hub }) => {
      const clients = await subscribers(hub);
      let report: { readonly delivered: number } | undefined;
      void hub.publish("x", 0).then((each) => (report = each));
      let published = 1;
      const counts = await perTick(clients, () => {
        // publish more during the first fan-out
        if (published < 4) void hub.publish("x", published++);
        return report !== undefined;
      });
      assert.equal(report?.delivered, SUBSCRIBERS);
      assert.ok(Math.max(...counts) <= MOST_AT_ONCE, counts.join(" "));
      await perTick(clients, () => hub.metrics.publications === 4);
      for (const client of clients) assert.deepEqual(texts(client), [0, 1, 2, 3]);
      assert.equal(hub.metrics.delivered, 4 * SUBSCRIBERS);
    }));
}

test("large messages take a larger part of a tick than small ones", () =>
  withHub({ namespaces: { "": OPEN } }, async ({ hub }) => {
    const clients = await subscribers(hub, 800);
    void hub.publish("x", "x".repeat(60_000));
    const counts = await perTick(clients, () => hub.metrics.publications === 1);
    assert.ok(Math.max(...counts) <= 400, counts.join(" "));
  }));

test("joins and leaves of a large channel are announced over several ticks", () =>
  withHub({ namespaces: { "": { ...OPEN, joinLeave: true } } }, async ({ hub, clock }) => {
    const clients = await subscribers(hub, 700);
    const pass = (): Promise<void> => clock.advance(10);
    await clock.advance(2_000);
    for (const client of clients) client.take();
    const newcomers = await subscribers(hub, 100);
    const counts = await perTick(
      clients,
      () => clients.every((client) => client.frames.join("").split('"join"').length > 100),
      pass,
    );
    assert.ok(Math.max(...counts) <= MOST_AT_ONCE, counts.join(" "));
    for (const newcomer of newcomers) newcomer.lose();
    const leaves = await perTick(
      clients,
      () => clients.every((client) => client.frames.join("").split('"leave"').length > 100),
      pass,
    );
    assert.ok(Math.max(...leaves) <= MOST_AT_ONCE, leaves.join(" "));
  }));

test("joins that come one after another in a large channel share messages; a publication takes them along", () =>
  withHub({ namespaces: { "": { ...OPEN, joinLeave: true } } }, async ({ hub, clock }) => {
    const clients = await subscribers(hub, 100);
    await clock.advance(1_000);
    for (const client of clients) client.take();
    const [first] = clients;
    const pushes = (): string[] => (first?.take() ?? []).map(({ push }) => (push?.pub === undefined ? "join" : "pub"));
    const join = async (): Promise<TestClient> => {
      const newcomer = await new TestClient(hub).connect();
      await newcomer.subscribe("x");
      return newcomer;
    };
    await join();
    assert.deepEqual(pushes(), ["join"], "the first one at the end of its tick");
    const before = first?.frames.length ?? 0;
    for (let count = 0; count < 10; count++) await join();
    assert.deepEqual(pushes(), [], "the others wait");
    await clock.advance(222);
    assert.equal((first?.frames.length ?? 0) - before, 1);
    assert.equal(pushes().length, 10);
    const newcomer = await join();
    newcomer.send({ id: 5, publish: { channel: "x", data: 1 } });
    await settle();
    assert.deepEqual(pushes(), ["join", "pub"], "a join comes before what the client publishes");
  }));

test("a client that leaves during a fan-out receives the publication before the reply, and no one is skipped", () =>
  withHub({ namespaces: { "": OPEN } }, async ({ hub }) => {
    const clients = await subscribers(hub);
    void hub.publish("x", 1);
    void hub.publish("x", 2);
    await tick();
    const leaving = clients.filter((_, index) => index % 3 === 0);
    for (const client of leaving) client.send({ id: 9, unsubscribe: { channel: "x" } });
    const late = await new TestClient(hub).connect();
    await late.subscribe("x");
    await hub.publish("x", 3);
    await settle();
    for (const [index, client] of clients.entries()) {
      const lines = client.take().map(({ id, push }) => push?.pub?.data ?? `answer ${id}`);
      assert.deepEqual(lines, index % 3 === 0 ? [1, 2, "answer 9"] : [1, 2, 3]);
    }
    assert.deepEqual(texts(late), [3]);
  }));

test("a small channel and replies do not wait for a large channel", () =>
  withHub({ namespaces: { "": OPEN } }, async ({ hub }) => {
    const clients = await subscribers(hub, 6_000);
    const [a, b] = [await new TestClient(hub).connect(), await new TestClient(hub).connect()];
    await b.subscribe("small");
    b.take();
    for (let round = 0; round < 5; round++) void hub.publish("x", round);
    a.send({ id: 5, publish: { channel: "small", data: 1 } });
    await tick();
    await tick();
    assert.deepEqual([a.take().map(({ id }) => id), texts(b)], [[5], [1]]);
    assert.ok(
      clients.some((client) => texts(client).length === 0),
      "the large one is still under way",
    );
    await perTick(clients, () => hub.metrics.publications === 6);
  }));

test("a new stream restarts its offsets for clients without a position", () => {
  const broker = new FaultyBroker();
  return withHub({ broker, namespaces: { "": { ...KEPT, recovery: false } } }, async ({ hub }) => {
    const client = await new TestClient(hub).connect();
    await client.subscribe("x");
    for (let number = 1; number <= 3; number++) await hub.publish("x", number);
    broker.handler?.publication("x", { data: "4", offset: 1 }, "another");
    await settle();
    assert.deepEqual(texts(client), [1, 2, 3, 4]);
  });
});
