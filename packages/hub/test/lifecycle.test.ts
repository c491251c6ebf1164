import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBroker } from "../src/broker/memory-broker.ts";
import { MemoryEngine } from "../src/broker/memory-engine.ts";
import type { CodeAndReason } from "../src/codes.ts";
import { Hub } from "../src/hub.ts";
import { MemoryPresenceStore } from "../src/presence/memory-presence-store.ts";
import { NAMESPACES, withHub } from "./support/hubs.ts";
import { type Line, pubsOf, TestClient } from "./support/test-client.ts";
import { settle, VirtualClock } from "./support/virtual-clock.ts";

const pings = (client: TestClient): number => client.frames.filter((frame) => frame === "{}").length;

test("pings, answered and not", () =>
  withHub({ ping: { interval: 25_000, timeout: 8_000 } }, async ({ hub, clock }) => {
    const there = await new TestClient(hub).connect();
    const gone = await new TestClient(hub).connect();
    const busy = await new TestClient(hub).connect();
    // the first one comes after half an interval, or up to a whole one, so that those of a storm are spread
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

test("the client is told of pings; of none where there are none", async () => {
  await withHub({ ping: { interval: 10_000 } }, async ({ hub }) => {
    const { connect } = await new TestClient(hub).ask({ connect: {} });
    assert.deepEqual([connect?.ping, connect?.pong], [10, true]);
  });
  await withHub({ ping: false }, async ({ hub }) => {
    const { connect } = await new TestClient(hub).ask({ connect: {} });
    assert.deepEqual([connect?.ping, connect?.pong], [undefined, undefined]);
  });
});

test("who takes something is alive, even if it says nothing", () =>
  withHub({ ping: { interval: 25_000, timeout: 8_000 } }, async ({ hub, clock }) => {
    const slow = await new TestClient(hub).connect();
    await clock.advance(13_000);
    slow.drain();
    await clock.advance(9_000);
    assert.equal(slow.closedWith, undefined);
  }));

test("a connection that never connects is ended", () =>
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

test("connections and subscriptions that expire", () =>
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

test("users are disconnected: all, one client, all but some, with a code of the application's", () =>
  withHub({ authenticate: ({ data }) => ({ user: String(data) }) }, async ({ hub }) => {
    const come = (user: string): Promise<TestClient> => new TestClient(hub).connect({ data: user });
    const [a, b, c, other] = await Promise.all([come("alice"), come("alice"), come("alice"), come("bob")]);
    await hub.disconnect("alice", { client: a.session.client });
    await hub.disconnect("alice", { client: other.session.client });
    assert.deepEqual(
      [a.closedWith, b.closedWith, other.closedWith],
      [{ code: 3503, reason: "force disconnect" }, undefined, undefined],
    );
    await hub.disconnect("alice", { except: [c.session.client], code: 4100, reason: "later" });
    assert.deepEqual([b.closedWith, c.closedWith], [{ code: 4100, reason: "later" }, undefined]);
    await assert.rejects(hub.disconnect("alice", { code: 1000 }), RangeError);
    await assert.rejects(hub.disconnect("alice", { reason: "x".repeat(124) }), RangeError);
    assert.throws(() => c.session.disconnect(2999), RangeError);
    c.session.disconnect();
    assert.equal(c.closedWith?.code, 3503);
    assert.deepEqual(hub.sessions("alice"), []);
    assert.equal(hub.sessions().length, 1);
  }));

test("subscriptions by the server: live, at connect with recovery, and their end", () =>
  withHub(
    {
      authenticate: ({ data }) => ({
        user: String(data),
        meta: { secret: 1 },
        data: { hello: data },
        subs: new Map([
          ["quiet:feed", { data: { welcome: true } }],
          ["__proto__", {}],
        ]),
      }),
    },
    async ({ hub }) => {
      const a = new TestClient(hub);
      const { connect } = await a.ask({ connect: { data: "alice" } });
      assert.deepEqual(connect?.data, { hello: "alice" });
      const subs = connect?.subs ?? {};
      assert.deepEqual(Object.keys(subs), ["quiet:feed", "__proto__"]);
      const { epoch } = subs["quiet:feed"] ?? {};
      assert.deepEqual(subs["quiet:feed"], { recoverable: true, positioned: true, epoch, data: { welcome: true } });
      assert.deepEqual(a.session.channels, ["quiet:feed", "__proto__"]);
      assert.deepEqual(a.session.meta, { secret: 1 });
      assert.equal(await a.refused({ subscribe: { channel: "quiet:feed" } }), 105);
      await hub.publish("quiet:feed", 1);
      assert.deepEqual(
        pubsOf(a.take()).map(({ data }) => data),
        [1],
      );
      a.lose();
      await hub.publish("quiet:feed", 2);

      const b = new TestClient(hub);
      const back = await b.ask({
        connect: { data: "alice", subs: { "quiet:feed": { recover: true, offset: 1, epoch } } },
      });
      const feed = back.connect?.subs?.["quiet:feed"];
      assert.deepEqual([feed?.recovered, feed?.publications?.map(({ data }) => data)], [true, [2]]);

      await hub.subscribe("alice", "public:x", { info: { role: "guest" }, data: [1] });
      await hub.subscribe("alice", "public:x");
      await settle();
      const line = b.take().find(({ push }) => push?.subscribe !== undefined);
      assert.equal(line?.push?.channel, "public:x");
      assert.deepEqual([line?.push?.subscribe?.recoverable, line?.push?.subscribe?.data], [true, [1]]);
      assert.deepEqual((await hub.presence("public:x"))[0], {
        client: b.session.client,
        user: "alice",
        connInfo: undefined,
        chanInfo: { role: "guest" },
      });

      await hub.publish("quiet:y", 1);
      const { epoch: other } = await hub.publish("quiet:y", 2);
      await hub.subscribe("alice", "quiet:y", { since: { offset: 1, epoch: other } });
      await settle();
      const lines: Line[] = b.take().filter(({ push }) => push?.channel === "quiet:y");
      assert.deepEqual([lines[0]?.push?.subscribe?.offset, pubsOf(lines).map(({ data }) => data)], [1, [2]]);

      await hub.unsubscribe("alice", "public:x");
      await settle();
      assert.deepEqual(b.take().at(-1)?.push?.unsubscribe, { code: 2000, reason: "server unsubscribe" });
      await assert.rejects(hub.subscribe("alice", "nope:x"), { code: 102 });
      await hub.send("alice", { note: 1 });
      await settle();
      assert.deepEqual(b.take(), [{ push: { message: { data: { note: 1 } } } }]);
    },
  ));

test("a subscription by the server that loses its place ends the connection, so that the client recovers it", () =>
  withHub({ authenticate: () => ({ user: "u", subs: new Map([["quiet:x", {}]]) }) }, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    await hub.publish("quiet:x", 1);
    const broker = new MemoryBroker();
    await broker.start({
      publication: () => undefined,
      join: () => {},
      leave: () => {},
      control: () => {},
      interrupted: () => {},
    });
    // what a broker would do whose stream was lost
    const lost = Reflect.get(hub, "channelsHere") as {
      publication(channel: string, publication: object, epoch: string): void;
    };
    lost.publication("quiet:x", { offset: 1, data: "1" }, "another epoch");
    assert.equal(a.closedWith?.code, 3010);
    await broker.stop();
  }));

test("a channel of the server's that there is not refuses the connection, and leaves nothing behind", () =>
  withHub(
    {
      authenticate: ({ data }) => ({
        user: "u",
        subs: new Map(
          data === "ok"
            ? []
            : [
                ["public:x", {}],
                ["nope:x", {}],
              ],
        ),
      }),
    },
    async ({ hub }) => {
      const a = new TestClient(hub);
      assert.equal(await a.refused({ connect: {} }), 102);
      assert.deepEqual(
        [hub.metrics.channels, hub.metrics.subscriptions, (await hub.presence("public:x")).length],
        [0, 0, 0],
      );
      await a.connect({ data: "ok" });
    },
  ));

test("data of the server's that is no JSON refuses the connection, and leaves nothing behind", () =>
  withHub(
    {
      authenticate: () => ({
        user: "u",
        subs: new Map([
          ["public:x", {}],
          ["quiet:x", { data: 1n }],
        ]),
      }),
    },
    async ({ hub, errors }) => {
      assert.equal(await new TestClient(hub).refused({ connect: {} }), 100);
      assert.equal(errors.length, 1);
      const { channels, subscriptions, sessions } = hub.metrics;
      assert.deepEqual([channels, subscriptions, sessions, await hub.presence("public:x")], [0, 0, 0, []]);
    },
  ));

test("a hub that can't reach its stores does not start, and can be started later", async () => {
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

test("the application hears of who comes and goes, and its errors stay its own", async () => {
  const heard: string[] = [];
  await withHub(
    {
      onConnect: ({ client }) => heard.push(`+${client}`),
      onDisconnect: ({ client }, { code }: CodeAndReason) => {
        heard.push(`-${client} ${code}`);
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
      assert.deepEqual(heard, [`+${x}`, `-${x} 3000`, `+${y}`, `-${y} 4000`]);
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

test("presence is renewed while a client is there, and a dead node's clients vanish", async () => {
  const clock = new VirtualClock();
  const engine = new MemoryEngine({ clock });
  const presence = new MemoryPresenceStore({ clock, ttl: 60_000 });
  const make = (name: string): Hub =>
    new Hub({
      namespaces: NAMESPACES,
      anonymous: true,
      ping: false,
      clock,
      broker: new MemoryBroker(engine),
      presence,
      name,
    });
  const dying = make("dying");
  const living = make("living");
  await Promise.all([dying.start(), living.start()]);
  await (await new TestClient(dying).connect()).subscribe("public:x");
  const client = await new TestClient(living).connect();
  await client.subscribe("public:x");
  for (let i = 0; i < 10; i++) await clock.advance(30_000);
  assert.equal((await living.presence("public:x")).length, 2);
  await living.close();
  // nobody renews for it any more
  clearTimersOf(dying);
  await clock.advance(90_000);
  assert.equal((await dying.presence("public:x")).length, 0);
  await dying.close();
  assert.equal(clock.pending, 0);

  function clearTimersOf(hub: Hub): void {
    for (const stop of Reflect.get(hub, "timers") as Set<() => void>) stop();
  }
});

test("nodes act together: publications, joins, presence, and what is done to users", async () => {
  const clock = new VirtualClock();
  const engine = new MemoryEngine({ clock });
  const presence = new MemoryPresenceStore({ clock });
  const make = (): Hub =>
    new Hub({
      namespaces: NAMESPACES,
      authenticate: ({ data }) => ({ user: String(data) }),
      ping: false,
      clock,
      broker: new MemoryBroker(engine),
      presence,
    });
  const one = make();
  const two = make();
  await Promise.all([one.start(), two.start()]);
  const a = await new TestClient(one).connect({ data: "alice" });
  const b = await new TestClient(two).connect({ data: "bob" });
  await a.subscribe("public:x");
  await b.subscribe("public:x");
  await settle();
  assert.deepEqual(
    a.take().map(({ push }) => push?.join?.info.user),
    ["bob"],
  );
  const report = await one.publish("public:x", 1);
  assert.equal(report.delivered, 2);
  assert.deepEqual(
    pubsOf(b.take()).map(({ data }) => data),
    [1],
  );
  assert.deepEqual(await two.presenceStats("public:x"), { clients: 2, users: 2 });
  await one.subscribe("bob", "x");
  await one.send("bob", "hello");
  await one.unsubscribe("bob", "public:x");
  await one.refresh("bob", Math.floor(clock.unix() / 1000) + 60);
  await settle();
  assert.deepEqual(
    b.take().flatMap(({ push }) => Object.keys(push ?? {}).filter((key) => key !== "channel")),
    ["subscribe", "message", "unsubscribe", "refresh"],
  );
  await one.disconnect("bob");
  await settle();
  assert.equal(b.closedWith?.code, 3503);
  two.operations.receive("not JSON");
  two.operations.receive('{"type":"of a later version"}');
  two.operations.receive('{"type":"disconnect","user":1}');
  await Promise.all([one.close(), two.close()]);
  assert.equal(clock.pending, 0);
});

test("closing: everybody is sent elsewhere, spread over a window, and nobody is let in", async () => {
  const clock = new VirtualClock();
  const hub = new Hub({ namespaces: NAMESPACES, anonymous: true, clock });
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

test("thousands of connections come and go: the hub is as before", () =>
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

test("options are checked when the hub is made", () => {
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
