import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type BrokerPublishOptions, StoreUnavailableError } from "../../src/broker/broker.ts";
import { Hub } from "../../src/hub/hub.ts";
import { StoreMetrics } from "../../src/metrics.ts";
import { loadClient } from "../../src/redis/link.ts";
import { openRedis } from "../../src/redis/open-redis.ts";
import { type RedisOptions, resolveRedisOptions } from "../../src/redis/options.ts";
import { Server } from "../../src/redis/server.ts";
import { Subscriber } from "../../src/redis/subscriber.ts";
import { pubsOf, TestClient } from "../support/test-client.ts";
import { until } from "../support/until.ts";
import { freePort, RedisClusterServers, RedisServer, SentinelServers } from "./support/redis-server.ts";
import { TcpProxy } from "./support/tcp-proxy.ts";

const TIMEOUT = 1_000; // ms; for the connections under test
const KEEP: BrokerPublishOptions = { historySize: 1000, historyTtl: 60_000, metaTtl: 60_000 };

let prefixes = 0;

/** Creates a hub with clients in memory, on a Redis at these URLs. */
async function withHub(
  urls: readonly string[],
  run: (hub: Hub, reported: readonly string[]) => Promise<void>,
  options: RedisOptions = {},
): Promise<void> {
  const reported: string[] = [];
  const redis = await openRedis(urls, {
    prefix: `faults${prefixes++}`,
    timeout: TIMEOUT,
    onError: ({ message }) => reported.push(message),
    ...options,
  });
  const hub = new Hub({
    namespaces: {
      "": { history: { size: 1000, ttl: 60_000 }, presence: true, subscribe: "anyone", publish: "anyone" },
    },
    anonymous: true,
    ping: false,
    broker: redis.broker,
    presence: redis.presenceStore,
    positionCheckInterval: 600,
  });
  await hub.start();
  try {
    await run(hub, reported);
  } finally {
    await hub.close();
  }
}

/** Publishes until acknowledged. Returns the number of attempts. */
async function publish(hub: Hub, channel: string, data: unknown): Promise<number> {
  for (let tries = 1; ; tries++) {
    try {
      await hub.publish(channel, data, { idempotencyKey: String(data) });
      return tries;
    } catch (error) {
      assert.ok(error instanceof Error && "temporary" in error && error.temporary === true, String(error));
      if (tries > 6000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** A client that resubscribes whenever it is told to, and records publications. */
class Follower {
  readonly client: TestClient;
  readonly seen: unknown[] = [];
  /** Recoveries, and reported losses. */
  returns = 0;
  lost = 0;
  private readonly channel: string;
  private position: { offset: number; epoch: string } = { offset: 0, epoch: "" };

  private constructor(client: TestClient, channel: string) {
    this.client = client;
    this.channel = channel;
  }

  static async start(hub: Hub, channel: string): Promise<Follower> {
    const follower = new Follower(await new TestClient(hub).connect(), channel);
    const { offset = 0, epoch = "" } = await follower.client.subscribe(channel);
    follower.position = { offset, epoch };
    return follower;
  }

  async read(): Promise<readonly unknown[]> {
    const lines = this.client.take();
    for (const pub of pubsOf(lines)) this.see(pub);
    if (lines.some(({ push }) => push?.unsubscribe?.code === 2500)) await this.comeBack();
    return this.seen;
  }

  private async comeBack(): Promise<void> {
    this.returns++;
    for (;;) {
      const { subscribe, error } = await this.client.ask({
        subscribe: { channel: this.channel, recover: true, ...this.position },
      });
      if (error !== undefined) {
        assert.equal(error.temporary, true);
        await new Promise((resolve) => setTimeout(resolve, 10));
        continue;
      }
      const { recovered, offset = 0, epoch = "", publications = [] } = subscribe ?? {};
      if (recovered !== true) this.lost++;
      else assert.equal(offset, this.position.offset);
      this.position = { offset, epoch };
      for (const pub of publications) this.see(pub);
      return;
    }
  }

  private see({ offset = 0, data }: { readonly offset?: number; readonly data: unknown }): void {
    assert.equal(offset, this.position.offset + 1, "no gap, no double");
    this.position = { ...this.position, offset };
    this.seen.push(data);
  }
}

const servers = new Set<{ stop(): Promise<void> }>();
after(async () => void (await Promise.all([...servers].map((server) => server.stop()))));

function kept<T extends { stop(): Promise<void> }>(server: T): T {
  servers.add(server);
  return server;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test("start-up fails clearly if Redis cannot be used, and leaves nothing behind", async () => {
  const nobody = await freePort();
  const server = kept(await RedisServer.start("--requirepass", "right"));
  const cluster = kept(await RedisServer.start("--cluster-enabled", "yes"));
  const fails = async (url: string, expected: RegExp): Promise<void> => {
    const reported: Error[] = [];
    await assert.rejects(
      openRedis([url], { timeout: 2_000, onError: (error) => reported.push(error) }),
      (error) => error instanceof Error && expected.test(error.message) && !error.message.includes("wrong"),
      url,
    );
    assert.deepEqual(reported, [], "the rejection says it");
  };
  await fails(`redis://127.0.0.1:${nobody}`, /^Redis at redis:\/\/127.0.0.1:\d+ can't be used: connect ECONNREFUSED/);
  await fails(`redis+cluster://127.0.0.1:${nobody}`, /^Redis at 127.0.0.1:\d+ can't be used: connect ECONNREFUSED/);
  await fails(`redis+sentinel://127.0.0.1:${nobody}/main`, /All sentinels are unreachable/);
  await fails(`redis://:wrong@127.0.0.1:${server.port}`, /WRONGPASS/);
  await fails(server.url, /NOAUTH/);
  await fails(cluster.url, /is a server of a cluster: use a URL that begins with redis\+cluster:/);
  await fails(
    `redis+cluster://:right@127.0.0.1:${server.port}`,
    /is not a server of a cluster: use a URL that begins with redis:/,
  );
  const silent = await TcpProxy.start(server.port);
  silent.silence();
  await fails(`redis://127.0.0.1:${silent.port}`, /can't be used/);
  await silent.stop();
  await assert.rejects(openRedis([]), TypeError);
  await assert.rejects(openRedis([server.url, server.url]), /the same/);
});

test("subscriptions made without a connection are made when there is one", async () => {
  await loadClient();
  const server = kept(await RedisServer.start());
  const proxy = kept(await TcpProxy.start(server.port));
  proxy.cut();
  const context = { settings: resolveRedisOptions({ timeout: TIMEOUT }), metrics: new StoreMetrics() };
  const messages: string[] = [];
  const interrupted: string[] = [];
  const subscriber = new Subscriber(new Server("there", { port: proxy.port }, context), false, context, {
    message: (name, message) => messages.push(`${name} ${message}`),
    interrupted: (names) => interrupted.push(...names),
    moved: () => undefined,
  });
  subscriber.adopt("x");
  subscriber.resubscribe();
  await assert.rejects(subscriber.subscribe("y"), StoreUnavailableError);
  const refused = proxy.refused;
  subscriber.openLater();
  await until("it has tried", () => proxy.refused > refused);
  proxy.heal();
  await until("it is subscribed", () => interrupted.includes("x"));
  await server.command("PUBLISH", "x", "1");
  await until("it comes", () => messages.length > 0);
  assert.deepEqual([messages, interrupted, [...subscriber.names]], [["x 1"], ["x"], ["x"]]);
  assert.equal(context.metrics.subscriptions, 1);
  subscriber.close();
});

test("opened connections are closed at the end of the hub, or by close", async () => {
  const server = kept(await RedisServer.start());
  const connections = async (): Promise<number> =>
    String(await server.command("CLIENT", "LIST"))
      .trim()
      .split("\n").length - 1;
  await withHub([server.url], async () => assert.equal(await connections(), 2));
  await until("all are closed", async () => (await connections()) === 0);
  const redis = await openRedis([server.url]);
  redis.close();
  redis.close();
  await until("all are closed", async () => (await connections()) === 0);
  await assert.rejects(redis.presenceStore.start(), /have been closed/);
  {
    await using _redis = await openRedis([server.url]);
    assert.ok((await connections()) > 0);
  }
  await until("all are closed", async () => (await connections()) === 0);
});

test("a lost connection: nothing is missed, publishing fails temporarily and in bounded time", async () => {
  const server = kept(await RedisServer.start());
  const proxy = kept(await TcpProxy.start(server.port));
  await withHub([server.url], (far) =>
    withHub(
      [`redis://127.0.0.1:${proxy.port}`],
      async (near, reported) => {
        const follower = await Follower.start(near, "a");
        for (const n of range(0, 10)) await publish(far, "a", n);
        await until("they come", async () => (await follower.read()).length === 10);
        proxy.cut();
        for (const n of range(10, 20)) await publish(far, "a", n);
        // while the connection is still cut: the calls' own time limit ends them
        await assert.rejects(near.publish("a", "x"), { code: 100, temporary: true });
        await assert.rejects(near.history("a"), { code: 100, temporary: true });
        const refused = proxy.refused;
        await until("both connections have tried again", () => proxy.refused >= refused + 6);
        assert.equal(follower.client.closedWith, undefined, "connections stay");
        proxy.heal();
        await publish(near, "a", 20);
        await until("all have come", async () => (await follower.read()).length === 21);
        assert.deepEqual(follower.seen, range(0, 21));
        assert.deepEqual([follower.returns, follower.lost], [0, 0]);
        assert.equal(reported.length, 2, `each connection's loss is told once: ${reported.join("; ")}`);
        await until("both connections are back", () => (near.metrics.store?.reconnects ?? 0) >= 2);
        await until("the channel was checked", () => (near.metrics.store?.interruptions ?? 0) >= 1);
        assert.ok((near.metrics.store?.failures ?? 0) >= 1);
        assert.ok((near.metrics.store?.roundTrips.count ?? 0) >= 1);
      },
      { prefix: `faults${prefixes - 1}` },
    ),
  );
});

test("half-open silence is detected, and nothing is missed", async () => {
  const server = kept(await RedisServer.start());
  const proxy = kept(await TcpProxy.start(server.port));
  const prefix = `faults${prefixes}`;
  await withHub([server.url], (far) =>
    withHub(
      [`redis://127.0.0.1:${proxy.port}`],
      async (near) => {
        const follower = await Follower.start(near, "a");
        await publish(far, "a", 0);
        await until("it comes", async () => (await follower.read()).length === 1);
        proxy.silence();
        for (const n of range(1, 10)) await publish(far, "a", n);
        // while the proxy is still silent: the call's own time limit ends it
        await assert.rejects(near.publish("a", "x", { idempotencyKey: "x" }), { code: 100, temporary: true });
        proxy.heal();
        await until("all have come", async () => (await follower.read()).length === 10);
        assert.deepEqual(follower.seen, range(0, 10));
        assert.equal(await publish(near, "a", 10), 1);
        await until("it comes", async () => (await follower.read()).length === 11);
        assert.deepEqual([follower.returns, follower.lost], [0, 0]);
      },
      { prefix },
    ),
  );
});

test("a message that Redis never delivered is detected by the position check", async () => {
  const server = kept(await RedisServer.start());
  await withHub([server.url], async (hub) => {
    const follower = await Follower.start(hub, "a");
    await publish(hub, "a", 0);
    await until("it comes", async () => (await follower.read()).length === 1);
    // as if the last message were lost: in the stream, not in the channel
    const [meta] = (await server.command("KEYS", "*:m")) as [string];
    await server.command("HINCRBY", meta, "o", "1");
    await server.command("XADD", meta.replace(/:m$/, ":s"), "2", "p", "0|1");
    await until("it comes", async () => (await follower.read()).length === 2);
    assert.deepEqual(follower.seen, [0, 1]);
    assert.equal(hub.metrics.gaps, 1);
  });
});

test("subscriptions of a killed connection are made again", async () => {
  const server = kept(await RedisServer.start());
  await withHub([server.url], async (hub) => {
    const followers = await Promise.all(range(0, 20).map((n) => Follower.start(hub, `c${n}`)));
    for (let round = 0; round < 3; round++) {
      await server.command("CLIENT", "KILL", "TYPE", "pubsub");
      for (const n of range(0, 20)) await publish(hub, `c${n}`, round);
    }
    for (const follower of followers) {
      await until("all have come", async () => (await follower.read()).length === 3);
      assert.deepEqual(follower.seen, [0, 1, 2]);
      assert.equal(follower.returns, 0);
    }
  });
});

test("Redis killed and restarted with its append-only file: acknowledged publications remain, clients recover", async () => {
  const server = kept(await RedisServer.start("--appendonly", "yes", "--appendfsync", "everysec"));
  await withHub([server.url], async (hub) => {
    const follower = await Follower.start(hub, "a");
    for (const n of range(0, 20)) await publish(hub, "a", n);
    await server.kill();
    const publishing = publish(hub, "a", 20);
    await server.run();
    assert.ok((await publishing) > 1);
    for (const n of range(21, 30)) await publish(hub, "a", n);
    await until("all have come", async () => (await follower.read()).length === 30);
    assert.deepEqual(follower.seen, range(0, 30));
    assert.equal(follower.lost, 0);
    assert.equal(follower.returns, 1, "it is another dataset: the client has to learn the new epoch");
    const page = await hub.history("a", { limit: -1 });
    assert.deepEqual(
      page.publications.map(({ data }) => data),
      range(0, 30),
    );
  });
});

test("Redis restarted with an old snapshot: clients ahead of it are notified, others continue", async () => {
  const server = kept(await RedisServer.start());
  await withHub([server.url], async (hub) => {
    const behind = await Follower.start(hub, "a");
    const ahead = await Follower.start(hub, "a");
    for (const n of range(0, 5)) await publish(hub, "a", n);
    await until("they come", async () => (await behind.read()).length === 5);
    behind.client.lose();
    const { epoch } = await hub.history("a");
    await server.command("SAVE");
    for (const n of range(5, 10)) await publish(hub, "a", n);
    await until("they come", async () => (await ahead.read()).length === 10);
    await server.kill();
    await server.run();
    for (const n of range(10, 13)) await publish(hub, "a", n);
    await until("it comes back", async () => (await ahead.read()).length === 10 && ahead.returns > 0);
    assert.equal(ahead.lost, 1, "it has seen offsets 6 to 10, which have other contents now: the client is notified");
    const page = await hub.history("a", { limit: -1, since: { epoch, offset: 5 } });
    assert.notEqual(page.epoch, epoch);
    assert.deepEqual(
      page.publications.map(({ offset, data }) => [offset, data]),
      [
        [6, 10],
        [7, 11],
        [8, 12],
      ],
      "a position of the old epoch that still holds is a place in the stream",
    );
    await assert.rejects(hub.history("a", { since: { epoch, offset: 6 } }), { code: 112 });
    const again = await new TestClient(hub).connect();
    const result = await again.subscribe("a", { recover: true, offset: 5, epoch });
    assert.equal(result.recovered, true);
    assert.equal(result.epoch, page.epoch);
    assert.deepEqual(
      result.publications?.map(({ data }) => data),
      [10, 11, 12],
    );
    const gone = await new TestClient(hub).connect();
    assert.equal((await gone.subscribe("a", { recover: true, offset: 7, epoch })).recovered, undefined);
  });
});

test("Redis restarted without data has a new epoch", async () => {
  const server = kept(await RedisServer.start());
  await withHub([server.url], async (hub) => {
    const follower = await Follower.start(hub, "a");
    for (const n of range(0, 3)) await publish(hub, "a", n);
    await until("they come", async () => (await follower.read()).length === 3);
    await server.kill();
    await server.run();
    for (const n of range(3, 9)) await publish(hub, "a", n);
    await until("it comes back", async () => (await follower.read()) !== undefined && follower.returns > 0);
    assert.equal(follower.lost, 1);
    await publish(hub, "a", 9);
    await until("it goes on", async () => (await follower.read()).at(-1) === 9);
  });
});

test("scripts flushed from Redis are loaded again, and the order is kept", async () => {
  const server = kept(await RedisServer.start());
  const redis = await openRedis([server.url], { prefix: "flush" });
  await redis.broker.start({
    publication: () => undefined,
    join: () => {},
    leave: () => {},
    control: () => {},
    interrupted: () => {},
  });
  await server.command("SCRIPT", "FLUSH");
  const results = await Promise.all(range(0, 300).map((n) => redis.broker.publish("a", { data: `${n}` }, KEEP)));
  assert.deepEqual(
    results.map(({ offset }) => offset),
    range(1, 301),
  );
  const { publications } = await redis.broker.history("a", { limit: -1 }, 60_000);
  assert.deepEqual(
    publications.map(({ data }) => data),
    range(0, 300).map(String),
  );
  await server.command("SCRIPT", "FLUSH");
  await Promise.all([
    redis.presenceStore.add("a", { client: "1", user: "" }),
    redis.presenceStore.remove("a", { client: "1", user: "" }),
  ]);
  assert.deepEqual((await redis.presenceStore.clients("a")).clients, []);
  await redis.broker.stop();
  redis.close();
});

test("presence: clients of a dead node expire, and return with a silent one", async () => {
  const server = kept(await RedisServer.start());
  const prefix = `faults${prefixes}`;
  await withHub(
    [server.url],
    async (hub) => {
      const dead = await openRedis([server.url], { prefix, presenceTtl: 600_000 });
      await dead.presenceStore.add("a", { client: "dead", user: "d" });
      dead.close();
      await (await new TestClient(hub).connect()).subscribe("a");
      assert.equal((await hub.presenceStats("a")).clients, 2);
      await server.elapse(600_000, prefix);
      await until("only who is renewed is there", async () => (await hub.presenceStats("a")).clients === 1);
      await until("all are lost", async () => {
        await server.command("DEL", ...((await server.command("KEYS", "*:p?")) as string[]), "none");
        return (await hub.presenceStats("a")).clients === 0;
      });
      await until("who is there is renewed", async () => (await hub.presenceStats("a")).clients === 1);
    },
    { prefix, presenceTtl: 6_000 },
  );
});

test("a replica promoted by sentinels: all continue with it, and are notified of losses", async () => {
  const servers = kept(await SentinelServers.start());
  await withHub([servers.url], async (hub) => {
    const followers = await Promise.all(range(0, 5).map((n) => Follower.start(hub, `c${n}`)));
    for (const n of range(0, 5)) for (const c of range(0, 5)) await publish(hub, `c${c}`, n);
    await servers.replicated();
    await servers.primary.kill();
    for (const n of range(5, 10)) for (const c of range(0, 5)) await publish(hub, `c${c}`, n);
    for (const follower of followers) {
      await until("all have come", async () => (await follower.read()).length === 10);
      assert.deepEqual(follower.seen, range(0, 10));
      assert.deepEqual([follower.returns, follower.lost], [1, 0]);
    }
  });
});

test("a cluster's replica promoted: its slots continue", async () => {
  const cluster = kept(await RedisClusterServers.start(3, 1));
  await withHub([cluster.url], async (hub) => {
    const followers = await Promise.all(range(0, 9).map((n) => Follower.start(hub, `c${n}`)));
    for (const n of range(0, 3)) for (const c of range(0, 9)) await publish(hub, `c${c}`, n);
    await cluster.replicated();
    await cluster.servers[0]?.kill();
    for (const n of range(3, 6)) for (const c of range(0, 9)) await publish(hub, `c${c}`, n);
    for (const follower of followers) {
      await until("all have come", async () => (await follower.read()).length === 6);
      assert.deepEqual(follower.seen, range(0, 6));
      assert.equal(follower.lost, 0);
    }
    assert.ok(followers.some(({ returns }) => returns === 1) && followers.some(({ returns }) => returns === 0));
  });
});

test("a cluster: a moved slot takes its subscriptions along", async () => {
  const cluster = kept(await RedisClusterServers.start(2));
  await withHub([cluster.url], async (hub) => {
    const channels = range(0, 8).map((n) => `c${n}`);
    const followers = await Promise.all(channels.map((channel) => Follower.start(hub, channel)));
    for (const channel of channels) await publish(hub, channel, 0);
    const [from, to] = cluster.servers;
    assert.ok(from !== undefined && to !== undefined);
    const owned = (await from.command("KEYS", "*:m")) as string[];
    assert.ok(owned.length > 0 && owned.length < 8);
    const ids = [String(await from.command("CLUSTER", "MYID")), String(await to.command("CLUSTER", "MYID"))];
    for (const [i, meta] of owned.entries()) {
      const slot = String(await from.command("CLUSTER", "KEYSLOT", meta));
      await to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0] ?? "");
      await from.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1] ?? "");
      const keys = (await from.command("CLUSTER", "GETKEYSINSLOT", slot, "100")) as string[];
      await from.command("MIGRATE", "127.0.0.1", String(to.port), "", "0", "5000", "KEYS", ...keys);
      // the keys have moved, the slot not yet: the server answers ASK
      if (i === 0) await hub.publish(meta.slice(meta.indexOf(".") + 1, meta.lastIndexOf("}")), "on the way");
      for (const server of [to, from]) await server.command("CLUSTER", "SETSLOT", slot, "NODE", ids[1] ?? "");
    }
    for (const channel of channels) await publish(hub, channel, 1);
    for (const follower of followers) {
      await until("all have come", async () => (await follower.read()).at(-1) === 1);
      assert.deepEqual(
        follower.seen.filter((each) => each !== "on the way"),
        [0, 1],
      );
      assert.equal(follower.lost, 0);
    }
    assert.equal(followers.filter(({ seen }) => seen.includes("on the way")).length, 1);
    for (const channel of channels) await publish(hub, channel, 2);
    for (const follower of followers) await until("it goes on", async () => (await follower.read()).at(-1) === 2);
  });
});
