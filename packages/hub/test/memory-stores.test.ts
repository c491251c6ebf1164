import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Publication } from "../src/broker/broker.ts";
import { MemoryBroker } from "../src/broker/memory-broker.ts";
import { MemoryEngine } from "../src/broker/memory-engine.ts";
import { PublicationRing } from "../src/broker/publication-ring.ts";
import { MemoryPresenceStore } from "../src/presence/memory-presence-store.ts";
import { testBrokerContract } from "./contract/broker-contract.ts";
import { testPresenceContract } from "./contract/presence-contract.ts";
import { settle, VirtualClock } from "./support/virtual-clock.ts";

testBrokerContract({
  name: "MemoryBroker",
  tick: 1000,
  setUp: async (count) => {
    const clock = new VirtualClock();
    const engine = new MemoryEngine({ clock });
    const brokers = Array.from({ length: count }, () => new MemoryBroker(engine));
    return {
      brokers,
      elapse: (ms) => clock.advance(ms),
      settle,
      close: async () => assert.equal(clock.pending, 0, "no timer is left behind"),
    };
  },
});

testPresenceContract({
  name: "MemoryPresenceStore",
  setUp: async () => {
    const clock = new VirtualClock();
    const store = new MemoryPresenceStore({ clock });
    return { stores: [store, store], elapse: (ms) => clock.advance(ms), close: async () => undefined };
  },
});

test("the ring is what an array would be", () => {
  const step = fc.record({ size: fc.integer({ min: 1, max: 20 }), clear: fc.integer({ min: 0, max: 30 }) });
  const query = fc.record({ offset: fc.integer({ min: -1, max: 120 }), limit: fc.integer({ min: -1, max: 25 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), fc.array(query, { maxLength: 20 }), (steps, queries) => {
      const ring = new PublicationRing();
      let model: Publication[] = [];
      let top = 0;
      for (const { size, clear } of steps) {
        if (clear === 0) {
          ring.clear();
          model = [];
        }
        const publication = { offset: ++top, data: `${top}` };
        ring.add(publication, size);
        model.push(publication);
        model = model.slice(-size);
      }
      assert.equal(ring.length, model.length);
      assert.equal(
        ring.size,
        model.reduce((sum, { data }) => sum + 200 + data.length, 0),
      );
      for (const { offset, limit } of queries) {
        const cut = (all: Publication[]): Publication[] => (limit < 0 ? all : all.slice(0, limit));
        assert.deepEqual(ring.after(offset, limit, top), cut(model.filter((each) => each.offset > offset)));
        assert.deepEqual(ring.before(offset, limit, top), cut(model.filter((each) => each.offset < offset).reverse()));
      }
    }),
  );
});

test("the engine forgets what has expired, and names that never had a publication soonest", async () => {
  const clock = new VirtualClock();
  const engine = new MemoryEngine({ clock });
  const broker = new MemoryBroker(engine);
  await broker.start({
    publication: () => undefined,
    join: () => {},
    leave: () => {},
    control: () => {},
    interrupted: () => {},
  });
  const day = 24 * 3600_000;
  for (let i = 0; i < 100; i++) await broker.history(`made up ${i}`, { limit: 0 }, 30 * day);
  await broker.publish("real", { data: "1" }, { historySize: 1, historyTtl: 60_000, metaTtl: 30 * day });
  await broker.subscribe("made up 7");
  assert.equal(engine.streamCount, 101);
  await clock.advance(2 * 3600_000);
  assert.equal(engine.streamCount, 2, "one has publications, somebody stands in the other");
  await broker.stop();
  assert.equal(clock.pending, 0);
});

test("a broker serves one hub", async () => {
  const broker = new MemoryBroker();
  const handler = {
    publication: () => undefined,
    join: () => {},
    leave: () => {},
    control: () => {},
    interrupted: () => {},
  };
  await assert.rejects(broker.subscribe("a"), /not been started/);
  await broker.start(handler);
  await assert.rejects(broker.start(handler), /already/);
  await broker.stop();
});

test("channels that were quiet longest lose their publications when all together keep too much, and say so", async () => {
  const clock = new VirtualClock();
  const engine = new MemoryEngine({ clock, historyBytes: 100_000 });
  const broker = new MemoryBroker(engine);
  const keep = { historySize: 100, historyTtl: 60_000, metaTtl: 60_000 };
  const data = JSON.stringify("x".repeat(798)); // 1,000 bytes with what is counted for one besides
  const publish = (channel: string): unknown => broker.publish(channel, { data }, keep);
  const countOf = async (channel: string): Promise<number> =>
    (await broker.history(channel, { limit: -1 }, 60_000)).publications.length;
  for (let number = 0; number < 30; number++) for (const channel of ["first", "second", "third"]) void publish(channel);
  assert.equal(engine.historyBytes, 90_000);
  void publish("first"); // which makes it the last one
  for (let number = 0; number < 9; number++) void publish("new");
  assert.equal(engine.historyBytes, 100_000);
  void publish("new"); // too much: down to 7/8
  assert.deepEqual(await Promise.all(["first", "second", "third", "new"].map(countOf)), [31, 0, 30, 10]);
  assert.equal(engine.historyBytes, 71_000);
  const { offset, publications } = await broker.history("second", { since: { offset: 5, epoch: "" }, limit: -1 }, 1);
  assert.deepEqual([offset, publications], [30, []]); // its place is known, so that a gap is seen
  engine.removeHistory("first");
  assert.equal(engine.historyBytes, 40_000);
  await clock.advance(200_000);
  assert.deepEqual(await Promise.all(["third", "new"].map(countOf)), [0, 0]);
  assert.equal(engine.historyBytes, 0);
  assert.throws(() => new MemoryEngine({ historyBytes: -1 }), RangeError);
});
