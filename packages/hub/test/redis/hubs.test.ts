import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Hub } from "../../src/hub/hub.ts";
import { ClusterDeployment } from "../../src/redis/cluster.ts";
import { RedisConnections } from "../../src/redis/connections.ts";
import { openRedis } from "../../src/redis/open-redis.ts";
import type { RedisOptions } from "../../src/redis/options.ts";
import { RedisBroker } from "../../src/redis/redis-broker.ts";
import { NAMESPACES } from "../support/hubs.ts";
import { pubsOf, TestClient } from "../support/test-client.ts";
import { until } from "../support/until.ts";
import { freePort, RedisClusterServers, RedisServer } from "./support/redis-server.ts";

interface Nodes {
  readonly a: Hub;
  readonly b: Hub;
  readonly errors: unknown[];
}

async function withNodes(
  urls: readonly string[],
  run: (nodes: Nodes) => Promise<void>,
  options?: RedisOptions,
): Promise<void> {
  const errors: unknown[] = [];
  const hubs: Hub[] = [];
  const add = async (name: string): Promise<Hub> => {
    const redis = await openRedis(urls, options);
    const hub = new Hub({
      name,
      namespaces: NAMESPACES,
      authenticate: ({ data }) => ({ user: String(data) }),
      ping: false,
      broker: redis.broker,
      presence: redis.presenceStore,
      onError: (error) => errors.push(error),
    });
    hubs.push(hub);
    await hub.start();
    return hub;
  };
  try {
    await run({ a: await add("a"), b: await add("b"), errors });
  } finally {
    for (const hub of hubs) await hub.close();
  }
}

test("two nodes on one Redis form one hub", async () => {
  const server = await RedisServer.start();
  await withNodes([server.url], async ({ a, b, errors }) => {
    await until("they know each other", () => a.nodes().length === 2 && b.nodes().length === 2);
    const alice = await new TestClient(a).connect({ data: "alice" });
    const bob = await new TestClient(b).connect({ data: "bob" });
    await alice.subscribe("public:x");
    await bob.subscribe("public:x");
    assert.deepEqual((await a.presence("public:x")).map(({ user }) => user).toSorted(), ["alice", "bob"]);
    const seen = new Map<TestClient, unknown[]>([
      [alice, []],
      [bob, []],
    ]);
    const read = (client: TestClient): unknown[] => {
      const lines = client.take();
      const all = seen.get(client) ?? [];
      all.push(...pubsOf(lines).map(({ data, offset }) => [data, offset]));
      for (const { push } of lines) {
        if (push?.join !== undefined) all.push(`+${push.join.info.user}`);
        if (push?.leave !== undefined) all.push(`-${push.leave.info.user}`);
        if (push?.unsubscribe !== undefined) all.push(push.unsubscribe.code);
        if (push?.message !== undefined) all.push(push.message.data);
      }
      return all;
    };
    await until("alice hears of bob", () => read(alice).includes("+bob"));
    await bob.succeed({ publish: { channel: "public:x", data: { from: "bob" } } });
    await until("alice has it", () => JSON.stringify(read(alice)).includes('[{"from":"bob"},1]'));
    await a.send("bob", "to bob");
    await until("it comes", () => read(bob).includes("to bob"));
    await a.unsubscribe("bob", "public:x");
    await until("bob is told", () => read(bob).includes(2000));
    await until("alice hears of that", () => read(alice).includes("-bob"));
    await a.subscribe("bob", "quiet:y");
    await until("bob is subscribed", () => bob.session.channels.includes("quiet:y"));
    a.onSurvey("clients", () => a.info().clients);
    b.onSurvey("clients", () => b.info().clients);
    assert.deepEqual(
      (await b.survey("clients")).map((answer) => ("result" in answer ? answer.result : answer.error)),
      [1, 1],
    );
    await a.disconnect("bob");
    await until("bob is sent away", () => bob.closedWith?.code === 3503);
    assert.deepEqual(errors, []);
  });
  await server.stop();
});

test("channels are spread over several Redis servers, each in one of them", async () => {
  const servers = [await RedisServer.start(), await RedisServer.start()];
  await withNodes(
    servers.map(({ url }) => url),
    async ({ a, b }) => {
      const client = await new TestClient(a).connect({ data: "alice" });
      const channels = Array.from({ length: 20 }, (_, i) => `quiet:${i}`);
      for (const channel of channels) await client.subscribe(channel);
      for (const channel of channels) await b.publish(channel, channel);
      const seen: unknown[] = [];
      await until("all have come", () => seen.push(...pubsOf(client.take()).map(({ data }) => data)) === 20);
      const counts = await Promise.all(
        servers.map(async (server) => ((await server.command("KEYS", "*:s")) as string[]).length),
      );
      assert.equal((counts[0] ?? 0) + (counts[1] ?? 0), 20);
      assert.ok(
        counts.every((count) => count > 2),
        String(counts),
      );
    },
  );
  for (const server of servers) await server.stop();
});

test("a cluster without sharded pub/sub, as before Redis 7: publications on any node arrive", async () => {
  const cluster = await RedisClusterServers.start(3);
  const brokers: RedisBroker[] = [];
  const seen: [string, string, number][] = [];
  for (let i = 0; i < 2; i++) {
    const connections = new RedisConnections([cluster.url]);
    await connections.open();
    for (const each of connections.deployments) if (each instanceof ClusterDeployment) each.publishes = "PUBLISH";
    const broker = new RedisBroker(connections);
    await broker.start({
      publication: (channel, { data, offset }) => {
        seen.push([channel, data, offset]);
        return undefined;
      },
      join: () => {},
      leave: () => {},
      control: (message) => void seen.push(["", message, 0]),
      interrupted: () => {},
    });
    brokers.push(broker);
  }
  const [from, to] = brokers;
  const channels = Array.from({ length: 12 }, (_, i) => `c${i}`);
  const options = { historySize: 10, historyTtl: 60_000, metaTtl: 60_000 };
  for (const channel of channels) await to?.subscribe(channel);
  for (const data of ["a", "b"]) for (const channel of channels) await from?.publish(channel, { data }, options);
  await from?.control("hello");
  await until("all have come", () => seen.length === 25);
  for (const channel of channels) {
    assert.deepEqual(
      seen.filter(([name]) => name === channel),
      [
        [channel, "a", 1],
        [channel, "b", 2],
      ],
    );
  }
  for (const broker of brokers) await broker.stop();
  await cluster.stop();
});

test("an outage of Redis is reported once, not for each failure", async () => {
  const server = await RedisServer.start();
  const reported: string[] = [];
  await withNodes(
    [server.url],
    async ({ a, errors }) => {
      const client = await new TestClient(a).connect({ data: "alice" });
      await client.subscribe("public:x");
      await server.kill();
      await until("it is noticed, by two connections of two nodes", () => reported.length === 4);
      for (let i = 0; i < 20; i++) {
        assert.equal(await client.refused({ publish: { channel: "public:x", data: i } }), 100);
      }
      assert.equal(await client.refused({ presence: { channel: "public:x" } }), 100);
      assert.equal(await client.refused({ subscribe: { channel: "quiet:y" } }), 100);
      assert.equal(client.closedWith, undefined);
      assert.deepEqual(errors, []);
      assert.equal(reported.length, 4);
    },
    { timeout: 1_000, onError: ({ message }) => reported.push(message) },
  );
  await server.stop();
});

test("Redis over TLS, whose certificate is verified", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-tls-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const made = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"],
    ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
  ]);
  assert.equal(made.status, 0, String(made.stderr));
  const port = await freePort();
  const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
  const server = await RedisServer.start("--tls-port", String(port), "--tls-auth-clients", "no", ...files);
  const url = `rediss://localhost:${port}`;
  const ca = readFileSync(cert);
  await withNodes([url], async ({ a }) => void (await a.publish("quiet:x", 1)), { tls: { ca } });
  await assert.rejects(openRedis([url]), /self-signed certificate/);
  await server.stop();
  rmSync(folder, { recursive: true });
});
