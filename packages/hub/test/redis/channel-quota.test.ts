// The number of channels with records in Redis is bounded for each namespace.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Hub } from "../../src/hub/hub.ts";
import { openRedis } from "../../src/redis/open-redis.ts";
import { TestClient } from "../support/test-client.ts";
import { until } from "../support/until.ts";
import { RedisClusterServers, RedisServer } from "./support/redis-server.ts";

const history = { size: 10, ttl: 60_000, maxChannels: 5 };
const PLACES = {
  "one Redis": async () => {
    const server = await RedisServer.start();
    return { url: server.url, servers: [server], stop: () => server.stop() };
  },
  "a cluster": async () => {
    const cluster = await RedisClusterServers.start(3);
    return { url: cluster.url, servers: cluster.servers, stop: () => cluster.stop() };
  },
} as const;

for (const [name, start] of Object.entries(PLACES)) {
  test(`beyond maxChannels the channel used longest ago is evicted, and its clients are notified: ${name}`, async () => {
    const { url, servers, stop } = await start();
    const errors: unknown[] = [];
    const onError = (error: unknown): void => void errors.push(error);
    const redis = await openRedis([url], { onError });
    const few = { history, subscribe: "anyone", publish: "anyone" } as const;
    const hub = new Hub({
      namespaces: { few, other: { ...few, history: { ...history, maxChannels: 100 } } },
      anonymous: true,
      ping: false,
      broker: redis.broker,
      presence: redis.presenceStore,
      onError,
    });
    try {
      await hub.start();
      /** Returns the numbers of channels with records in a namespace. */
      const kept = async (namespace: string): Promise<number[]> => {
        const keys = await Promise.all(
          servers.map((server) => server.command("KEYS", `tungstate:{.${namespace}:*}:m`)),
        );
        const numbers = keys.flatMap((each) => (each as string[]).map((key) => Number(/(\d+)\}:m$/.exec(key)?.[1])));
        return numbers.sort((a, b) => a - b);
      };
      const millisecond = async (): Promise<number> => {
        const [first] = servers;
        assert.ok(first !== undefined);
        const [seconds, micros] = (await first.command("TIME")) as [string, string];
        return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
      };
      const client = await new TestClient(hub).connect();
      await client.subscribe("few:0");
      const places = [];
      for (let i = 0; i < 12; i++) {
        places.push(await hub.publish(`few:${i}`, i));
        await hub.publish(`other:${i}`, i);
        // the next one is recorded in another ms
        const noted = await millisecond();
        await until("another ms", async () => (await millisecond()) !== noted);
      }
      await until("some are forgotten", async () => (await kept("few")).length <= 6);
      const left = await kept("few");
      assert.ok(left.includes(0), "one with a subscriber stays");
      assert.ok(left.includes(11), "the newest stays");
      assert.ok(!left.includes(1) && !left.includes(2), "the oldest are gone");
      assert.equal((await kept("other")).length, 12, "of another namespace");
      const [, one] = places;
      const since = { recover: true, offset: one?.offset, epoch: one?.epoch };
      const { recovered = false, was_recovering } = await client.subscribe("few:1", since);
      assert.deepEqual([recovered, was_recovering], [false, true]);
      assert.deepEqual(errors, []);
    } finally {
      await hub.close();
      await stop();
    }
  });

  test(`maxChannels counts the channels without a subscriber, as in memory: ${name}`, async () => {
    const { url, servers, stop } = await start();
    const redis = await openRedis([url]);
    const hub = new Hub({
      namespaces: { few: { history, subscribe: "anyone", publish: "anyone" } },
      anonymous: true,
      ping: false,
      broker: redis.broker,
      presence: redis.presenceStore,
    });
    try {
      await hub.start();
      const kept = async (): Promise<string[]> => {
        const keys = await Promise.all(servers.map((server) => server.command("KEYS", "tungstate:{.few:*}:m")));
        return keys.flatMap((each) => (each as string[]).map((key) => /few:(.*)\}:m$/.exec(key)?.[1] ?? "")).sort();
      };
      const index = async (): Promise<string[]> => {
        const each = await Promise.all(
          servers.map((server) => server.command("ZRANGE", "tungstate:channels:few", "0", "-1").catch(() => [])),
        );
        return (each.find((members) => Array.isArray(members) && members.length > 0) ?? []) as string[];
      };
      const publish = async (channel: string): Promise<void> => {
        await hub.publish(channel, 1);
        await until(`${channel} is noted`, async () => (await index()).includes(channel));
        const before = Date.now();
        await until("another ms", () => Promise.resolve(Date.now() > before + 1));
      };
      const client = await new TestClient(hub).connect();
      for (let i = 0; i < 7; i++) await client.subscribe(`few:watched ${i}`);
      const watched = Array.from({ length: 7 }, (_, i) => `watched ${i}`);
      const idle = (from: number, to: number): string[] =>
        Array.from({ length: to - from + 1 }, (_, i) => `idle ${from + i}`);
      for (const [number, expected] of [
        [1, idle(1, 1)],
        [4, idle(1, 4)],
        [5, idle(1, 5)], // the limit
        [6, idle(2, 6)],
      ] as const) {
        for (let i = number === 4 ? 2 : number; i <= number; i++) await publish(`few:idle ${i}`);
        await until(`${number} channels: the right ones are kept`, async () => {
          const names = await kept();
          return names.join() === [...expected, ...watched].sort().join();
        });
      }
      await client.ask({ unsubscribe: { channel: "few:watched 3" } });
      await until(
        "one more without a subscriber",
        async () => (await kept()).join() === [...idle(3, 6), ...watched].sort().join(),
      );
    } finally {
      await hub.close();
      await stop();
    }
  });

  test(`channels with subscribers are kept, without endless work: ${name}`, async () => {
    const { url, servers, stop } = await start();
    const redis = await openRedis([url]);
    const hub = new Hub({
      namespaces: { few: { history, subscribe: "anyone", publish: "anyone" } },
      anonymous: true,
      ping: false,
      broker: redis.broker,
      presence: redis.presenceStore,
    });
    try {
      await hub.start();
      const client = await new TestClient(hub).connect();
      for (let i = 0; i < 10; i++) await client.subscribe(`few:${i}`);
      for (let i = 0; i < 10; i++) await hub.publish(`few:${i}`, i);
      const calls = async (): Promise<number> => {
        const each = await Promise.all(servers.map((server) => server.command("INFO", "commandstats")));
        return each.reduce(
          (sum: number, stats) => sum + Number(/cmdstat_zpopmin:calls=(\d+)/.exec(String(stats))?.[1] ?? 0),
          0,
        );
      };
      // a ping follows everything pending: if nothing was evicted between two pings, the work is
      // complete
      let before = -1;
      for (let rounds = 0; before !== (await calls()); rounds++) {
        assert.ok(rounds < 100, "it pops and notes again and again");
        before = await calls();
        await redis.broker.settled();
        await hub.publish("few:0", "again");
      }
      for (let i = 0; i < 10; i++) assert.ok((await hub.history(`few:${i}`, { limit: 10 })).publications.length > 0);
    } finally {
      await hub.close();
      await stop();
    }
  });
}
