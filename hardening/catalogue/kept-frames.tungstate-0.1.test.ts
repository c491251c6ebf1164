// Tungstate 0.1: a publication kept the frame alive in which it arrived, and names used once were
// kept for 30 days.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemoryBroker, MemoryEngine } from "@tungstate/hub";
import { newNames, paddedPublication } from "./support/attacks.ts";
import { memoryInUse } from "../../scripts/testing/memory.mjs";
import { MiB, sized } from "./support/cost.ts";
import { HubClient, serveHub } from "./support/hub.ts";

const OPEN = { subscribe: "anyone", publish: "anyone", history: { size: 10_000, ttl: 3600_000 } } as const;
const namespaces = { public: OPEN };
const limits = { rates: false } as const;

describe("hub: memory kept of client input", () => {
  test("a publication of 16 characters in a frame of 64 KB is charged and keeps its own bytes only", async (t) => {
    const engine = new MemoryEngine();
    const { port } = await serveHub(t, { namespaces, limits, broker: new MemoryBroker(engine) });
    const client = await HubClient.connect(t, port);
    const count = sized(300, 3_000);
    const before = await memoryInUse();
    for (let id = 1; id <= count; id++) await client.askText(paddedPublication("public:x", id + 1000));
    const used = (await memoryInUse()) - before;
    assert.ok(engine.historyBytes < count * 400, `${engine.historyBytes} bytes counted`);
    assert.ok(used < 8 * MiB, `${used} bytes of ${count * 65_000} are kept`);
  });

  test("names that are used once take bounded memory, and a client that returns to an evicted channel is notified", async (t) => {
    const engine = new MemoryEngine({ historyBytes: MiB });
    const { hub, port } = await serveHub(t, { namespaces, limits, broker: new MemoryBroker(engine) });
    const client = await HubClient.connect(t, port);
    const first = await hub.publish("public:first", 1);
    const count = sized(20_000, 200_000);
    for (let from = 0; from < count; from += 500) {
      client.socket.write(newNames(500, from));
      await client.askText(JSON.stringify({ id: 900, ping: {} }));
      assert.ok(engine.historyBytes <= MiB, `${engine.historyBytes} bytes`);
    }
    assert.ok(engine.streamCount < 3_000, `${engine.streamCount} names`);
    const position = { recover: true, offset: first.offset, epoch: first.epoch };
    const { subscribe } = await client.ask({ subscribe: { channel: "public:first", ...position } });
    const { was_recovering, recovered } = subscribe as Readonly<Record<string, unknown>>;
    assert.deepEqual([was_recovering, recovered], [true, undefined]);
  });
});
