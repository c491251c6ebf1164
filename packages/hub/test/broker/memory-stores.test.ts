import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MemoryBudget } from "tungstate";
import { type BrokerHandler, type Publication, QuotaExceededError } from "../../src/broker/broker.ts";
import { MemoryBroker } from "../../src/broker/memory-broker.ts";
import { MemoryEngine } from "../../src/broker/memory-engine.ts";
import { PublicationRing } from "../../src/broker/publication-ring.ts";
import { decode } from "../../src/protocol/decode.ts";
import { MemoryPresenceStore } from "../../src/presence/memory-presence-store.ts";
import { testBrokerContract } from "../contract/broker-contract.ts";
import { testPresenceContract } from "../contract/presence-contract.ts";
import { memoryInUse } from "../../../../scripts/testing/memory.mjs";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

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

test("the ring buffer equals an array", () => {
  const step = fc.record({ size: fc.integer({ min: 1, max: 20 }), clear: fc.integer({ min: 0, max: 30 }) });
  const query = fc.record({
    offset: fc.integer({ min: -1, max: 120 }),
    limit: fc.integer({ min: -1, max: 25 }),
    maxBytes: fc.integer({ min: 0, max: 2000 }),
  });
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
        ring.add(publication, publication.data.length, size);
        model.push(publication);
        model = model.slice(-size);
      }
      assert.equal(ring.length, model.length);
      assert.equal(
        ring.size,
        model.reduce((sum, { data }) => sum + 200 + data.length, 0),
      );
      for (const { offset, limit, maxBytes } of queries) {
        const cut = (all: Publication[]): Publication[] => {
          const wanted = limit < 0 ? all : all.slice(0, limit);
          let bytes = 0;
          return wanted.filter(({ data }, index) => (bytes += data.length + 64) <= maxBytes || index === 0);
        };
        const slice = { limit, maxBytes };
        assert.deepEqual(ring.after(offset, slice, top), cut(model.filter((each) => each.offset > offset)));
        assert.deepEqual(ring.before(offset, slice, top), cut(model.filter((each) => each.offset < offset).reverse()));
      }
    }),
  );
});

test("the engine removes expired entries, names without a publication first", async () => {
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
  assert.equal(engine.streamCount, 2, "one has publications, the other a subscriber with a position");
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

const KEEP = { historySize: 100, historyTtl: 60_000, metaTtl: 60_000 };
const NOBODY: BrokerHandler = {
  publication: () => undefined,
  join: () => {},
  leave: () => {},
  control: () => {},
  interrupted: () => {},
};

test("channels that were idle longest lose their publications above the memory limit, and report it", async () => {
  const clock = new VirtualClock();
  const engine = new MemoryEngine({ clock, historyBytes: 100_000 });
  const broker = new MemoryBroker(engine);
  const data = JSON.stringify("x".repeat(798)); // 1,000 bytes including the overhead of an entry
  const publish = (channel: string): unknown => broker.publish(channel, { data }, KEEP);
  const countOf = async (channel: string): Promise<number> =>
    (await broker.history(channel, { limit: -1 }, 60_000)).publications.length;
  for (let number = 0; number < 30; number++) for (const channel of ["first", "second", "third"]) void publish(channel);
  const records = engine.historyBytes - 90_000;
  assert.ok(records > 0 && records < 3000, `${records} bytes for the positions`);
  void publish("first"); // so it is the newest
  for (let number = 0; number < 5; number++) void publish("new");
  assert.ok(engine.historyBytes < 100_000);
  for (let number = 0; number < 5; number++) void publish("new"); // too much
  assert.deepEqual(await Promise.all(["first", "second", "third", "new"].map(countOf)), [31, 0, 30, 10]);
  const { offset, publications } = await broker.history("second", { since: { offset: 5, epoch: "" }, limit: -1 }, 1);
  // its position is known, so that a gap is detected
  assert.deepEqual([offset, publications], [30, []]);
  const before = engine.historyBytes;
  engine.removeHistory("first");
  assert.equal(engine.historyBytes, before - 31_000);
  await clock.advance(200_000);
  assert.deepEqual(await Promise.all(["third", "new"].map(countOf)), [0, 0]);
  assert.ok(engine.historyBytes < 4000);
  assert.throws(() => new MemoryEngine({ historyBytes: -1 }), RangeError);
});

test("names used once take bounded memory: the positions used longest ago are evicted", async () => {
  const engine = new MemoryEngine({ clock: new VirtualClock(), historyBytes: 100_000 });
  const broker = new MemoryBroker(engine);
  await broker.start(NOBODY);
  await broker.subscribe("with a subscriber");
  const { epoch } = await broker.history("with a subscriber", { limit: 0 }, 60_000);
  for (let number = 0; number < 5000; number++) {
    await broker.publish(`once ${number}`, { data: "1" }, KEEP);
    await broker.history(`asked ${number}`, { limit: 0 }, 60_000);
    assert.ok(engine.historyBytes <= 100_000);
  }
  assert.ok(engine.streamCount > 50 && engine.streamCount < 200, `${engine.streamCount} are left`);
  const page = await broker.history("once 4999", { limit: -1 }, 60_000);
  assert.equal(page.publications.length, 1, "the newest has its publication");
  assert.equal((await broker.history("with a subscriber", { limit: 0 }, 60_000)).epoch, epoch, "others have theirs");
  await broker.stop();
});

test("a namespace keeps at most its limit of channels without subscribers, and does not affect another one", async () => {
  const engine = new MemoryEngine({ clock: new VirtualClock() });
  const broker = new MemoryBroker(engine);
  await broker.start(NOBODY);
  const few = { ...KEEP, maxChannels: 3 };
  await broker.publish("other:x", { data: "1" }, few);
  await broker.subscribe("few:in use");
  for (const name of ["in use", "a", "b", "c"]) await broker.publish(`few:${name}`, { data: "1" }, few);
  assert.equal(engine.streamCount, 5);
  await broker.history("few:a", { limit: 0, maxChannels: 3 }, 60_000); // so it is the newest
  await broker.publish("few:d", { data: "1" }, few);
  const isKept = async (name: string): Promise<boolean> => {
    const known = engine.streamCount;
    const { offset } = await broker.history(name, { limit: 0 }, 60_000);
    assert.equal(engine.streamCount, known, "asking for one that is there makes none");
    return offset === 1;
  };
  assert.equal(engine.streamCount, 5);
  for (const name of ["few:in use", "few:c", "few:a", "few:d", "other:x"]) assert.ok(await isKept(name), name);
  await broker.unsubscribe("few:in use"); // one more without a subscriber
  assert.equal(engine.streamCount, 4);
  await broker.stop();
});

test("idempotency keys count, and are rejected above the limit until some have expired", async () => {
  const clock = new VirtualClock();
  const engine = new MemoryEngine({ clock, historyBytes: 80_000 });
  const broker = new MemoryBroker(engine);
  await broker.start(NOBODY);
  const publish = (number: number, idempotencyTtl: number): Promise<unknown> =>
    broker.publish("x", { data: "1" }, { ...KEEP, historySize: 0, idempotencyKey: `key ${number}`, idempotencyTtl });
  let accepted = 0;
  try {
    for (; accepted < 1000; accepted++) await publish(accepted, accepted === 0 ? 600_000 : 5_000);
  } catch (error) {
    assert.ok(error instanceof QuotaExceededError);
  }
  assert.ok(accepted > 20 && accepted < 60, `${accepted} accepted`);
  assert.ok(engine.historyBytes <= 10_000);
  // a sweep; the first key, which does not expire, must not keep the others
  await clock.advance(20_000);
  assert.ok(engine.historyBytes < 300);
  await publish(1, 5_000);
  await broker.stop();
});

test("history is charged to the memory budget while a hub is served, and gives way to connections", async () => {
  const memoryBudget = new MemoryBudget(40_000);
  const engine = new MemoryEngine({ clock: new VirtualClock(), memoryBudget });
  const broker = new MemoryBroker(engine);
  await broker.start(NOBODY);
  const data = JSON.stringify("x".repeat(798));
  for (let number = 0; number < 20; number++) await broker.publish(`x${number}`, { data }, KEEP);
  assert.deepEqual(memoryBudget.use.parts, { "hub history": engine.historyBytes });
  for (let number = 0; number < 100; number++) await broker.publish(`y${number}`, { data }, KEEP);
  assert.ok(engine.historyBytes <= 30_000 && !memoryBudget.underPressure, "it makes nothing short");
  await broker.stop();
  assert.equal(memoryBudget.use.held, 0);
});

for (const [what, text] of [
  ["ASCII", "x"],
  ["Latin-1", "é"],
  ["Cyrillic", "ж"],
  ["a surrogate pair", "😀"],
] as const) {
  test(`a publication keeps its own text and not its frame, counted in bytes: ${what}`, async () => {
    const engine = new MemoryEngine({ clock: new VirtualClock(), historyBytes: Infinity });
    const broker = new MemoryBroker(engine);
    const publish = async (to: MemoryBroker, count: number): Promise<void> => {
      for (let number = 0; number < count; number++) {
        const line = `{"id":${number + 1},"publish":{"channel":"x","data":"${text.repeat(20)}"}}`;
        const frame = Buffer.from(line + " ".repeat(60_000)).toString();
        const command = decode(frame, { channelLength: 255, depth: 64 });
        assert.ok(command.method === "publish");
        await to.publish("x", { data: command.data }, { ...KEEP, historySize: 1000 });
      }
    };
    // what V8 compiles for this is not measured
    await publish(new MemoryBroker(new MemoryEngine({ clock: new VirtualClock() })), 200);
    const before = await memoryInUse();
    const empty = engine.historyBytes;
    await publish(broker, 200);
    const used = (await memoryInUse()) - before;
    const counted = engine.historyBytes - empty;
    assert.ok(used < counted + 200_000, `${used} bytes used, ${counted} counted`);
    const page = await broker.history("x", { limit: 1 }, 60_000);
    assert.equal(page.publications[0]?.data, JSON.stringify(text.repeat(20)));
  });
}
