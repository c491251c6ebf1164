// Hubs on different databases of one Redis with the same prefix are different hubs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Hub } from "../../src/hub/hub.ts";
import { openRedis } from "../../src/redis/open-redis.ts";
import { NAMESPACES } from "../support/hubs.ts";
import { pubsOf, TestClient } from "../support/test-client.ts";
import { until } from "../support/until.ts";
import { RedisServer, SentinelServers } from "./support/redis-server.ts";

interface Place {
  readonly name: string;
  start(): Promise<{ urls(database: number): readonly string[]; stop(): Promise<unknown> }>;
}

const PLACES: readonly Place[] = [
  {
    name: "one Redis",
    async start() {
      const server = await RedisServer.start();
      return { urls: (database) => [`${server.url}/${database}`], stop: () => server.stop() };
    },
  },
  {
    name: "a primary that a sentinel knows",
    async start() {
      const servers = await SentinelServers.start();
      return { urls: (database) => [`${servers.url}/${database}`], stop: () => servers.stop() };
    },
  },
  {
    name: "two Redis that share the channels",
    async start() {
      const servers = [await RedisServer.start(), await RedisServer.start()];
      return {
        urls: (database) => servers.map(({ url }) => `${url}/${database}`),
        stop: () => Promise.all(servers.map((server) => server.stop())),
      };
    },
  },
  {
    name: "two databases of one Redis that share the channels",
    async start() {
      const server = await RedisServer.start();
      return {
        urls: (database) => [2 * database, 2 * database + 1].map((each) => `${server.url}/${each}`),
        stop: () => server.stop(),
      };
    },
  },
];

async function startHub(urls: readonly string[]): Promise<Hub> {
  const redis = await openRedis(urls);
  const hub = new Hub({
    namespaces: NAMESPACES,
    authenticate: ({ data }) => ({ user: String(data) }),
    ping: false,
    broker: redis.broker,
    presence: redis.presenceStore,
  });
  await hub.start();
  return hub;
}

for (const place of PLACES) {
  test(`hubs on different databases exchange nothing: ${place.name}`, async () => {
    const running = await place.start();
    const hubs: Hub[] = [];
    try {
      const [one, same, other] = [
        await startHub(running.urls(0)),
        await startHub(running.urls(0)),
        await startHub(running.urls(1)),
      ];
      hubs.push(one, same, other);
      const [a, b, c] = await Promise.all(hubs.map((hub) => new TestClient(hub).connect({ data: "alice" })));
      assert.ok(a && b && c);
      const channels = Array.from({ length: 8 }, (_, i) => `public:${i}`);
      for (const channel of channels) for (const client of [a, b, c]) await client.subscribe(channel);
      for (const channel of channels) await one.publish(channel, "of one");
      for (const channel of channels) await other.publish(channel, "of the other");
      const seen = new Map<TestClient, { data: unknown[]; joins: string[] }>();
      const read = (client: TestClient): { data: unknown[]; joins: string[] } => {
        const all = seen.get(client) ?? { data: [], joins: [] };
        seen.set(client, all);
        const lines = client.take();
        all.data.push(...pubsOf(lines).map(({ data }) => data));
        for (const { push } of lines) if (push?.join !== undefined) all.joins.push(push.join.info.client);
        return all;
      };
      await until("all publications come", () =>
        [a, b, c].every((client) => read(client).data.length >= channels.length),
      );
      // control messages between the nodes of a hub
      await one.disconnect("alice", { code: 4000, reason: "by one" });
      await until("it is sent away", () => b.closedWith !== undefined);
      await until("they know each other", () => one.nodes().length === 2);
      assert.deepEqual([a.closedWith?.code, b.closedWith?.code, c.closedWith], [4000, 4000, undefined]);
      for (const client of [a, b]) assert.deepEqual(new Set(read(client).data), new Set(["of one"]));
      assert.deepEqual(new Set(read(c).data), new Set(["of the other"]));
      const mine = new Set([a.session.client, b.session.client]);
      for (const client of read(c).joins) assert.ok(!mine.has(client), "a join of the other hub");
      assert.equal(other.nodes().length, 1);
    } finally {
      for (const hub of hubs) await hub.close();
      await running.stop();
    }
  });
}
