import assert from "node:assert/strict";
import { test } from "node:test";
import { applyDelta } from "fossil-delta";
import { FaultyBroker } from "../support/faulty-broker.ts";
import { withHub } from "../support/hubs.ts";
import { type Line, type Pub, pubsOf, TestClient } from "../support/test-client.ts";
import { settle } from "../support/virtual-clock.ts";

const HISTORY = { size: 1000, ttl: 60_000 };
const OPEN = { subscribe: "anyone", publish: "anyone" } as const;
const NAMESPACES = {
  feed: { ...OPEN, history: HISTORY },
  few: { ...OPEN, history: { size: 20, ttl: 60_000 } },
  delta: { ...OPEN, history: HISTORY, delta: true },
  people: { ...OPEN, history: HISTORY, presence: true, joinLeave: true },
} as const;
const limits = { pageBytes: 10_000 };
/** 1,000 bytes as JSON. */
const data = (number: number): string => `${number}`.padEnd(998, "x");
const numberOf = (pub: Pub): number => Number(String(pub.data).replaceAll("x", ""));
const upTo = (last: number, from = 1): number[] => Array.from({ length: last - from + 1 }, (_, i) => from + i);
const pubsIn = (lines: readonly Line[], channel: string): Pub[] =>
  pubsOf(lines.filter(({ push }) => push?.channel === channel));

test("missed publications arrive as a first page in the reply, then page by page, then live", () =>
  withHub({ namespaces: NAMESPACES, limits }, async ({ hub }) => {
    const { epoch } = await hub.publish("feed:x", data(1));
    for (let number = 2; number <= 100; number++) await hub.publish("feed:x", data(number));
    const client = await new TestClient(hub).connect();
    const before = client.frames.length;
    client.send({ id: 9, subscribe: { channel: "feed:x", recover: true, offset: 0, epoch } });
    await settle();
    await hub.publish("feed:x", data(101));
    const sizes = client.frames.slice(before).map((frame) => Buffer.byteLength(frame));
    assert.ok(Math.max(...sizes) < 64 * 1024 + 15_000, `frames of ${sizes.join(", ")} bytes`);
    const lines = client.take();
    const answer = lines[0]?.subscribe;
    assert.deepEqual([answer?.recovered, answer?.was_recovering, answer?.offset], [true, true, undefined]);
    assert.deepEqual(answer?.publications?.map(numberOf), upTo(9), "a page, and no more");
    assert.deepEqual(pubsOf(lines).map(numberOf), upTo(101, 10));
    assert.deepEqual([hub.metrics.recovered, hub.metrics.recoveredPublications, hub.metrics.caughtUp], [1, 100, 1]);
  }));

test("history is read as slowly as the client reads, which receives other channels meanwhile", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker, namespaces: NAMESPACES, limits: { pageBytes: 80_000 } }, async ({ hub }) => {
    const { epoch } = await hub.publish("feed:x", data(1));
    for (let number = 2; number <= 800; number++) await hub.publish("feed:x", data(number));
    const slow = await new TestClient(hub).connect();
    await slow.subscribe("feed:live");
    let reads = 0;
    broker.onHistory = async () => void reads++;
    slow.drain(1);
    slow.send({ id: 9, subscribe: { channel: "feed:x", recover: true, offset: 0, epoch } });
    await settle();
    const got: number[] = [];
    const live: number[] = [];
    for (let step = 1; got.length < 850; step++) {
      if (step <= 50) await hub.publish("feed:x", data(800 + step));
      await hub.publish("feed:live", step);
      const readsBefore = reads;
      slow.drain(2);
      await settle();
      assert.ok(reads - readsBefore <= 2, "no more is read than it takes");
      assert.ok(hub.metrics.queueBytes < 5_000, `${hub.metrics.queueBytes} bytes wait`);
      const lines = slow.take();
      live.push(...pubsIn(lines, "feed:live").map(({ data: each }) => Number(each)));
      for (const { subscribe } of lines) got.push(...(subscribe?.publications ?? []).map(numberOf));
      got.push(...pubsIn(lines, "feed:x").map(numberOf));
      assert.ok(step - live.length <= 2, "what is live waits for a page at most");
      assert.ok(step < 200);
    }
    assert.deepEqual(got, upTo(850));
    assert.equal(slow.closedWith, undefined);
    slow.drain();
    await settle();
    await hub.publish("feed:x", data(851));
    assert.deepEqual(pubsIn(slow.take(), "feed:x").map(numberOf), [851]);
  });
});

test("a client that is disconnected repeatedly receives everything, page by page", () =>
  withHub({ namespaces: NAMESPACES, limits: { ...limits, queueBytes: 20_000 } }, async ({ hub }) => {
    const channels = ["feed:x", "feed:y"];
    const places = new Map<string, { epoch: string; offset: number }>();
    for (const channel of channels) {
      for (let number = 1; number <= 300; number++) {
        const { epoch } = await hub.publish(channel, data(number));
        places.set(channel, { epoch, offset: 0 });
      }
    }
    const isDone = (): boolean => channels.every((channel) => places.get(channel)?.offset === 300);
    let connections = 0;
    for (; !isDone() && connections < 100; connections++) {
      const client = await new TestClient(hub).connect();
      client.drain(4); // after that it has expired
      const commands = channels.map((channel, id) => ({
        id: id + 2,
        subscribe: { channel, recover: true, ...places.get(channel) },
      }));
      client.send(...commands);
      await settle();
      client.lose();
      for (const { id, subscribe, push } of client.take()) {
        const channel = id === undefined ? (push?.channel ?? "") : (channels[id - 2] ?? "");
        const place = places.get(channel);
        if (subscribe !== undefined) assert.equal(subscribe.recovered, true);
        for (const pub of subscribe?.publications ?? (push?.pub === undefined ? [] : [push.pub])) {
          assert.equal(pub.offset, (place?.offset ?? 0) + 1);
          if (place !== undefined) place.offset++;
        }
      }
    }
    assert.ok(isDone(), `after ${connections} connections at ${JSON.stringify([...places.values()])}`);
  }));

test("when history no longer reaches a client's position, it is told to subscribe again, with the loss", () =>
  withHub({ namespaces: NAMESPACES, limits: { pageBytes: 70_000 } }, async ({ hub }) => {
    const { epoch } = await hub.publish("few:x", "first");
    for (let number = 2; number <= 20; number++) await hub.publish("few:x", "x".repeat(8_000));
    const slow = await new TestClient(hub).connect();
    slow.drain(1);
    slow.send({ id: 9, subscribe: { channel: "few:x", recover: true, offset: 0, epoch } });
    await settle();
    for (let number = 21; number <= 60; number++) await hub.publish("few:x", number);
    slow.drain();
    await settle();
    const lines = slow.take();
    const recovered = lines.flatMap(({ subscribe }) => subscribe?.publications ?? []);
    assert.ok(recovered.length > 1 && recovered.length < 20);
    assert.deepEqual(lines.at(-1), {
      push: { channel: "few:x", unsubscribe: { code: 2500, reason: "insufficient state" } },
    });
    await hub.publish("few:x", "next");
    assert.deepEqual(slow.take(), []);
    const offset = recovered.at(-1)?.offset;
    const back = await slow.subscribe("few:x", { recover: true, offset, epoch });
    assert.deepEqual([back.was_recovering, back.recovered, back.offset], [true, undefined, 61]);
  }));

test("deltas restart after the last page", () =>
  withHub({ namespaces: NAMESPACES, limits }, async ({ hub }) => {
    const text = (number: number): string => `${"the same words again and again, ".repeat(30)} ${number}`;
    const { epoch } = await hub.publish("delta:x", text(1));
    for (let number = 2; number <= 50; number++) await hub.publish("delta:x", text(number));
    const client = await new TestClient(hub).connect();
    client.send({ id: 9, subscribe: { channel: "delta:x", recover: true, offset: 0, epoch, delta: "fossil" } });
    await settle();
    for (let number = 51; number <= 53; number++) await hub.publish("delta:x", text(number));
    const lines = client.take();
    const pubs = [...(lines[0]?.subscribe?.publications ?? []), ...pubsOf(lines)];
    let last = Buffer.alloc(0);
    const got = pubs.map(({ data: each, delta }) => {
      const bytes = Buffer.from(String(each));
      last = delta === true ? Buffer.from(applyDelta(last, bytes)) : bytes;
      return JSON.parse(last.toString()) as string;
    });
    assert.deepEqual(got, upTo(53).map(text));
    assert.deepEqual(
      pubs.slice(-3).map(({ delta }) => delta === true),
      [false, true, true],
    );
  }));

test("a client that is catching up receives joins, leaves and unrecoverable publications; it is present", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker, namespaces: NAMESPACES, limits: { pageBytes: 80_000 } }, async ({ hub, clock }) => {
    const { epoch } = await hub.publish("people:x", data(1));
    for (let number = 2; number <= 200; number++) await hub.publish("people:x", data(number));
    const slow = await new TestClient(hub).connect();
    slow.drain(1);
    slow.send({ id: 9, subscribe: { channel: "people:x", recover: true, offset: 0, epoch } });
    await settle();
    const other = await new TestClient(hub).connect();
    await other.subscribe("people:x");
    await hub.publish("people:x", "not kept", { skipHistory: true });
    await clock.advance(70_000); // entries must be renewed, or they expire
    assert.equal((await hub.presence("people:x")).length, 2);
    slow.drain();
    await settle();
    const lines = slow.take();
    const kinds = lines.map(({ push }) => push?.join?.info.client ?? push?.pub?.offset ?? push?.pub?.data);
    assert.ok(kinds.includes(other.session.client) && kinds.includes("not kept"));
    const pubs = [...(lines[0]?.subscribe?.publications ?? []), ...pubsOf(lines)].filter(
      ({ offset }) => offset !== undefined,
    );
    assert.deepEqual(pubs.map(numberOf), upTo(200));
  });
});

test("nothing follows an unsubscribe, and a failing store makes the client reconnect", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker, namespaces: NAMESPACES, limits: { pageBytes: 80_000 } }, async ({ hub, errors }) => {
    const { epoch } = await hub.publish("feed:x", data(1));
    for (let number = 2; number <= 300; number++) await hub.publish("feed:x", data(number));
    const recover = { channel: "feed:x", recover: true, offset: 0, epoch };
    const [leaving, failing] = [await new TestClient(hub).connect(), await new TestClient(hub).connect()];
    for (const client of [leaving, failing]) {
      client.drain(1);
      client.send({ id: 9, subscribe: recover });
    }
    await settle();
    leaving.send({ id: 10, unsubscribe: { channel: "feed:x" } });
    await settle();
    leaving.drain();
    await settle();
    assert.deepEqual(
      leaving.take().map(({ id }) => id),
      [9, 10],
    );
    broker.onHistory = () => Promise.reject(new Error("away"));
    failing.drain();
    await settle();
    assert.deepEqual(
      failing.take().map(({ id, push }) => id ?? push?.unsubscribe?.code),
      [9, 2500],
    );
    assert.equal(errors.length, 1);
    assert.deepEqual([hub.metrics.subscriptions, hub.metrics.channels], [0, 0]);
  });
});

test("server-side subscriptions share one page in the connect reply", () => {
  const channels = upTo(20).map((number) => `feed:${number}`);
  const subs = new Map(channels.map((channel) => [channel, {}]));
  return withHub({ namespaces: NAMESPACES, limits, authenticate: () => ({ user: "u", subs }) }, async ({ hub }) => {
    for (const channel of channels)
      for (let number = 1; number <= 5; number++) await hub.publish(channel, data(number));
    const positions = Object.fromEntries(channels.map((channel) => [channel, { recover: true, offset: 0 }]));
    const client = new TestClient(hub);
    client.send({ id: 1, connect: { subs: positions } });
    await settle();
    const lines = client.take();
    const answers = Object.values(lines[0]?.connect?.subs ?? {});
    assert.equal(answers.length, 20);
    assert.ok(answers.every(({ recovered }) => recovered === true));
    assert.ok(JSON.stringify(lines[0]).length < limits.pageBytes + 10_000);
    for (const channel of channels) {
      const first = lines[0]?.connect?.subs?.[channel]?.publications ?? [];
      assert.deepEqual([...first, ...pubsIn(lines, channel)].map(numberOf), upTo(5), channel);
    }
  });
});

test("a gap between store and node is filled page by page, with bounded buffering", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker, namespaces: NAMESPACES }, async ({ hub }) => {
    const client = await new TestClient(hub).connect();
    await client.subscribe("feed:x");
    broker.passes = () => false;
    for (let number = 1; number <= 700; number++) await hub.publish("feed:x", data(number));
    broker.passes = () => true;
    let reads = 0;
    let published = 700;
    broker.onHistory = async () => {
      reads++;
      // more than the page can buffer
      if (reads === 1) for (; published < 1000;) await hub.publish("feed:x", data(++published));
    };
    await hub.publish("feed:x", data(++published));
    for (let round = 0; round < 10; round++) await settle();
    assert.deepEqual(pubsOf(client.take()).map(numberOf), upTo(published));
    assert.ok(reads >= 4, `${reads} pages`);
    assert.equal(hub.metrics.gaps >= 1, true);
  });
});
