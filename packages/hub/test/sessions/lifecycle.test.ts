import assert from "node:assert/strict";
import { test } from "node:test";
import type { CodeAndReason } from "../../src/codes.ts";
import { Hub } from "../../src/hub/hub.ts";
import { MemoryPresenceStore } from "../../src/presence/memory-presence-store.ts";
import { NAMESPACES, withHub } from "../support/hubs.ts";
import { TestClient } from "../support/test-client.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

const pings = (client: TestClient): number => client.frames.filter((frame) => frame === "{}").length;

test("pings: answered and unanswered", () =>
  withHub({ ping: { interval: 25_000, timeout: 8_000 } }, async ({ hub, clock }) => {
    const there = await new TestClient(hub).connect();
    const gone = await new TestClient(hub).connect();
    const busy = await new TestClient(hub).connect();
    // the first ping follows after half to a whole interval, to spread those of many clients
    await clock.advance(12_750);
    assert.deepEqual([pings(there), pings(gone)], [1, 1]);
    there.send("{}");
    busy.send({ id: 50, ping: {} });
    await clock.advance(8_500);
    assert.deepEqual(
      [there.closedWith, gone.closedWith, busy.closedWith],
      [undefined, { code: 3012, reason: "no pong" }, undefined],
    );
    for (let i = 0; i < 20; i++) {
      await clock.advance(5_000);
      there.send("{}");
    }
    assert.equal(there.closedWith, undefined);
    assert.equal(pings(there), 5);
  }));

test("a client is not disconnected for a missing pong while the hub does not read from it", () =>
  withHub({ ping: { interval: 25_000, timeout: 8_000 }, limits: { pending: 1 } }, async ({ hub, clock }) => {
    const answers: (() => void)[] = [];
    hub.rpc("wait", () => new Promise<void>((resolve) => answers.push(resolve)));
    const client = await new TestClient(hub).connect();
    client.send({ id: 50, rpc: { method: "wait" } });
    await settle();
    assert.equal(client.isPaused, true);
    await clock.advance(100_000);
    assert.equal(client.closedWith, undefined);
    for (const answer of answers) answer();
    await settle();
    assert.equal(client.isPaused, false);
    client.send("{}"); // which was queued
    await clock.advance(8_500);
    assert.equal(client.closedWith, undefined);
    await clock.advance(25_000 + 8_500);
    assert.deepEqual(client.closedWith, { code: 3012, reason: "no pong" });
  }));

test("await using closes a hub", async () => {
  let client: TestClient;
  {
    await using hub = new Hub({ namespaces: NAMESPACES, authenticate: () => ({ user: "u" }) });
    await hub.start();
    client = await new TestClient(hub).connect();
  }
  assert.equal(client.closedWith?.code, 3001);
});

test("the client learns the ping interval, or that there are no pings", async () => {
  await withHub({ ping: { interval: 10_000 } }, async ({ hub }) => {
    const { connect } = await new TestClient(hub).ask({ connect: {} });
    assert.deepEqual([connect?.ping, connect?.pong], [10, true]);
  });
  await withHub({ ping: false }, async ({ hub }) => {
    const { connect } = await new TestClient(hub).ask({ connect: {} });
    assert.deepEqual([connect?.ping, connect?.pong], [undefined, undefined]);
  });
});

test("a client that reads is alive, even if it sends nothing", () =>
  withHub({ ping: { interval: 25_000, timeout: 8_000 } }, async ({ hub, clock }) => {
    const slow = await new TestClient(hub).connect();
    await clock.advance(13_000);
    slow.drain();
    await clock.advance(9_000);
    assert.equal(slow.closedWith, undefined);
  }));

test("a connection without a connect command is closed", () =>
  withHub({ connectTimeout: 10_000 }, async ({ hub, clock }) => {
    const idle = new TestClient(hub);
    const connected = await new TestClient(hub).connect();
    await clock.advance(9_000);
    assert.equal(idle.closedWith, undefined);
    await clock.advance(1_500);
    assert.deepEqual(idle.closedWith, { code: 3502, reason: "stale" });
    assert.equal(connected.closedWith, undefined);
    assert.equal(hub.metrics.connections, 1);
  }));

test("connections and subscriptions expire", () =>
  withHub(
    {
      refreshGrace: 5_000,
      authenticate: ({ data }) => ({ user: "u", expireAt: data === "past" ? 1 : undefined }),
      namespaces: { "": { subscribe: ({ data }) => ({ expireAt: Number(data) }) } },
    },
    async ({ hub, clock }) => {
      assert.equal(await new TestClient(hub).refused({ connect: { data: "past" } }), 110);
      const a = await new TestClient(hub).connect();
      assert.equal(await a.refused({ subscribe: { channel: "x", data: 1 } }), 110);
      const inTen = Math.floor(clock.unix() / 1000) + 10;
      const { expires, ttl } = await a.subscribe("x", { data: inTen });
      assert.deepEqual([expires, ttl], [true, 10]);
      await clock.advance(14_000);
      assert.deepEqual(a.take(), []);
      await clock.advance(2_000);
      assert.deepEqual(a.take(), [
        { push: { channel: "x", unsubscribe: { code: 2501, reason: "subscription expired" } } },
      ]);

      for (const wrong of [0, -1, 1.5, NaN]) await assert.rejects(hub.refresh("u", wrong), RangeError);
      await hub.refresh("u", Math.floor(clock.unix() / 1000) + 20);
      await settle();
      assert.deepEqual(a.take(), [{ push: { refresh: { expires: true, ttl: 20 } } }]);
      await clock.advance(24_000);
      assert.equal(a.closedWith, undefined);
      await clock.advance(2_000);
      assert.deepEqual(a.closedWith, { code: 3005, reason: "connection expired" });
    },
  ));

test("a hub that cannot reach its stores does not start, and can be started later", async () => {
  const clock = new VirtualClock();
  const presence = new MemoryPresenceStore({ clock });
  let reachable = false;
  presence.start = () => (reachable ? Promise.resolve() : Promise.reject(new Error("no connection")));
  const hub = new Hub({ namespaces: NAMESPACES, anonymous: true, clock, presence });
  await assert.rejects(hub.start(), /no connection/);
  assert.equal(clock.pending, 0);
  reachable = true;
  await hub.start();
  await new TestClient(hub).connect();
  await hub.close();
  assert.equal(clock.pending, 0);
});

test("connections of a user are limited", () =>
  withHub(
    { limits: { connectionsPerUser: 2 }, authenticate: ({ data }) => ({ user: String(data) }) },
    async ({ hub }) => {
      for (let i = 0; i < 2; i++) await new TestClient(hub).connect({ data: "alice" });
      const third = new TestClient(hub);
      third.send({ id: 1, connect: { data: "alice" } });
      await settle();
      assert.equal(third.closedWith?.code, 3504);
      for (let i = 0; i < 3; i++) await new TestClient(hub).connect({ data: "" });
    },
  ));

test("the application is notified of connects and disconnects, and its errors affect nothing else", async () => {
  const received: string[] = [];
  await withHub(
    {
      onConnect: ({ client }) => received.push(`+${client}`),
      onDisconnect: ({ client }, { code }: CodeAndReason) => {
        received.push(`-${client} ${code}`);
        throw new Error("of the application");
      },
    },
    async ({ hub, errors }) => {
      const a = await new TestClient(hub, { request: 1 }).connect();
      assert.deepEqual(a.session.context, { request: 1 });
      a.lose();
      const b = await new TestClient(hub).connect();
      b.session.disconnect(4000, "x");
      new TestClient(hub).lose();
      const [x, y] = [a.session.client, b.session.client];
      assert.deepEqual(received, [`+${x}`, `-${x} 3000`, `+${y}`, `-${y} 4000`]);
      assert.equal(errors.length, 2);
    },
  );
});

test("a session that ends while it subscribes leaves nothing behind", () =>
  withHub({}, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    a.send({ id: 5, subscribe: { channel: "public:x" } }, { id: 6, subscribe: { channel: "public:y", recover: true } });
    a.lose();
    await settle();
    assert.deepEqual(
      [hub.metrics.channels, hub.metrics.subscriptions, hub.metrics.sessions, hub.metrics.connections],
      [0, 0, 0, 0],
    );
    assert.deepEqual(await hub.presence("public:x"), []);
  }));

test("closing: all clients are told to reconnect, spread over a window, and no one is admitted", async () => {
  const clock = new VirtualClock();
  const hub = new Hub({ namespaces: NAMESPACES, anonymous: true, connectTimeout: 60_000, clock });
  assert.throws(() => new TestClient(hub), /not been started/);
  await hub.start();
  await assert.rejects(hub.start(), /before/);
  const clients = [];
  for (let i = 0; i < 10; i++) {
    const client = await new TestClient(hub).connect();
    await client.subscribe("public:x");
    clients.push(client);
  }
  const unconnected = new TestClient(hub);
  const closing = hub.close({ window: 11_000 });
  await clock.advance(5_500);
  assert.equal(clients.filter(({ closedWith }) => closedWith?.code === 3001).length, 6);
  assert.equal(unconnected.closedWith, undefined);
  assert.equal(new TestClient(hub).closedWith?.code, 3001);
  await clock.advance(5_000);
  await closing;
  assert.ok([...clients, unconnected].every(({ closedWith }) => closedWith?.code === 3001));
  assert.deepEqual(
    [hub.metrics.connections, hub.metrics.sessions, hub.metrics.subscriptions, hub.metrics.channels],
    [0, 0, 0, 0],
  );
  assert.equal(clock.pending, 0);
  await hub.close();
});

test("thousands of connections leave the hub unchanged", () =>
  withHub({}, async ({ hub }) => {
    for (let round = 0; round < 4; round++) {
      const clients = Array.from({ length: 500 }, () => new TestClient(hub));
      for (const client of clients)
        client.send(
          { id: 1, connect: {} },
          { id: 2, subscribe: { channel: "quiet:x" } },
          { id: 3, subscribe: { channel: "x" } },
        );
      await settle();
      assert.equal(hub.metrics.subscriptions, 1000);
      for (const client of clients) client.lose();
      await settle();
    }
    assert.deepEqual(
      [hub.metrics.connections, hub.metrics.sessions, hub.metrics.subscriptions, hub.metrics.channels],
      [0, 0, 0, 0],
    );
    assert.equal(hub.sessions().length, 0);
  }));

test("options are validated by the constructor", () => {
  const make =
    (options: object): (() => Hub) =>
    () =>
      new Hub({ namespaces: {}, ...options });
  assert.throws(make({ ping: { interval: 1500 } }), /ping.interval/);
  assert.throws(make({ ping: { interval: 5000, timeout: 5000 } }), /ping.timeout/);
  assert.throws(make({ connectTimeout: 0 }), /connectTimeout/);
  assert.throws(make({ limits: { channels: 0 } }), /limits.channels/);
  assert.throws(make({ limits: { queueBytes: "1" } }), /limits.queueBytes/);
  assert.throws(make({ limits: { rates: { publish: { perSecond: 0, burst: 1 } } } }), /limits.rates.publish/);
  assert.throws(make({ limits: { rates: { publsh: { perSecond: 1, burst: 1 } } } }), /publsh/);
  make({ limits: { connectionsPerUser: 0, rates: false } })();
});

test("an invalid close reason is rejected, and nothing is closed", () =>
  withHub({}, async ({ hub }) => {
    const client = await new TestClient(hub).connect();
    for (const why of [
      { code: 1005, reason: "" },
      { code: 3000, reason: "x".repeat(124) },
    ]) {
      await assert.rejects(hub.close({ why }), RangeError);
    }
    assert.equal(client.closedWith, undefined);
  }));
