// Servers that share channels through Redis.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import process from "node:process";
import { after, before, test } from "node:test";
import { Centrifuge, type PublicationContext, type Subscription } from "centrifuge";
import { WebSocket } from "ws";
import { RedisServer } from "../../../hub/test/redis/support/redis-server.ts";
import { Program, Server } from "../support/program.ts";
import { until } from "../support/until.ts";

let redis: RedisServer;
before(async () => (redis = await RedisServer.start()));
after(() => redis.stop());

const url = (): string => `redis://127.0.0.1:${redis.port}`;

async function subscribed(server: Server, channel: string, clients: Centrifuge[]): Promise<Subscription> {
  const client = new Centrifuge(server.ws("/connection/websocket"), { websocket: WebSocket, minReconnectDelay: 20 });
  clients.push(client);
  client.connect();
  const subscription = client.newSubscription(channel);
  subscription.subscribe();
  await subscription.ready(60_000);
  return subscription;
}

for (const workers of ["1", "2"]) {
  test(`two servers with --workers ${workers} form one hub; a server with another prefix forms another`, async () => {
    const args = ["--redis", url(), "--redis-prefix", `w${workers}`, "--workers", workers];
    const clients: Centrifuge[] = [];
    await using one = await Server.start(...args);
    await using two = await Server.start(...args);
    await using elsewhere = await Server.start("--redis", url(), "--redis-prefix", `elsewhere${workers}`);
    try {
      const [speaking, listening, apart] = await Promise.all(
        [one, two, elsewhere].map((server) => subscribed(server, "public:room", clients)),
      );
      assert.ok(speaking !== undefined && listening !== undefined && apart !== undefined);
      const received = new Promise<PublicationContext>((resolve) => void listening.once("publication", resolve));
      await speaking.publish({ text: "hello" });
      assert.deepEqual((await received).data, { text: "hello" });
      assert.equal((await listening.presenceStats()).numClients, 2);
      assert.equal((await listening.history({ limit: 10 })).publications.length, 1);
      assert.equal((await apart.presenceStats()).numClients, 1);
      assert.equal((await apart.history({ limit: 10 })).publications.length, 0);
      for (const server of [one, two]) {
        server.child.kill("SIGTERM");
        assert.deepEqual(await server.exited, { code: 0, signal: null });
      }
    } finally {
      for (const client of clients) client.disconnect();
    }
  });
}

test("a worker that cannot start leaves no process behind, and is replaced when Redis is back", async () => {
  const own = await RedisServer.start();
  try {
    await using server = await Server.start("--redis", own.url, "--workers", "2");
    await own.kill();
    const [, pid] = /"pid":(\d+),"worker":2,.*"msg":"serving /.exec(server.stderr) ?? [];
    process.kill(Number(pid), "SIGKILL");
    await server.shows(/(?:"msg":"a worker cannot be started"[^]*){3}/, "stderr");
    // the remaining worker, and at most one that is about to exit
    const processes = childrenOf(server.child.pid);
    assert.ok(processes.length <= 3, `${processes.length} processes`);
    await own.run();
    const [, next] = await server.shows(/"worker":([3-9]|\d\d),"msg":"serving /, "stderr");
    assert.ok(Number(next) > 5);
    await until("two workers", () => childrenOf(server.child.pid).length <= 2);
    server.child.kill("SIGTERM");
    assert.deepEqual(await server.exited, { code: 0, signal: null });
  } finally {
    await own.stop();
  }
});

function childrenOf(pid: number | undefined): string[] {
  const lines = execFileSync("ps", ["-ax", "-o", "ppid=,stat="], { encoding: "utf8" }).split("\n");
  return lines.filter((line) => {
    const [parent, state = ""] = line.trim().split(/\s+/);
    return parent === String(pid) && !state.startsWith("Z");
  });
}

for (const workers of ["1", "2"]) {
  test(`each process of --workers ${workers} logs a failure of Redis once, however many calls fail`, async () => {
    const own = await RedisServer.start();
    const clients: Centrifuge[] = [];
    try {
      await using server = await Server.start("--redis", own.url, "--workers", workers);
      const subscriptions = await Promise.all(
        Array.from({ length: 4 }, (_, index) => subscribed(server, `public:${index}`, clients)),
      );
      await own.kill();
      for (let round = 0; round < 10; round++) {
        const calls = subscriptions.flatMap((each) => [
          each.publish(round),
          each.presence(),
          each.history({ limit: 1 }),
        ]);
        for (const { status } of await Promise.allSettled(calls)) assert.equal(status, "rejected");
      }
      await server.shows(/"msg":"redis"/, "stderr");
      const errors = server.stderr.split("\n").filter((line) => line.includes('"level":50'));
      const reported = errors.filter((line) => line.includes('"msg":"redis"'));
      assert.deepEqual(errors, reported);
      // the two connections of a process may be lost in different ways
      assert.ok(reported.length <= 3 * Number(workers), reported.join("\n"));
    } finally {
      for (const client of clients) client.disconnect();
      await own.stop();
    }
  });
}

test("a missing Redis, or a port that is not Redis, fails the start with one line", async () => {
  await using http = await Server.start("--log-level", "silent");
  const cases: [address: string, line: RegExp][] = [
    ["redis://127.0.0.1:1", /^tungstate: Redis at redis:\/\/127\.0\.0\.1:1 can't be used: .*ECONNREFUSED.*\n$/],
    [`redis://u:secret@127.0.0.1:${http.port}`, /^tungstate: Redis at redis:\/\/127\.0\.0\.1:\d+ can't be used: .*\n$/],
    ["http://u:secret@127.0.0.1", /^tungstate: a Redis URL must begin with redis:\/\/, .*\n$/],
  ];
  await Promise.all(
    cases.map(async ([address, line]) => {
      await using program = new Program("serve", "--port", "0", "--log-level", "silent", "--redis", address);
      assert.deepEqual(await program.run(), { code: 1, signal: null });
      assert.match(program.stderr, line);
      assert.doesNotMatch(program.stderr, /secret/);
      assert.equal(program.stdout, "");
    }),
  );
});
