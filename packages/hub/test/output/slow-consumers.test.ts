import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultyBroker } from "../support/faulty-broker.ts";
import { withHub } from "../support/hubs.ts";
import { pubsOf, TestClient } from "../support/test-client.ts";
import { settle } from "../support/virtual-clock.ts";

const limits = { queueBytes: 1000 };
const big = (n: number): string => `${n}`.padStart(200, "x");
const last = (client: TestClient): number[] =>
  pubsOf(client.take()).map(({ data }) => Number(String(data).replaceAll("x", "")));

test("a publisher is told the outcome", () =>
  withHub({ limits }, async ({ hub }) => {
    const clients = [];
    for (let i = 0; i < 4; i++) clients.push(await new TestClient(hub).connect());
    const [fast, drop, keep] = clients;
    await Promise.all(clients.map((client) => client.subscribe("drop:x")));
    await keep?.subscribe("quiet:x");
    for (const slow of [drop, keep]) slow?.drain(1);
    const first = await hub.publish("drop:x", big(1));
    assert.deepEqual(first, {
      offset: 0,
      epoch: "",
      duplicate: false,
      delivered: 4,
      queued: 0,
      dropped: 0,
      disconnected: 0,
    });
    const second = await hub.publish("drop:x", big(2));
    assert.deepEqual([second.delivered, second.queued], [2, 2]);
    for (let i = 0; i < 3; i++) await hub.publish("drop:x", big(i));
    const full = await hub.publish("drop:x", big(6));
    assert.deepEqual([full.delivered, full.queued, full.dropped], [2, 2, 2]);
    assert.ok(hub.metrics.queueBytes > 1000 && hub.metrics.queueBytes <= 2000);
    const over = await hub.publish("quiet:x", big(1));
    assert.deepEqual([over.offset, over.delivered, over.disconnected], [1, 0, 1]);
    assert.deepEqual(keep?.closedWith, { code: 3008, reason: "slow" });
    assert.equal(fast?.closedWith, undefined);
    assert.deepEqual([hub.metrics.slowDisconnects, hub.metrics.disconnects.get(3008)], [1, 1]);
    drop?.drain();
    assert.equal(hub.metrics.queueBytes, 0);
  }));

test("drop-oldest: a slow client receives the newest", () =>
  withHub({ limits }, async ({ hub }) => {
    const slow = await new TestClient(hub).connect();
    await slow.subscribe("drop:x");
    slow.drain(1);
    for (let n = 1; n <= 20; n++) await hub.publish("drop:x", big(n));
    slow.drain();
    const [first, ...got] = last(slow);
    assert.equal(first, 1, "what the connection had taken before");
    assert.deepEqual(
      got,
      Array.from({ length: got.length }, (_, i) => 21 - got.length + i),
    );
    assert.ok(got.length >= 3 && slow.closedWith === undefined);
  }));

test("conflate: a slow client receives the newest of each key", () =>
  withHub({ limits }, async ({ hub }) => {
    const slow = await new TestClient(hub).connect();
    await slow.subscribe("latest:x");
    slow.drain(1);
    await hub.publish("latest:x", big(0));
    for (let n = 1; n <= 30; n++) await hub.publish("latest:x", big(n), { tags: { key: n % 3 === 0 ? "a" : "b" } });
    slow.drain();
    assert.deepEqual(last(slow), [0, 29, 30]);
    assert.equal(hub.metrics.dropped, 28);
  }));

test("disconnect: a slow client reconnects and receives everything", () =>
  withHub({ limits }, async ({ hub }) => {
    const slow = await new TestClient(hub).connect();
    const { epoch } = await slow.subscribe("quiet:x");
    slow.drain(2);
    for (let n = 1; n <= 20; n++) await hub.publish("quiet:x", big(n));
    assert.equal(slow.closedWith?.code, 3008);
    const got = last(slow);
    const back = await new TestClient(hub).connect();
    const { recovered, publications = [] } = await back.subscribe("quiet:x", {
      recover: true,
      offset: got.length,
      epoch,
    });
    assert.equal(recovered, true);
    assert.equal(got.length + publications.length, 20);
  }));

test("a recovery larger than the queue reaches a client that reads it", () =>
  withHub({ limits }, async ({ hub }) => {
    const { epoch } = await hub.publish("quiet:x", 0);
    for (let n = 1; n < 90; n++) await hub.publish("quiet:x", big(n));
    const back = await new TestClient(hub).connect();
    const { publications = [] } = await back.subscribe("quiet:x", { recover: true, offset: 1, epoch });
    assert.equal(publications.length, 89);
  }));

test("replies use the same queue, in order, and are never dropped", () =>
  withHub({ limits }, async ({ hub }) => {
    const slow = await new TestClient(hub).connect();
    await slow.subscribe("drop:x");
    slow.drain(1);
    await hub.publish("drop:x", big(1));
    slow.send({ id: 90, ping: {} });
    await settle();
    for (let n = 2; n <= 9; n++) await hub.publish("drop:x", big(n));
    slow.send({ id: 91, ping: {} });
    await settle();
    slow.drain(2);
    slow.drain();
    const lines = slow.take();
    assert.deepEqual(
      lines.filter(({ id }) => id !== undefined).map(({ id }) => id),
      [90, 91],
    );
    assert.equal(
      lines.findIndex(({ id }) => id === 90),
      1,
    );
    assert.equal(
      lines.findIndex(({ id }) => id === 91),
      lines.length - 1,
    );
  }));

test("a client that sends requests without reading: stores are queried as it reads, in order", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker, limits: { pageBytes: 100_000 } }, async ({ hub }) => {
    const slow = await new TestClient(hub).connect();
    await slow.subscribe("quiet:x");
    for (let n = 0; n < 10; n++) await hub.publish("quiet:x", "x".repeat(7000));
    slow.take();
    slow.drain(1);
    let reads = 0;
    broker.onHistory = async () => void reads++;
    // different commands: equal ones share a read
    for (let n = 0; n < 20; n++) slow.send({ id: 50 + n, history: { channel: "quiet:x", limit: 10 + n } });
    await settle();
    assert.deepEqual([reads, hub.metrics.queueBytes], [1, 0], "one page is on its way");
    for (let taken = 2; taken <= 20; taken++) {
      slow.drain(1);
      await settle();
      assert.equal(reads, taken);
    }
    assert.equal(slow.closedWith, undefined);
    assert.deepEqual(
      slow.take().map(({ id, history: page }) => [id, page?.publications.length]),
      Array.from({ length: 20 }, (_, n) => [50 + n, 10]),
    );
  });
});

test("requests to stores are abandoned when the client has disconnected", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker, limits: { pageBytes: 100_000 } }, async ({ hub }) => {
    const slow = await new TestClient(hub).connect();
    await slow.subscribe("quiet:x");
    for (let n = 0; n < 10; n++) await hub.publish("quiet:x", "x".repeat(7000));
    slow.drain(1);
    let reads = 0;
    broker.onHistory = async () => void reads++;
    for (let n = 0; n < 20; n++) slow.send({ id: 50 + n, history: { channel: "quiet:x", limit: 10 } });
    slow.lose();
    await settle();
    assert.equal(reads, 1);
  });
});

test("a client that sends requests without reading, and without stores, is disconnected", () =>
  withHub({ limits: { queueBytes: 10_000 } }, async ({ hub }) => {
    hub.rpc("much", () => big(1).repeat(10));
    const slow = await new TestClient(hub).connect();
    slow.drain(1);
    for (let n = 0; n < 20 && slow.closedWith === undefined; n++) {
      slow.send({ id: 50 + n, rpc: { method: "much" } });
      await settle();
    }
    assert.equal(slow.closedWith?.code, 3008);
    assert.equal(hub.metrics.queueBytes, 0);
  }));

test("a connection that ends during a fan-out affects no other delivery", () =>
  withHub({ limits: { queueBytes: 1 } }, async ({ hub }) => {
    const clients: TestClient[] = [];
    for (let i = 0; i < 50; i++) {
      const client = await new TestClient(hub).connect();
      await client.subscribe("quiet:x");
      clients.push(client);
    }
    const blocked = clients.filter((_, i) => i % 3 === 1);
    for (const client of blocked) client.drain(1);
    await hub.publish("quiet:x", 1);
    const { delivered, disconnected } = await hub.publish("quiet:x", 2);
    assert.deepEqual([delivered, disconnected], [clients.length - blocked.length, blocked.length]);
    await hub.publish("quiet:x", 3);
    for (const client of clients) {
      const got = pubsOf(client.take()).map(({ data }) => data);
      assert.deepEqual(got, blocked.includes(client) ? [1] : [1, 2, 3]);
    }
    assert.equal(hub.channels().get("quiet:x"), clients.length - blocked.length);
  }));
