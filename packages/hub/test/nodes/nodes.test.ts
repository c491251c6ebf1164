import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBroker } from "../../src/broker/memory-broker.ts";
import { MemoryEngine } from "../../src/broker/memory-engine.ts";
import { decodeControl } from "../../src/nodes/control.ts";
import { Hub } from "../../src/hub/hub.ts";
import { MemoryPresenceStore } from "../../src/presence/memory-presence-store.ts";
import { FaultyBroker } from "../support/faulty-broker.ts";
import { NAMESPACES, withHub } from "../support/hubs.ts";
import { TestClient } from "../support/test-client.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

interface Cluster {
  readonly clock: VirtualClock;
  /** Starts another node. */
  add(name: string): Promise<Hub>;
}

async function withNodes(run: (cluster: Cluster) => Promise<void>): Promise<void> {
  const clock = new VirtualClock();
  const engine = new MemoryEngine({ clock });
  const presence = new MemoryPresenceStore({ clock });
  const hubs: Hub[] = [];
  let ids = 0;
  const add = async (name: string): Promise<Hub> => {
    const hub = new Hub({
      name,
      namespaces: NAMESPACES,
      authenticate: ({ data }) => ({ user: String(data) }),
      ping: false,
      clock,
      broker: new MemoryBroker(engine),
      presence,
      newId: () => `${name}-${ids++}`,
    });
    hubs.push(hub);
    await hub.start();
    await settle();
    return hub;
  };
  try {
    await run({ clock, add });
  } finally {
    for (const hub of hubs) await hub.close();
  }
  assert.equal(clock.pending, 0, "no timer is left behind");
}

const namesOf = (hub: Hub): string[] => hub.nodes().map(({ name }) => name);

test("each node knows all others from its start until their end", () =>
  withNodes(async ({ clock, add }) => {
    const a = await add("a");
    assert.deepEqual(a.nodes(), [a.info()]);
    const b = await add("b");
    const c = await add("c");
    assert.deepEqual(
      [a, b, c].map((hub) => namesOf(hub).toSorted()),
      Array(3).fill(["a", "b", "c"]),
    );
    assert.deepEqual(
      [a, b, c].map((hub) => namesOf(hub)[0]),
      ["a", "b", "c"],
      "oneself comes first",
    );
    await b.close();
    assert.deepEqual(namesOf(a), ["a", "c"]);
    await clock.advance(60_000);
    assert.deepEqual(namesOf(a), ["a", "c"]);
  }));

test("statistics are those of the last announcement", () =>
  withNodes(async ({ clock, add }) => {
    const [a, b] = [await add("a"), await add("b")];
    const client = await new TestClient(b).connect({ data: "alice" });
    await client.subscribe("quiet:x");
    await new TestClient(b).connect({ data: "alice" });
    await clock.advance(3_000);
    const { id, ...stats } = a.nodes()[1] ?? { id: "" };
    assert.equal(id, b.info().id);
    assert.deepEqual(stats, {
      name: "b",
      version: "",
      clients: 2,
      users: 1,
      channels: 1,
      subscriptions: 1,
      uptime: 3,
    });
  }));

test("a silent node is removed after three intervals", async () => {
  const clock = new VirtualClock();
  const engine = new MemoryEngine({ clock });
  await withHub({ clock, broker: new MemoryBroker(engine) }, async ({ hub }) => {
    const silent = new MemoryBroker(engine);
    await silent.start({
      publication: () => undefined,
      join: () => {},
      leave: () => {},
      control: () => {},
      interrupted: () => {},
    });
    const node = { ...hub.info(), id: "silent", name: "silent" };
    await silent.control(JSON.stringify({ type: "node", node, asks: false }));
    assert.deepEqual(namesOf(hub), ["hub", "silent"]);
    await clock.advance(9_000);
    assert.deepEqual(namesOf(hub), ["hub", "silent"]);
    await clock.advance(1);
    assert.deepEqual(namesOf(hub), ["hub"]);
    await silent.stop();
  });
});

test("a survey asks all nodes, and reports the outcome for each", () =>
  withNodes(async ({ clock, add }) => {
    const hubs = [await add("a"), await add("b"), await add("c"), await add("d")];
    const [a, b, c, d] = hubs;
    assert.ok(a !== undefined && b !== undefined && c !== undefined && d !== undefined);
    const count = (hub: Hub) => (request: { readonly data: unknown }) => ({
      asked: request.data,
      clients: hub.info().clients,
    });
    for (const hub of [a, b]) hub.onSurvey("count", count(hub));
    assert.throws(() => a.onSurvey("count", () => 0), /a survey count is registered already/);
    c.onSurvey("count", () => {
      throw new Error("out of order");
    });
    await new TestClient(b).connect({ data: "alice" });
    const answers = await a.survey("count", { deep: [1] });
    const of = (hub: Hub) => answers.find(({ node }) => node === hub.info().id);
    assert.equal(answers.length, 4);
    assert.deepEqual(of(a), { node: a.info().id, result: { asked: { deep: [1] }, clients: 0 } });
    assert.deepEqual(of(b), { node: b.info().id, result: { asked: { deep: [1] }, clients: 1 } });
    assert.deepEqual(of(c), { node: c.info().id, error: "out of order" });
    assert.deepEqual(of(d), { node: d.info().id, error: "there is no survey count" });

    for (const hub of [a, b]) hub.onSurvey("nothing", () => undefined);
    c.onSurvey("nothing", () => new Promise(() => {}));
    d.onSurvey("nothing", () => null);
    const asked = b.survey("nothing", undefined, { timeout: 700 });
    await clock.advance(700);
    assert.deepEqual(
      (await asked).toSorted((x, y) => (x.node < y.node ? -1 : 1)),
      [
        { node: a.info().id, result: undefined },
        { node: b.info().id, result: undefined },
        { node: c.info().id, error: "no answer within 700 ms" },
        { node: d.info().id, result: null },
      ],
    );
    await assert.rejects(a.survey("count", 1, { timeout: 0 }), RangeError);
    await assert.rejects(
      a.survey("count", () => 1),
      TypeError,
    );
  }));

test("a failed survey is a temporary error", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker }, async ({ hub }) => {
    broker.control = () => Promise.reject(new Error("away"));
    await assert.rejects(hub.survey("x"), { code: 100, temporary: true });
    broker.control = () => Promise.resolve();
  });
});

test("messages of other versions are ignored", () => {
  for (const message of [
    "",
    "[]",
    '{"type":"node"}',
    '{"type":"node","node":{"id":""}}',
    '{"type":"node","node":{"id":"x","clients":-1}}',
    '{"type":"gone"}',
    '{"type":"survey","id":"x"}',
    '{"type":"answer","id":"x","to":"y"}',
    '{"type":"something else"}',
  ]) {
    assert.equal(decodeControl(message), undefined, message);
  }
});
