// `/health` reports liveness, `/health/ready` readiness.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { describe, test } from "node:test";
import { RedisServer } from "../../../hub/test/redis/support/redis-server.ts";
import { neverCloses } from "../support/clients.ts";
import { Server } from "../support/program.ts";

interface Reply {
  readonly status: number;
  readonly body: { readonly status: string; readonly reasons?: readonly string[] };
}

async function get(server: Server, path: string): Promise<Reply> {
  const response = await fetch(server.url + path);
  assert.match(response.headers.get("content-type") ?? "", /^application\/json\b/);
  assert.equal(response.headers.get("cache-control"), "no-store");
  return { status: response.status, body: (await response.json()) as Reply["body"] };
}

/**
 * Opens a connection and sends the first part of a request, so that the server does not consider it
 * idle.
 */
async function halfRequest(server: Server, path: string): Promise<Socket> {
  const socket = connectTcp(server.port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n`);
  // a complete request before it shows that it was read
  await get(server, "/health");
  return socket;
}

async function restOf(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("latin1").write("Connection: close\r\n\r\n");
  for await (const chunk of socket) text += chunk;
  return text;
}

for (const workers of ["1", "2"]) {
  describe(`health with --workers ${workers}`, () => {
    test("reports live and ready", async () => {
      await using server = await Server.start("--workers", workers);
      assert.deepEqual(await get(server, "/health/ready"), { status: 200, body: { status: "ready" } });
      const { status, body } = await get(server, "/health");
      assert.deepEqual([status, body.status], [200, "ok"]);
      const head = await fetch(`${server.url}/health/ready`, { method: "HEAD" });
      assert.deepEqual([head.status, await head.text()], [200, ""]);
      const post = await fetch(`${server.url}/health/ready`, { method: "POST" });
      assert.deepEqual([post.status, post.headers.get("allow")], [405, "GET, HEAD"]);
    });

    test("reports live and not ready while Redis is away, with the reason", async () => {
      const redis = await RedisServer.start();
      try {
        await using server = await Server.start("--workers", workers, "--redis", redis.url, "--log-level", "silent");
        assert.equal((await get(server, "/health/ready")).status, 200);
        await redis.kill();
        // each worker detects it by itself
        for (let unready = 0; unready < 10;)
          unready = (await get(server, "/health/ready")).status === 503 ? unready + 1 : 0;
        assert.deepEqual(await get(server, "/health/ready"), {
          status: 503,
          body: { status: "not ready", reasons: ["Redis is not connected"] },
        });
        assert.equal((await get(server, "/health")).status, 200);
        await redis.run();
        for (let ready = 0; ready < 10;) ready = (await get(server, "/health/ready")).status === 200 ? ready + 1 : 0;
      } finally {
        await redis.stop();
      }
    });

    test("reports live and not ready during a drain", async () => {
      await using server = await Server.start("--workers", workers, "--drain", "3600");
      const sockets = await Promise.all(["/health/ready", "/health"].map((path) => halfRequest(server, path)));
      // two for each worker, kept open
      const stubborn = await Promise.all(Array.from({ length: 4 }, () => neverCloses(server.port)));
      server.child.kill("SIGTERM");
      for (let isListening = true; isListening;) {
        isListening = await fetch(`${server.url}/health`).then(
          (response) => response.text().then(() => true),
          () => false,
        );
      }
      const [ready = "", health = ""] = await Promise.all(sockets.map(restOf));
      assert.match(ready, /^HTTP\/1\.1 503 .*\{"status":"not ready","reasons":\["the server is draining"\]\}$/s);
      assert.match(health, /^HTTP\/1\.1 200 .*"status":"draining"/s);
      for (const socket of stubborn) socket.destroy();
    });
  });
}
