// Tungstate 0.1: one Redis key of a wrong type in a batch of three channels gave all three
// publications an error, and one of a healthy channel was not made; a frame of publications to a
// full Redis wrote 286 KB of log lines; each failed call to a Redis that was gone was logged.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { HubClient, type Reply } from "./support/hub.ts";
import { Redis } from "../support/redis.ts";
import { Watched } from "../support/watched.ts";

const CALLS = 300; // while the store fails
const MOST_LOGGED = 20_000; // bytes in that time, of all processes
const TOO_MANY = 111; // the error of the hub's rate limit

interface Failure {
  readonly fail: (redis: Redis) => Promise<unknown>;
  readonly heal: (redis: Redis) => Promise<unknown>;
  /** Whether only the channel `public:broken` fails. */
  readonly isPartial?: true;
}

const BROKEN_KEY = "tungstate:{.public:broken}:s";

const FAILURES: Readonly<Record<string, Failure>> = {
  "has a key of a wrong type": {
    isPartial: true,
    fail: async (redis) => {
      await redis.command("DEL", BROKEN_KEY);
      await redis.command("SET", BROKEN_KEY, "not ours");
    },
    heal: (redis) => redis.command("DEL", BROKEN_KEY),
  },
  "is full": {
    fail: (redis) => redis.command("CONFIG", "SET", "maxmemory", "1mb"),
    heal: (redis) => redis.command("CONFIG", "SET", "maxmemory", "0"),
  },
  "has become a replica": {
    fail: (redis) => redis.command("REPLICAOF", "127.0.0.1", "1"),
    heal: (redis) => redis.command("REPLICAOF", "NO", "ONE"),
  },
};

/** Publishes as soon as the rate limit permits it. */
async function publish(client: HubClient, channel: string): Promise<Reply> {
  for (;;) {
    const reply = await client.ask({ publish: { channel, data: "x".repeat(100) } });
    if (reply.error?.code !== TOO_MANY) return reply;
  }
}

async function serveWith(t: TestContext, workers: string): Promise<{ redis: Redis; server: Watched }> {
  const redis = await Redis.start("--maxmemory-policy", "noeviction");
  t.after(() => redis.stop());
  const server = await Watched.start("--redis", redis.url, "--workers", workers);
  t.after(() => server.stop());
  return { redis, server };
}

for (const workers of ["1", "2"]) {
  describe(`cli: tungstate serve --workers ${workers} goes on while its Redis fails, and says so in a few lines`, () => {
    for (const [what, { fail, heal, isPartial }] of Object.entries(FAILURES)) {
      test(`it ${what}`, async (t) => {
        const { redis, server } = await serveWith(t, workers);
        const client = await HubClient.open(server.ws("/connection/websocket"));
        t.after(() => client.socket.terminate());
        for (const channel of ["public:broken", "public:fine"])
          assert.equal((await publish(client, channel)).error, undefined);
        await fail(redis);
        while ((await publish(client, "public:broken")).error === undefined);
        const before = server.stderrBytes;
        for (let call = 0; call < CALLS; call++) {
          // one batch: both are sent in one tick
          const [broken, fine] = await Promise.all([publish(client, "public:broken"), publish(client, "public:fine")]);
          assert.notEqual(broken.error, undefined);
          assert.equal(fine.error === undefined, isPartial === true);
        }
        const logged = server.stderrBytes - before;
        assert.ok(logged < MOST_LOGGED, `${logged} bytes`);
        await heal(redis);
        for (const channel of ["public:broken", "public:fine"])
          while ((await publish(client, channel)).error !== undefined);
        assert.ok(server.isRunning);
      });
    }
  });
}
