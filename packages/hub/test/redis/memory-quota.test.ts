// A Redis that is full refuses all writes, so publications that are kept stop before.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Hub } from "../../src/hub/hub.ts";
import { openRedis } from "../../src/redis/open-redis.ts";
import { TestClient } from "../support/test-client.ts";
import { until } from "../support/until.ts";
import { RedisServer } from "./support/redis-server.ts";

const OPEN = { subscribe: "anyone", publish: "anyone", presence: true } as const;
const namespaces = { kept: { ...OPEN, history: { size: 1_000, ttl: 3600_000 } }, "": OPEN } as const;
const MiB = 1024 * 1024;

for (const [what, args, options] of [
  ["three quarters of maxmemory", ["--maxmemory", "24mb"], {}],
  ["the option memoryLimit", [], { memoryLimit: 18 * MiB }],
] as const) {
  test(`beyond ${what}, publications that are kept are refused with a clear error, and everything else goes on`, async () => {
    const server = await RedisServer.start(...args);
    const errors: Error[] = [];
    const redis = await openRedis([server.url], { ...options, onError: (error) => errors.push(error) });
    const hubErrors: unknown[] = [];
    const hub = new Hub({
      namespaces,
      anonymous: true,
      ping: false,
      broker: redis.broker,
      presence: redis.presenceStore,
      limits: { rates: false },
      onError: (error) => hubErrors.push(error),
    });
    try {
      await hub.start();
      const client = await new TestClient(hub).connect();
      const data = "x".repeat(50_000);
      let published = 0;
      const publish = async (): Promise<number | undefined> => {
        const { error } = await client.ask({ publish: { channel: `kept:${published}`, data } });
        if (error === undefined) published++;
        else assert.match(error.message, /uses \d+ bytes of memory, and may use 18874368/);
        return error?.code;
      };
      await until("the quota is used up", async () => (await publish()) === 106);
      assert.ok(published > 100 && published < 480, `${published} publications`);
      await assert.rejects(hub.publish("kept:y", 1), { code: 106 });
      // what is not kept, positions and presence have room
      assert.equal((await client.ask({ publish: { channel: "x", data } })).error, undefined);
      await client.subscribe("kept:new");
      assert.equal((await hub.presenceStats("kept:new")).clients, 1);
      assert.equal(errors.length, 1, "the operator is told once");
      assert.deepEqual(hubErrors, []);
      for (let number = 0; number < published; number++) await hub.removeHistory(`kept:${number}`);
      await until("there is room again", async () => (await publish()) === undefined);
    } finally {
      await hub.close();
      await server.stop();
    }
  });
}

test("without maxmemory and memoryLimit there is no quota; memoryLimit is checked", async () => {
  await assert.rejects(openRedis(["redis://127.0.0.1:1"], { memoryLimit: 0 }), RangeError);
  await assert.rejects(openRedis(["redis://127.0.0.1:1"], { memoryLimit: Number.NaN }), RangeError);
  const server = await RedisServer.start();
  const redis = await openRedis([server.url]);
  const hub = new Hub({ namespaces, broker: redis.broker, presence: redis.presenceStore });
  try {
    await hub.start();
    for (let number = 0; number < 20; number++) await hub.publish("kept:x", "x".repeat(50_000));
  } finally {
    await hub.close();
    await server.stop();
  }
});
