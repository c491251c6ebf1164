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
