// Tungstate 0.1: 100 history commands in one frame were answered with gigabytes, read or not;
// clients that missed much never recovered.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemoryBudget } from "tungstate";
import { hundredHistories, hundredPresences } from "./support/attacks.ts";
import { MiB } from "./support/cost.ts";
import { ticks } from "./support/ends.ts";
import { HubClient, serveHub } from "./support/hub.ts";

const OPEN = { subscribe: "anyone", publish: "anyone", history: { size: 1000, ttl: 60_000 }, presence: true } as const;
const namespaces = { public: OPEN };
const PAGE = 65_536; // bytes: limits.pageBytes

describe("hub: store data requested by a client that does not read it", () => {
  test("is one page for each connection, however much it requests; nothing is read for a closed connection", async (t) => {
    const memoryBudget = new MemoryBudget(256 * MiB);
    const { hub, port } = await serveHub(t, { namespaces, memoryBudget });
    for (let number = 0; number < 200; number++) await hub.publish("public:x", "x".repeat(60_000));
    const clients: HubClient[] = [];
    for (let number = 0; number < 10; number++) {
      const client = await HubClient.connect(t, port);
      await client.ask({ subscribe: { channel: "public:x" } });
      client.socket.pause();
      client.socket.write(hundredHistories("public:x"));
      clients.push(client);
    }
    const sent = (): number => hub.metrics.bytesSent;
    let before = -1;
    while (before !== sent()) {
      before = sent();
      await ticks(200);
    }
    assert.equal(hub.metrics.queueBytes, 0);
    // what the system buffers for each, and two pages
    assert.ok(sent() < 10 * 8 * MiB, `${sent()} of 600,000,000 bytes were made`);
    for (const { socket } of clients) socket.terminate();
    await ticks(50);
    before = sent();
    await ticks(50);
    assert.ok(sent() - before <= 10 * PAGE, "nothing continues");
  });

  test("100 presence replies are produced one after the other as they are read", async (t) => {
    const { hub, port } = await serveHub(t, { namespaces, limits: { rates: false } });
    const members: HubClient[] = [];
    for (let number = 0; number < 50; number++) {
      const member = await HubClient.connect(t, port);
      await member.ask({ subscribe: { channel: "public:x" } });
      members.push(member);
    }
    const [first] = members;
    assert.ok(first !== undefined);
    first.socket.write(hundredPresences("public:x"));
    const last = await first.askText(JSON.stringify({ id: 5000, presence: { channel: "public:x" } }));
    assert.equal(Object.keys((last["presence"] as { presence: object }).presence).length, 50);
    assert.equal(hub.metrics.queueBytes, 0);
  });
});

test("hub: a client that is disconnected repeatedly during recovery resumes where it was", async (t) => {
  const { hub, port } = await serveHub(t, { namespaces });
  const { epoch } = await hub.publish("public:x", "1 ");
  for (let number = 2; number <= 400; number++) await hub.publish("public:x", `${number} `.padEnd(10_000, "x"));
  let offset = 0;
  let connections = 0;
  for (; offset < 400; connections++) {
    assert.ok(connections < 100);
    const client = await HubClient.connect(t, port);
    const ends = offset + 60;
    const ended = new Promise<void>((resolve) => {
      const take = (pub: { readonly offset?: number }): void => {
        assert.equal(pub.offset, offset + 1);
        offset++;
        if (offset < Math.min(ends, 400)) return;
        client.socket.terminate();
        resolve();
      };
      client.socket.on("message", ({ text }) => {
        for (const line of text.split("\n")) {
          const { subscribe, push } = JSON.parse(line) as {
            readonly subscribe?: {
              readonly recovered?: boolean;
              readonly publications?: readonly { readonly offset?: number }[];
            };
            readonly push?: { readonly pub?: { readonly offset?: number } };
          };
          if (client.socket.state !== "open") return;
          if (subscribe !== undefined) assert.equal(subscribe.recovered, true);
          for (const pub of subscribe?.publications ?? []) if (client.socket.state === "open") take(pub);
          if (push?.pub !== undefined) take(push.pub);
        }
      });
    });
    client.socket.write(JSON.stringify({ id: 900, subscribe: { channel: "public:x", recover: true, offset, epoch } }));
    await ended;
  }
  assert.ok(connections >= 6, `${connections} connections`);
});
