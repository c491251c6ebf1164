import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBroker } from "../../src/broker/memory-broker.ts";
import { MemoryEngine } from "../../src/broker/memory-engine.ts";
import type { Credentials } from "../../src/settings/credentials.ts";
import { Hub } from "../../src/hub/hub.ts";
import { MemoryPresenceStore } from "../../src/presence/memory-presence-store.ts";
import type { PresenceStore } from "../../src/presence/presence-store.ts";
import { FaultyBroker } from "../support/faulty-broker.ts";
import { NAMESPACES, withHub } from "../support/hubs.ts";
import { type Line, pubsOf, TestClient } from "../support/test-client.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

test("users are disconnected: all, one client, all except some, with a code of the application", () =>
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

test("server-side subscriptions: live, at connect with recovery, and their end", () =>
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

test("a server-side subscription that loses its position ends the connection, so that the client recovers it", async () => {
  const broker = new FaultyBroker();
  const authenticate = (): Credentials => ({ user: "u", subs: new Map([["quiet:x", {}]]) });
  await withHub({ broker, authenticate }, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    await hub.publish("quiet:x", 1);
    broker.handler?.publication("quiet:x", { offset: 1, data: "1" }, "another epoch");
    assert.deepEqual(a.closedWith, { code: 3010, reason: "insufficient state" });
  });
});

test("an unknown server-side channel rejects the connection, and leaves nothing behind", () =>
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

test("server data that is not JSON rejects the connection, and leaves nothing behind", () =>
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

test("presence is renewed while a client is connected, and a dead node's clients expire", async () => {
  const clock = new VirtualClock();
  const clockOfDying = new VirtualClock();
  const engine = new MemoryEngine({ clock });
  const presence = new MemoryPresenceStore({ clock, ttl: 60_000 });
  const make = (clock: VirtualClock): Hub =>
    new Hub({
      namespaces: NAMESPACES,
      anonymous: true,
      ping: false,
      clock,
      broker: new MemoryBroker(engine),
      presence,
    });
  const dying = make(clockOfDying);
  const living = make(clock);
  await Promise.all([dying.start(), living.start()]);
  await (await new TestClient(dying).connect()).subscribe("public:x");
  await (await new TestClient(living).connect()).subscribe("public:x");
  for (let i = 0; i < 10; i++) await Promise.all([clock.advance(30_000), clockOfDying.advance(30_000)]);
  assert.equal((await living.presence("public:x")).length, 2);
  await clock.advance(90_000); // the other node's time stands still
  assert.equal((await living.presence("public:x")).length, 1);
  await Promise.all([dying.close(), living.close()]);
  assert.deepEqual([clock.pending, clockOfDying.pending], [0, 0]);
});

test("a failed renewal of presence in one channel does not affect others", async () => {
  const clock = new VirtualClock();
  const inner = new MemoryPresenceStore({ clock, ttl: 60_000 });
  const broken = new Error("WRONGTYPE");
  const presence: PresenceStore = {
    ttl: inner.ttl,
    start: () => inner.start(),
    stop: () => inner.stop(),
    add: (...args) => inner.add(...args),
    remove: (...args) => inner.remove(...args),
    clients: (...args) => inner.clients(...args),
    stats: (...args) => inner.stats(...args),
    async renew(entries) {
      await inner.renew(entries.filter(({ channel }) => channel !== "public:broken"));
      if (entries.some(({ channel }) => channel === "public:broken")) throw broken;
    },
  };
  await withHub({ clock, presence }, async ({ hub, errors }) => {
    const clients = await Promise.all(Array.from({ length: 600 }, () => new TestClient(hub).connect()));
    for (const client of clients) await client.subscribe("public:broken");
    await clients[0]?.subscribe("public:healthy");
    await clock.advance(150_000);
    assert.equal((await hub.presence("public:healthy")).length, 1);
    assert.ok(errors.length > 0 && errors.every((error) => error === broken));
  });
});

test("nodes act together: publications, joins, presence, and operations on users", async () => {
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
