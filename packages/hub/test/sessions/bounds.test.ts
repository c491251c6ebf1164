import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBudget } from "tungstate";
import { CommandError } from "../../src/codes.ts";
import { MemoryBroker } from "../../src/broker/memory-broker.ts";
import { MemoryEngine } from "../../src/broker/memory-engine.ts";
import { MemoryPresenceStore } from "../../src/presence/memory-presence-store.ts";
import type { PresenceFilter, PresencePage } from "../../src/presence/presence-store.ts";
import { Hub } from "../../src/hub/hub.ts";
import { NAMESPACES, withHub } from "../support/hubs.ts";
import { TestClient } from "../support/test-client.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

class CountingStore extends MemoryPresenceStore {
  reads = 0;
  override clients(channel: string, filter?: PresenceFilter): Promise<PresencePage> {
    this.reads++;
    return super.clients(channel, filter);
  }
}

const info = (bytes: number): string => "x".repeat(bytes - 2); // with its quotes

const frame = (count: number, make: (id: number) => object): object[] =>
  Array.from({ length: count }, (_, index) => ({ id: 100 + index, ...make(index) }));

for (const [what, limits, code] of [
  ["a reply", {}, undefined],
  ["an error, where a channel is too large", { queueBytes: 10_000 }, 106],
] as const) {
  test(`presence commands that wait together share one read of the store, and each gets ${what}`, () => {
    const presence = new CountingStore();
    const authenticate = (): object => ({ user: "bob", info: info(3_000) });
    return withHub({ presence, limits, authenticate } as never, async ({ hub, clock }) => {
      const clients = [];
      for (let count = 0; count < 5; count++) clients.push(await new TestClient(hub).connect());
      for (const client of clients) await client.subscribe("public:x");
      const [asking, other] = clients;
      assert.ok(asking !== undefined && other !== undefined);
      await asking.subscribe("public:y");
      asking.take();
      asking.send(...frame(60, (index) => ({ presence: { channel: index === 30 ? "public:y" : "public:x" } })));
      await clock.advance(10_000);
      const replies = asking.take().filter(({ id }) => id !== undefined);
      assert.deepEqual(
        replies.map(({ id }) => id),
        Array.from({ length: 60 }, (_, index) => 100 + index),
      );
      for (const [index, { presence: result, error }] of replies.entries()) {
        if (index !== 30)
          assert.deepEqual(
            [error?.code, Object.keys(result?.presence ?? {}).length],
            [code, code === undefined ? 5 : 0],
          );
      }
      assert.ok(presence.reads <= 8, `${presence.reads} reads`);
      // what is asked for later is read anew
      other.lose();
      await settle();
      const later = await asking.ask({ presence: { channel: "public:x" } });
      if (code === undefined) assert.equal(Object.keys(later.presence?.presence ?? {}).length, 4);
    });
  });
}

test("equal history commands that wait together share one read of the store; what is published meanwhile is in later ones", () => {
  class CountingBroker extends MemoryBroker {
    reads = 0;
    override history(...args: Parameters<MemoryBroker["history"]>): ReturnType<MemoryBroker["history"]> {
      this.reads++;
      return super.history(...args);
    }
  }
  const broker = new CountingBroker(new MemoryEngine());
  return withHub({ broker }, async ({ hub, clock }) => {
    const client = await new TestClient(hub).connect();
    await client.subscribe("quiet:x");
    for (let number = 1; number <= 5; number++) await hub.publish("quiet:x", number);
    client.take();
    const before = broker.reads;
    const options = (index: number): object =>
      index === 30 ? { limit: 2 } : index === 31 ? { limit: 2, reverse: true } : {};
    client.send(
      ...frame(60, (index) =>
        index === 40
          ? { publish: { channel: "quiet:x", data: 6 } }
          : { history: { channel: "quiet:x", limit: 100, ...options(index) } },
      ),
    );
    await clock.advance(10_000);
    const replies = client.take().filter(({ id }) => id !== undefined);
    const offsets = new Map(replies.map(({ id, history }) => [id, history?.publications.map(({ offset }) => offset)]));
    assert.equal(replies.length, 60);
    assert.deepEqual(offsets.get(130), [1, 2]);
    assert.equal(offsets.get(131)?.length, 2);
    assert.deepEqual(offsets.get(159), [1, 2, 3, 4, 5, 6], "it has what the client published before");
    assert.ok(broker.reads - before <= 10, `${broker.reads - before} reads`);
    await hub.publish("quiet:x", 7);
    const later = await client.ask({ history: { channel: "quiet:x", limit: 100 } });
    assert.equal(later.history?.publications.length, 7);
  });
});

test("codes and methods that are not the hub's own are one label of the metrics", () => {
  let code = 4000;
  return withHub({}, async ({ hub }) => {
    hub.rpc("fail", () => {
      throw new CommandError((code % 1000) + 400, "mine");
    });
    for (; code < 4400; code++) {
      const client = await new TestClient(hub).connect();
      await client.ask({ rpc: { method: "fail" } });
      client.session.disconnect(code);
    }
    const labels = [...hub.metrics.disconnects.entries(), ...hub.metrics.commandErrors.entries()];
    assert.deepEqual(labels, [
      ["other", 400],
      ["other", 400],
    ]);
  });
});

test("limits.infoBytes: the info of a client and of a subscription, at it and above it", () => {
  let of = { connection: 100, subscription: 100 };
  const namespaces = {
    ...NAMESPACES,
    granted: { subscribe: () => ({ info: info(of.subscription) }), presence: true },
  } as const;
  const authenticate = (): object => ({ user: "bob", info: info(of.connection) });
  return withHub({ namespaces, authenticate, limits: { infoBytes: 100 } } as never, async ({ hub }) => {
    const client = await new TestClient(hub).connect();
    await client.subscribe("granted:x");
    of = { connection: 101, subscription: 101 };
    assert.equal(await client.refused({ subscribe: { channel: "granted:y" } }), 106);
    assert.equal(await new TestClient(hub).refused({ connect: {} }), 106);
    await hub.refresh("bob", undefined, { info: info(100) });
    await assert.rejects(hub.refresh("bob", undefined, { info: info(101) }), { code: 106 });
    await hub.subscribe("bob", "public:x", { info: info(100) });
    await assert.rejects(hub.subscribe("bob", "public:y", { info: info(101) }), { code: 106 });
  });
});

test("what the hub knows of clients counts in the memory budget until they have gone", () => {
  const memoryBudget = new MemoryBudget(100_000_000);
  const counted = (): number => memoryBudget.use.parts["hub sessions"] ?? 0;
  const authenticate = (): object => ({ user: "bob", info: info(1_000) });
  return withHub({ memoryBudget, authenticate } as never, async ({ hub }) => {
    const clients = [];
    for (let count = 0; count < 10; count++) clients.push(await new TestClient(hub).connect());
    assert.ok(counted() >= 20_000 && counted() < 25_000, `${counted()}`);
    await hub.subscribe("bob", "public:x", { info: info(500) });
    assert.ok(counted() >= 25_000, `${counted()}`);
    await hub.refresh("bob", undefined, { info: info(2_000) });
    assert.ok(counted() >= 45_000, `${counted()}`);
    await hub.unsubscribe("bob", "public:x");
    assert.ok(counted() < 45_000, `${counted()}`);
    for (const client of clients) client.lose();
    assert.equal(counted(), 0);
  });
});

test("surveys: answers are bounded in bytes and counted, and so many are open at a time", async () => {
  const clock = new VirtualClock();
  const engine = new MemoryEngine({ clock });
  const memoryBudget = new MemoryBudget(100_000_000);
  const counted = (): number => memoryBudget.use.parts["hub surveys"] ?? 0;
  const make = async (): Promise<Hub> => {
    const hub = new Hub({ namespaces: NAMESPACES, broker: new MemoryBroker(engine), clock, memoryBudget });
    await hub.start();
    return hub;
  };
  const hubs = [await make(), await make()];
  await clock.advance(10);
  const [asking] = hubs;
  assert.ok(asking !== undefined);
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  for (const hub of hubs) {
    hub.onSurvey("size", ({ data }) => "x".repeat(Number(data) - 2));
    hub.onSurvey("wait", () => (hub === asking ? "x".repeat(1_000) : released));
  }
  try {
    const MiB = 1024 * 1024;
    const fits = await asking.survey("size", MiB);
    assert.deepEqual(
      fits.map((answer) => "result" in answer),
      [true, true],
    );
    for (const answer of await asking.survey("size", MiB + 1)) {
      assert.match("error" in answer ? answer.error : "", /must be at most 1048576 bytes, got 1048577/);
    }
    const open = Array.from({ length: 64 }, () => asking.survey("wait"));
    await settle();
    assert.ok(counted() >= 64_000, `${counted()}`);
    await assert.rejects(asking.survey("size", 10), { code: 106 });
    release();
    for (const answers of await Promise.all(open)) assert.equal(answers.length, 2);
    assert.equal(counted(), 0);
    assert.equal((await asking.survey("size", 10)).length, 2);
  } finally {
    for (const hub of hubs) await hub.close();
  }
});
