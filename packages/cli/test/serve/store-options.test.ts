// Settings of the stores and of tokens, in a file, by what `tungstate serve` does with them.
import { type Clock, createToken } from "@tungstate/hub";
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { WebSocket } from "ws";
import { Program, Server } from "../support/program.ts";

const KEY = "a key of sixteen characters or more";
const SECRET = "a secret of at least thirty-two bytes, which is the least";

const folder = mkdtempSync(join(tmpdir(), "tungstate-stores-"));
after(() => rmSync(folder, { recursive: true }));

function written(content: unknown): string {
  const file = join(folder, "settings.json");
  writeFileSync(file, JSON.stringify(content));
  return file;
}

async function call(server: Server, method: string, body: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(`${server.url}/api/${method}`, {
    method: "POST",
    headers: { "X-API-Key": KEY, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return ((await response.json()) as { result: Record<string, unknown> }).result;
}

/** The code of the error with which a client of this token is refused; 0 if it is connected. */
async function codeFor(server: Server, token: string): Promise<number> {
  const socket = new WebSocket(server.ws("/connection/websocket"));
  await once(socket, "open");
  socket.send(JSON.stringify({ id: 1, connect: { token } }));
  const [data] = (await once(socket, "message")) as [Buffer];
  socket.terminate();
  const reply = JSON.parse(data.toString()) as { error?: { code: number } };
  return reply.error?.code ?? 0;
}

for (const workers of [1, 2]) {
  describe(`serve with ${workers} ${workers === 1 ? "process" : "workers"}`, () => {
    test("keeps history of up to historyBytes", async () => {
      const data = "x".repeat(1000);
      const kept: number[] = [];
      for (const historyBytes of [20_000, 10_000_000]) {
        const config = written({ workers, historyBytes, apiKey: [KEY] });
        await using server = await Server.start("--config", config);
        for (let i = 0; i < 50; i++) await call(server, "publish", { channel: "public:x", data });
        const { publications } = await call(server, "history", { channel: "public:x", limit: 100 });
        assert.ok(Array.isArray(publications));
        kept.push(publications.length);
      }
      assert.ok(kept[0] !== undefined && kept[0] < 20, `${kept[0]} of 20,000 bytes`);
      assert.equal(kept[1], 50);
    });

    test("accepts tokens that have expired no longer than tokenClockTolerance ago", async () => {
      const ttl = 60; // seconds
      const madeAt = Date.now() - (ttl + 600) * 1000;
      const clock: Clock = {
        now: () => 0,
        unix: () => madeAt,
        after: () => () => undefined,
        endOfTick: () => undefined,
      };
      const token = await createToken({ secret: SECRET, user: "u", ttl, clock });
      for (const [tokenClockTolerance, code] of [
        [0, 109],
        [3600, 0],
      ] as const) {
        const config = written({ workers, tokenClockTolerance, tokenSecret: SECRET });
        await using server = await Server.start("--config", config);
        assert.equal(await codeFor(server, token), code);
      }
    });
  });
}

test("settings that would have no effect, and files that cannot be used, are reported together", async () => {
  const config = written({
    redisTimeout: 1000,
    redisPresenceTtl: 1000,
    redisCa: join(folder, "settings.json"),
    redisCert: join(folder, "missing.pem"),
    tokenClockTolerance: 5,
  });
  await using program = new Program("serve", "--config", config);
  assert.equal((await program.run()).code, 1);
  for (const expected of [
    /--redis-timeout requires --redis$/m,
    /--redis-presence-ttl requires --redis$/m,
    /--redis-ca requires --redis$/m,
    /--redis-ca .*: expected a certificate in PEM, found none/,
    /--redis-cert requires --redis-key/,
    /--token-clock-tolerance requires --token-secret/,
  ]) {
    assert.match(program.stderr, expected);
  }
});

test("historyBytes is not for Redis, and certificates are for rediss: URLs", async () => {
  const config = written({ redis: ["redis://127.0.0.1:1"], historyBytes: 1000, redisKey: "key.pem" });
  await using program = new Program("serve", "--config", config);
  assert.equal((await program.run()).code, 1);
  assert.match(
    program.stderr,
    /--history-bytes limits the memory of this server; with --redis, use --redis-memory-limit/,
  );
  assert.match(program.stderr, /--redis-key requires a --redis with a rediss: URL/);
  assert.match(program.stderr, /--redis-key requires --redis-cert/);
});
