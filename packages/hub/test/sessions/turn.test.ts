import assert from "node:assert/strict";
import { test } from "node:test";
import { withHub } from "../support/hubs.ts";
import { pubsOf, TestClient } from "../support/test-client.ts";
import { settle } from "../support/virtual-clock.ts";

const HISTORY = { size: 100, ttl: 60_000 };
const OPEN = { subscribe: "anyone", publish: "anyone" } as const;

test("publications of a tick reach a subscriber in one message, in order", () =>
  withHub({}, async ({ hub }) => {
    const [a, b] = [await new TestClient(hub).connect(), await new TestClient(hub).connect()];
    await b.subscribe("x");
    const before = b.frames.length;
    for (let data = 1; data <= 3; data++) a.send({ id: data, publish: { channel: "x", data } });
    await settle();
    assert.equal(b.frames.length, before + 1);
    assert.deepEqual(
      pubsOf(b.take()).map(({ data }) => data),
      [1, 2, 3],
    );
  }));

test("asking for the outcome of one delivers them at once", () =>
  withHub({}, async ({ hub }) => {
    const [a, b] = [await new TestClient(hub).connect(), await new TestClient(hub).connect()];
    await b.subscribe("x");
    b.take();
    a.send({ id: 1, publish: { channel: "x", data: 1 } });
    const { delivered } = await hub.publish("x", 2);
    assert.equal(delivered, 1);
    assert.deepEqual(
      pubsOf(b.take()).map(({ data }) => data),
      [1, 2],
    );
    assert.equal(hub.metrics.delivered, 2);
  }));

test("a client that subscribes after a publication of the same tick does not receive it; one that leaves after it does", () =>
  withHub({ namespaces: { "": OPEN } }, async ({ hub }) => {
    const [a, b, c] = [new TestClient(hub), new TestClient(hub), new TestClient(hub)];
    for (const client of [a, b, c]) await client.connect();
    await b.subscribe("x");
    b.take();
    a.send({ id: 1, publish: { channel: "x", data: 1 } });
    c.send({ id: 2, subscribe: { channel: "x" } });
    b.send({ id: 3, unsubscribe: { channel: "x" } });
    await settle();
    assert.deepEqual(pubsOf(c.take()), []);
    assert.deepEqual(
      b.take().map(({ id, push }) => id ?? push?.pub?.data),
      [1, 3],
    );
  }));

test("a client that the server disconnects has the publications before", () =>
  withHub({ authenticate: () => ({ user: "bob" }) }, async ({ hub }) => {
    const [a, b] = [await new TestClient(hub).connect(), await new TestClient(hub).connect()];
    await b.subscribe("x");
    b.take();
    a.send({ id: 1, publish: { channel: "x", data: 1 } });
    b.session.disconnect();
    assert.deepEqual(
      pubsOf(b.take()).map(({ data }) => data),
      [1],
    );
  }));

test("with deltas each publication of a tick is a separate message", () =>
  withHub({ namespaces: { "": { ...OPEN, history: HISTORY, delta: true } } }, async ({ hub }) => {
    const [a, b] = [await new TestClient(hub).connect(), await new TestClient(hub).connect()];
    await b.subscribe("x", { delta: "fossil" });
    const before = b.frames.length;
    const text = "the same words again and again, ".repeat(5);
    for (let id = 1; id <= 3; id++) a.send({ id, publish: { channel: "x", data: text + String(id) } });
    await settle();
    assert.equal(b.frames.length, before + 3);
    assert.deepEqual(
      pubsOf(b.take()).map(({ delta }) => delta === true),
      [false, true, true],
    );
  }));
