// What goes over the wire, to the byte: each line of transcripts/*.jsonl is a step, played in
// order. {"in": frame} a client's frame {"out": [frame, ...]} all frames that the client gets for
// it {"call": [method, ...arguments]} of the hub {"closed": [code, reason]} the connection was
// ended {"advance": ms} time goes by {"client": name} the steps from here on are this client's
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { MemoryBroker } from "../../src/broker/memory-broker.ts";
import { MemoryEngine } from "../../src/broker/memory-engine.ts";
import { Hub } from "../../src/hub/hub.ts";
import { NAMESPACES } from "../support/hubs.ts";
import { TestClient } from "../support/test-client.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

interface Step {
  readonly in?: string;
  readonly out?: readonly string[];
  readonly closed?: readonly [number, string];
  readonly call?: readonly ["publish" | "subscribe" | "unsubscribe" | "send" | "refresh", ...unknown[]];
  readonly advance?: number;
  readonly client?: string;
}

const folder = new URL("transcripts/", import.meta.url);

for (const file of readdirSync(folder).filter((name) => name.endsWith(".jsonl"))) {
  test(`transcript ${file}`, async () => {
    const clock = new VirtualClock();
    let ids = 0;
    let epochs = 0;
    const hub = new Hub({
      namespaces: NAMESPACES,
      authenticate: ({ data }) => (typeof data === "string" ? { user: data, info: { name: data } } : undefined),
      anonymous: true,
      ping: { interval: 25_000 },
      version: "1.0.0",
      clock,
      broker: new MemoryBroker(new MemoryEngine({ clock, newEpoch: () => `epoch${++epochs}` })),
      newId: () => `id${ids++}`,
    });
    await hub.start();
    hub.rpc("add", ({ data }) => (Array.isArray(data) ? data.reduce((sum: number, each: number) => sum + each, 0) : 0));
    const clients = new Map<string, TestClient>();
    let client = new TestClient(hub);
    let seen = 0;
    const lines = readFileSync(new URL(file, folder), "utf8").split("\n");
    for (const [index, line] of lines.entries()) {
      if (line === "") continue;
      const step = JSON.parse(line) as Step;
      const where = `${file}:${index + 1}`;
      if (step.client !== undefined) {
        client = clients.get(step.client) ?? new TestClient(hub);
        clients.set(step.client, client);
        seen = client.frames.length;
      }
      if (step.in !== undefined) client.send(step.in);
      if (step.advance !== undefined) await clock.advance(step.advance);
      if (step.call !== undefined) {
        const [method, ...args] = step.call;
        await (Reflect.get(hub, method) as (...args: unknown[]) => Promise<unknown>).apply(hub, args);
      }
      await settle();
      if (step.out !== undefined) {
        assert.deepEqual(client.frames.slice(seen), step.out, where);
        seen = client.frames.length;
      }
      const { closedWith } = client;
      assert.deepEqual(closedWith === undefined ? undefined : [closedWith.code, closedWith.reason], step.closed, where);
    }
    assert.equal(client.frames.length, seen, `${file}: nothing comes behind the last step`);
    await hub.close();
  });
}
