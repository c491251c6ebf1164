// Redis that answers with errors: for one key, for all writes, or because of permissions.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import type { BrokerPublishOptions } from "../../src/broker/broker.ts";
import { Hub } from "../../src/hub/hub.ts";
import { type OpenRedis, openRedis } from "../../src/redis/open-redis.ts";
import type { RedisOptions } from "../../src/redis/options.ts";
import { pubsOf, TestClient } from "../support/test-client.ts";
import { until } from "../support/until.ts";
import { RedisClusterServers, RedisServer } from "./support/redis-server.ts";

const KEEP: BrokerPublishOptions = { historySize: 10, historyTtl: 60_000, metaTtl: 60_000 };
const ANYONE = { subscribe: "anyone", publish: "anyone" } as const;

interface HubOnRedis {
  readonly hub: Hub;
  readonly redis: OpenRedis;
  /** Reports of the hub and of its connections. */
  readonly reported: string[];
}

async function hubOn(t: TestContext, url: string, options: RedisOptions = {}): Promise<HubOnRedis> {
  const reported: string[] = [];
  const tell = (error: unknown): void => void reported.push(String(error));
  const redis = await openRedis([url], { timeout: 1_000, ...options, onError: tell });
  const { broker, presenceStore: presence } = redis;
  const kept = { history: { size: 100, ttl: 60_000 }, presence: true, ...ANYONE };
  const hub = new Hub({
    namespaces: { "": kept, loose: ANYONE },
    anonymous: true,
    broker,
    presence,
    ping: false,
    onError: tell,
  });
  t.after(() => hub.close());
  await hub.start();
  return { hub, redis, reported };
}

async function serverFor(t: TestContext, ...args: string[]): Promise<RedisServer> {
  const server = await RedisServer.start(...args);
  t.after(() => server.stop());
  return server;
}

for (const broken of ["m", "s"]) {
  test(`a key of a wrong type (:${broken}) affects only its own channel`, async (t) => {
    const server = await serverFor(t);
    const { hub, reported } = await hubOn(t, server.url);
    const client = await new TestClient(hub).connect();
    for (const channel of ["a", "taken", "b"]) await client.subscribe(channel);
    await hub.publish("taken", 0);
    await server.command("DEL", `tungstate:{.taken}:${broken}`);
    await server.command("SET", `tungstate:{.taken}:${broken}`, "not ours");
    await until("they are there", () => pubsOf(client.take()).length > 0);
    // all in one call of the script, with publications of clients and of the server
    client.send(
      { id: 101, publish: { channel: "a", data: 1 } },
      { id: 102, publish: { channel: "taken", data: 2 } },
      { id: 103, publish: { channel: "b", data: 3 } },
    );
    const reports = await hub.broadcast(["a", "taken", "b"], "all");
    const got: (readonly [string, number | undefined])[] = reports.map((each) => [
      each.channel,
      "report" in each ? each.report.offset : each.error.code,
    ]);
    assert.deepEqual(got, [
      ["a", 2],
      ["taken", 100],
      ["b", 2],
    ]);
    const lines = client.take();
    const data: unknown[] = [];
    await until("the publications of the others", () => {
      lines.push(...client.take());
      data.splice(0, data.length, ...pubsOf(lines).map((each) => each.data));
      return data.length === 4 && lines.some(({ id }) => id === 102);
    });
    assert.deepEqual(data.map(String).toSorted(), ["1", "3", "all", "all"]);
    for (const [id, code] of [
      [101, undefined],
      [102, 100],
      [103, undefined],
    ] as const) {
      assert.equal(lines.find((line) => line.id === id)?.error?.code, code, String(id));
    }
    assert.equal(reported.filter((each) => each.includes("WRONGTYPE")).length, 1, reported.join("\n"));
    const advice = "has something else under a key of the hub's: choose another prefix, or delete the key";
    assert.ok(reported.join().includes(`${advice} "tungstate:{.taken}:${broken}" (`), reported.join("\n"));
  });
}

const CALLS: readonly [end: string, what: string, call: (hub: Hub) => Promise<unknown>][] = [
  ["m", "publish", (hub) => hub.publish("taken", 1)],
  ["m", "history", (hub) => hub.history("taken", { limit: 1 })],
  ["s", "publish", (hub) => hub.publish("taken", 1)],
  ["s", "history", (hub) => hub.history("taken", { limit: 1 })],
  ["i:k", "publish", (hub) => hub.publish("taken", 1, { idempotencyKey: "k" })],
  ["pe", "presence", (hub) => hub.presence("taken")],
  ["pv", "presence", (hub) => hub.presence("taken")],
  ["pu", "presenceStats", (hub) => hub.presenceStats("taken")],
];
for (const [end, what, call] of CALLS) {
  for (const isRestricted of [false, true]) {
    const user = isRestricted ? ", for a user who may call only what the docs list" : "";
    test(`the report of a wrong type names the key (:${end}) at ${what}${user}`, async (t) => {
      const server = await serverFor(t);
      if (isRestricted) await allow(server, ...documentedCommands("always"));
      const url = isRestricted ? server.url.replace("//", "//hub:secret@") : server.url;
      const { hub, reported } = await hubOn(t, url);
      const client = await new TestClient(hub).connect();
      await client.subscribe("taken");
      await hub.publish("taken", 0);
      const key = `tungstate:{.taken}:${end}`;
      await server.command("DEL", key);
      await (end.startsWith("i") ? server.command("HSET", key, "a", "b") : server.command("SET", key, "not ours"));
      for (let time = 0; time < 3; time++) await assert.rejects(call(hub), { code: 100 });
      const reports = reported.filter((each) => each.includes("WRONGTYPE"));
      assert.equal(reports.length, 1, reported.join("\n"));
      assert.ok(reports[0]?.includes(`delete the key ${JSON.stringify(key)} (`), reports[0]);
    });
  }
}

test("a rejected publication takes no offset", async (t) => {
  const server = await serverFor(t);
  const { redis } = await hubOn(t, server.url);
  const { broker } = redis;
  assert.equal((await broker.publish("x", { data: "1" }, KEEP)).offset, 1);
  await server.command("RENAME", "tungstate:{.x}:s", "aside");
  await server.command("SET", "tungstate:{.x}:s", "not ours");
  await assert.rejects(broker.publish("x", { data: "2" }, KEEP), /WRONGTYPE/);
  await server.command("RENAME", "aside", "tungstate:{.x}:s");
  assert.equal((await broker.publish("x", { data: "3" }, KEEP)).offset, 2);
});

const WHO_NOTICES: readonly [what: string, options: RedisOptions, rules: readonly string[]][] = [
  ["the hub, which reads INFO memory", {}, ["+info"]],
  ["Redis, for a user who may not call INFO", {}, []],
  ["Redis, of a hub without a limit", { memoryLimit: Infinity }, ["+info"]],
];
for (const [what, options, rules] of WHO_NOTICES) {
  test(`a full Redis rejects stored publications with 106, in one log line, and nothing else (noticed by ${what})`, async (t) => {
    const server = await serverFor(t);
    await allow(server, ...documentedCommands("always"), ...rules);
    const { hub, reported } = await hubOn(t, server.url.replace("//", "//hub:secret@"), options);
    const client = await new TestClient(hub).connect();
    await client.subscribe("loose:x");
    await client.subscribe("x");
    await server.command("CONFIG", "SET", "maxmemory", "1mb");
    const frame = Array.from({ length: 200 }, (_, i) => ({ id: 1000 + i, publish: { channel: `x${i % 7}`, data: i } }));
    client.send(...frame);
    const errors: { code: number; message: string }[] = [];
    await until("all are answered", () => {
      for (const { id = 0, error } of client.take()) if (id >= 1000 && error !== undefined) errors.push(error);
      return errors.length === frame.length;
    });
    assert.deepEqual(new Set(errors.map(({ code }) => code)), new Set([106]));
    const refused =
      /^limit exceeded: Redis (is full|uses \d+ bytes of memory, and may use \d+): publications with history are refused/;
    for (const { message } of errors) assert.match(message, refused);
    await assert.rejects(hub.publish("x", 1), { code: 106, message: refused });
    // positions of a new channel are a write that is not a publication: clients may try again
    const { error } = await client.ask({ subscribe: { channel: "new" } });
    assert.deepEqual([error?.code, error?.temporary], [100, true]);
    assert.equal(reported.length, 1, reported.join("\n"));
    assert.match(
      reported[0] ?? "",
      /Redis at redis:.* (is full \(maxmemory\): raise maxmemory, or keep less history|uses \d+ bytes of memory)/,
    );
    await hub.publish("loose:x", "not kept");
    await until("it comes", () => pubsOf(client.take()).some(({ data }) => data === "not kept"));
    await server.command("CONFIG", "SET", "maxmemory", "0");
    const publish = (): Promise<number | undefined> =>
      hub.publish("x", 2).then(
        ({ offset }) => offset,
        () => undefined,
      );
    let offset: number | undefined;
    await until("there is room again", async () => (offset = await publish()) !== undefined);
    assert.equal(offset, 1);
  });
}

test("a read-only replica: clear errors, few log lines, and reconnects with back-off", async (t) => {
  const primary = await serverFor(t);
  const replica = await serverFor(t, "--replicaof", "127.0.0.1", String(primary.port));
  await until("it replicates", async () =>
    String(await replica.command("INFO", "replication")).includes("master_link_status:up"),
  );
  const { hub, reported } = await hubOn(t, replica.url);
  const causes = new Set<string>();
  const RECONNECTS = 5;
  const from = performance.now();
  const reconnects = (): number => hub.metrics.store?.reconnects ?? 0;
  for (let n = 0; reconnects() < RECONNECTS; n++) {
    const error = await hub.publish("x", n).then(
      () => assert.fail("it is read-only"),
      (reason: Error & { temporary: boolean }) => reason,
    );
    assert.equal(error.temporary, true);
    causes.add(String(error.cause).replace(/ \(READONLY.*/, ""));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const took = performance.now() - from;
  // 50 ms, then twice as much each time, or half of that by chance
  assert.ok(took >= (50 * (2 ** RECONNECTS - 1)) / 2, `${RECONNECTS} reconnects in ${took} ms`);
  assert.ok(reported.length <= 2 * RECONNECTS, reported.join("\n"));
  assert.match([...causes].join("\n"), /is a read-only replica: connect to the primary/);
});

test("history and presence fail as fast as publish while Redis is away", async (t) => {
  const server = await serverFor(t);
  // A call that waits for a connection takes an hour, and the test with it.
  const { hub } = await hubOn(t, server.url, { timeout: 3_600_000 });
  const client = await new TestClient(hub).connect();
  await client.subscribe("x");
  await server.kill();
  await until("it is noticed", async () =>
    hub.publish("x", 1).then(
      () => false,
      () => true,
    ),
  );
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    publish: () => hub.publish("x", 1),
    history: () => hub.history("x", { limit: 10 }),
    removeHistory: () => hub.removeHistory("x"),
    presence: () => hub.presence("x"),
    presenceStats: () => hub.presenceStats("x"),
    "a client's history": async () => assert.equal(await client.refused({ history: { channel: "x" } }), undefined),
    "a client's presence": async () => assert.equal(await client.refused({ presence: { channel: "x" } }), undefined),
    "a client's recovery": async () =>
      assert.equal(
        await client.refused({ subscribe: { channel: "y", recover: true, offset: 0, epoch: "" } }),
        undefined,
      ),
  };
  for (const [name, call] of Object.entries(calls)) await assert.rejects(call(), () => true, name);
});

/** The commands that docs/redis.md lists for a user of the hub, by the name of their list. */
function documentedCommands(list: string): string[] {
  const page = readFileSync(new URL("../../../../docs/redis.md", import.meta.url), "utf8");
  const [, block] = new RegExp(`^${list}:\\n\\n\`\`\`txt\\n(.*?)^\`\`\``, "ms").exec(page) ?? [];
  assert.ok(block !== undefined, `docs/redis.md has no block "${list}:"`);
  return block.trim().split(/\s+/);
}

async function allow(server: RedisServer, ...commands: string[]): Promise<void> {
  const rules = ["on", ">secret", "resetkeys", "~tungstate:*", "resetchannels", "&tungstate:*", "-@all", ...commands];
  await server.command("ACL", "SETUSER", "hub", ...rules);
}

async function exercise(hub: Hub): Promise<void> {
  const client = await new TestClient(hub).connect();
  await client.subscribe("x");
  const { offset, epoch } = await hub.publish("x", 1, { idempotencyKey: "k" });
  assert.equal((await hub.publish("x", 2, { idempotencyKey: "k" })).duplicate, true);
  await until("it comes", () => pubsOf(client.take()).length === 1);
  assert.equal((await hub.history("x", { limit: 10 })).publications.length, 1);
  assert.equal((await hub.history("x", { limit: 10, reverse: true })).publications.length, 1);
  assert.equal((await hub.presence("x")).length, 1);
  assert.deepEqual(await hub.presenceStats("x"), { clients: 1, users: 1 });
  const other = await new TestClient(hub).connect();
  assert.equal((await other.subscribe("x", { recover: true, offset: offset - 1, epoch })).recovered, true);
  await other.succeed({ unsubscribe: { channel: "x" } });
  await hub.removeHistory("x");
  await hub.disconnect("nobody");
}

for (const info of [[], ["+info"]]) {
  test(`a user with only the documented permissions suffices${info.length === 0 ? ", without INFO" : ""}`, async (t) => {
    const server = await serverFor(t);
    await allow(server, ...documentedCommands("always"), ...info);
    const url = server.url.replace("//", "//hub:secret@");
    const { hub, reported } = await hubOn(t, url);
    await exercise(hub);
    assert.deepEqual(reported, []);
    const log = (await server.command("ACL", "LOG")) as unknown[];
    const refused = JSON.stringify(log.map((entry) => (entry as string[])[7]));
    for (const command of documentedCommands("always")) assert.ok(!refused.includes(`"${command.slice(1)}"`), refused);
  });
}

test("hubs whose users may and may not call INFO share one epoch", async (t) => {
  const server = await serverFor(t);
  await allow(server, ...documentedCommands("always"));
  const informed = await hubOn(t, server.url);
  const uninformed = await hubOn(t, server.url.replace("//", "//hub:secret@"));
  const epochs: string[] = [];
  for (const { hub } of [informed, uninformed, informed, uninformed]) epochs.push((await hub.publish("x", 1)).epoch);
  assert.deepEqual(new Set(epochs).size, 1, epochs.join(" "));
});

test("a user of another database may select it", async (t) => {
  const server = await serverFor(t);
  await allow(server, ...documentedCommands("always"), ...documentedCommands("a database other than 0"));
  const { hub, reported } = await hubOn(t, `${server.url.replace("//", "//hub:secret@")}/3`);
  await exercise(hub);
  assert.deepEqual(reported, []);
});

test("a database that cannot be selected is an error, not database 0", async (t) => {
  const server = await serverFor(t);
  await allow(server, ...documentedCommands("always"));
  const forbidden = `${server.url.replace("//", "//hub:secret@")}/3`;
  await assert.rejects(hubOn(t, forbidden), /database 3 cannot be selected: NOPERM/);
  await assert.rejects(hubOn(t, `${server.url}/16`), /database 16 cannot be selected: ERR DB index is out of range/);
  // forbidden later, for connections made afterwards
  await allow(server, ...documentedCommands("always"), "+select");
  const { hub, reported } = await hubOn(t, forbidden);
  await hub.publish("x", 1);
  await allow(server, ...documentedCommands("always"), "-select");
  await server.command("CLIENT", "KILL", "USER", "hub");
  await until("it is told", () => reported.some((each) => each.includes("database 3 cannot be selected: NOPERM")));
  await assert.rejects(hub.publish("x", 2), { code: 100 });
  assert.equal(await server.command("EXISTS", "tungstate:{.x}:m"), 0, "nothing is in database 0");
});

test("a cluster user with only the documented permissions suffices", async (t) => {
  const cluster = await RedisClusterServers.start(3);
  t.after(() => cluster.stop());
  for (const server of cluster.servers) {
    await allow(server, ...documentedCommands("always"), ...documentedCommands("a cluster"));
  }
  const { hub, reported } = await hubOn(t, cluster.url.replace("//", "//hub:secret@"));
  await exercise(hub);
  assert.deepEqual(reported, []);
});

test("a user without a required permission gets a clear error", async (t) => {
  const server = await serverFor(t);
  const url = server.url.replace("//", "//hub:secret@");
  const all = documentedCommands("always");
  await allow(server, ...all.filter((command) => command !== "+subscribe"));
  await assert.rejects(hubOn(t, url), /does not allow the user what the hub needs: docs\/redis\.md lists the commands/);
  await allow(server, ...all.filter((command) => command !== "+evalsha" && command !== "+eval"));
  const { hub, reported } = await hubOn(t, url);
  for (let i = 0; i < 20; i++) await assert.rejects(hub.publish("x", 1), { code: 100 });
  assert.equal(
    reported.filter((each) => /does not allow the user what the hub needs/.test(each)).length,
    1,
    reported.join("\n"),
  );
});

for (const missing of ["+publish", "+xadd", "+hset", "+zadd"]) {
  test(`a command that is forbidden inside a script (${missing.slice(1)}) gets the same clear error`, async (t) => {
    const server = await serverFor(t);
    await allow(server, ...documentedCommands("always").filter((command) => command !== missing));
    const { hub, reported } = await hubOn(t, server.url.replace("//", "//hub:secret@"));
    const client = await new TestClient(hub).connect();
    if (missing === "+zadd") await client.refused({ subscribe: { channel: "x" } });
    else await assert.rejects(hub.publish("x", 1), { code: 100 });
    assert.ok(reported.length > 0, "nothing was told");
    for (const each of reported) assert.match(each, /does not allow the user what the hub needs: docs\/redis\.md/);
  });
}
