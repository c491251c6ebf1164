import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBudget } from "tungstate";
import { withHub } from "../support/hubs.ts";
import { pubsOf, TestClient } from "../support/test-client.ts";
import { settle } from "../support/virtual-clock.ts";

const NAMESPACES = {
  "": { subscribe: "anyone" },
  kept: { subscribe: "anyone", history: { size: 10_000, ttl: 60_000 } },
} as const;
const held = (budget: MemoryBudget): number => budget.use.parts["hub queues"] ?? 0;

test("a message queued for many counts once in the memory budget, until the last one has received it", () => {
  const memoryBudget = new MemoryBudget(100_000_000);
  return withHub({ memoryBudget, namespaces: NAMESPACES }, async ({ hub }) => {
    const slow: TestClient[] = [];
    for (let number = 0; number < 50; number++) {
      const client = await new TestClient(hub).connect();
      await client.subscribe("x");
      client.drain(1);
      slow.push(client);
    }
    for (let number = 0; number <= 10; number++) await hub.publish("x", "y".repeat(10_000));
    assert.ok(hub.metrics.queueBytes > 5_000_000, "in all queues together");
    assert.ok(held(memoryBudget) > 100_000 && held(memoryBudget) < 130_000, `${held(memoryBudget)} bytes`);
    for (const client of slow.slice(0, 25)) client.drain();
    for (const client of slow.slice(25, 49)) client.lose();
    assert.ok(held(memoryBudget) > 100_000, "one waits for all of it");
    slow[49]?.drain();
    assert.deepEqual([held(memoryBudget), hub.metrics.queueBytes], [0, 0]);
  });
});

test("under memory pressure, clients with the longest queues are disconnected; others keep theirs", () => {
  const memoryBudget = new MemoryBudget(300_000);
  return withHub({ memoryBudget, namespaces: NAMESPACES }, async ({ hub }) => {
    const clients: TestClient[] = [];
    for (const count of [1, 4, 8, 12]) {
      const client = await new TestClient(hub).connect();
      await client.subscribe(`${count}`);
      client.drain(1);
      clients.push(client);
    }
    for (let number = 0; number < 12; number++) {
      for (const count of [1, 4, 8, 12]) if (number < count) await hub.publish(`${count}`, `${number}`.padEnd(20_000));
    }
    assert.deepEqual(
      clients.map(({ closedWith }) => closedWith?.code),
      [undefined, undefined, undefined, 3008],
    );
    assert.ok(held(memoryBudget) < 300_000 && memoryBudget.use.ended === 1);
    assert.equal(hub.metrics.queueBytes > 0, true);
    clients[2]?.drain();
    assert.equal(pubsOf(clients[2]?.take() ?? []).length, 8);
    for (const client of clients) client.drain();
    assert.deepEqual([held(memoryBudget), hub.metrics.queueBytes], [0, 0]);
  });
});

test("history is evicted before a client is disconnected", () => {
  const memoryBudget = new MemoryBudget(1_000_000);
  return withHub({ memoryBudget, namespaces: NAMESPACES }, async ({ hub }) => {
    const slow = await new TestClient(hub).connect();
    await slow.subscribe("x");
    slow.drain(1);
    await hub.publish("x", 0);
    for (let number = 0; number < 380; number++) await hub.publish(`kept:${number}`, "y".repeat(1000));
    assert.ok((memoryBudget.use.parts["hub history"] ?? 0) > 600_000);
    for (let number = 0; number < 60; number++) await hub.publish("x", "y".repeat(10_000));
    await settle();
    assert.equal(slow.closedWith, undefined);
    assert.ok((memoryBudget.use.parts["hub history"] ?? 0) < 200_000);
    assert.deepEqual([memoryBudget.underPressure, memoryBudget.use.ended], [false, 0]);
  });
});
