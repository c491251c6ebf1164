import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import type { BrokerPublishOptions } from "../../src/broker/broker.ts";
import { Hub } from "../../src/hub/hub.ts";
import { type OpenRedis, openRedis } from "../../src/redis/open-redis.ts";
import { RedisServer } from "./support/redis-server.ts";

const KEEP: BrokerPublishOptions = { historySize: 10, historyTtl: 60_000, metaTtl: 60_000 };

let server: RedisServer;
let redis: OpenRedis;

before(async () => {
  server = await RedisServer.start();
  redis = await openRedis([server.url]);
  const nothing = (): undefined => undefined;
  await redis.broker.start({
    publication: nothing,
    join: nothing,
    leave: nothing,
    control: nothing,
    interrupted: nothing,
  });
});

after(async () => {
  await redis.broker.stop();
  redis.close();
  await server.stop();
});

test("an idempotency key is separate for each channel", async () => {
  const { broker } = redis;
  await broker.publish("x", { data: '"one"' }, { ...KEEP, idempotencyKey: "y}:m" });
  assert.equal((await broker.publish("x}:i:y", { data: '"two"' }, KEEP)).offset, 1);
  await broker.publish("x", { data: '"three"' }, { ...KEEP, idempotencyKey: "y}:i:k" });
  const other = await broker.publish("x}:i:y", { data: '"four"' }, { ...KEEP, idempotencyKey: "k" });
  assert.deepEqual([other.duplicate, other.offset], [false, 2]);
});

test("the error of a command does not contain the command, which would put publications into logs", async () => {
  await server.command("SET", "tungstate:{.taken}:m", "not ours");
  const results = await Promise.allSettled([
    redis.broker.publish("taken", { data: '"a secret"' }, KEEP),
    redis.broker.history("taken", { limit: 0 }, 60_000),
    redis.presenceStore.add("taken", { client: "1", user: "a secret" }),
  ]);
  const [publication, history, presence] = results;
  assert.equal(presence.status, "fulfilled");
  for (const result of [publication, history]) {
    assert.equal(result.status, "rejected");
    assert.match(String(result.reason), /WRONGTYPE/);
    assert.doesNotMatch(inspect(result.reason, { depth: null, showHidden: true }), /a secret|evalsha/);
  }
});

test("unlimited history is kept as long as Redis can count", async () => {
  const forever: BrokerPublishOptions = { historySize: 10, historyTtl: Infinity, metaTtl: Infinity };
  const { broker } = redis;
  await broker.history("forever", { limit: 0 }, Infinity);
  await broker.publish("forever", { data: "1" }, { ...forever, idempotencyKey: "k", idempotencyTtl: Infinity });
  const again = await broker.publish("forever", { data: "1" }, { ...forever, idempotencyKey: "k" });
  assert.deepEqual([again.offset, again.duplicate], [1, true]);
  const page = await broker.history("forever", { limit: -1 }, Infinity);
  assert.deepEqual(
    page.publications.map(({ data }) => data),
    ["1"],
  );
  for (const end of [":m", ":s", ":i:k"]) {
    assert.ok(Number(await server.command("PTTL", `tungstate:{.forever}${end}`)) > 100 * 365 * 86_400_000, end);
  }
});

test("an invalid time is rejected before it is batched with other publications", async () => {
  const { broker, presenceStore: presence } = await openRedis([server.url], { prefix: "times" });
  const hub = new Hub({ namespaces: { "": { history: { size: 10, ttl: 60_000 } } }, broker, presence });
  await hub.start();
  try {
    const results = await Promise.allSettled([
      hub.publish("a", 1),
      ...[Number.NaN, 0, -1].map((idempotencyTtl) => hub.publish("a", 2, { idempotencyKey: "k", idempotencyTtl })),
      hub.publish("a", 3),
    ]);
    const reported = results.map((each) => (each.status === "fulfilled" ? each.value.offset : String(each.reason)));
    const refused = (got: string): string => `RangeError: idempotencyTtl must be more than 0 (ms), got ${got}`;
    assert.deepEqual(reported, [1, refused("NaN"), refused("0"), refused("-1"), 2]);
  } finally {
    await hub.close();
  }
});
