import assert from "node:assert/strict";
import { once } from "node:events";
import { type Socket } from "node:net";
import { request } from "node:http";
import { test } from "node:test";
import { connect, ConnectError } from "tungstate";
import { neverCloses } from "../support/clients.ts";
import { Server } from "../support/program.ts";

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`drains on ${signal}: stops accepting, closes with 1001, exits with 0 in time`, async () => {
    await using server = await Server.start("--drain", "4");
    const clients = await Promise.all(["/ws", "/echo"].map((path) => connect(server.ws(path))));
    const idle = await keptAlive(server.port);
    const stubborn = await neverCloses(server.port);
    const started = performance.now();
    server.child.kill(signal);
    // npm forwards Ctrl+C a second time
    server.child.kill(signal);
    const infos = await Promise.all(clients.map((client) => client.closed));
    assert.deepEqual(
      infos.map(({ code, clean }) => ({ code, clean })),
      [
        { code: 1001, clean: true },
        { code: 1001, clean: true },
      ],
    );
    await assert.rejects(
      connect(server.ws("/ws")),
      (error) => error instanceof ConnectError && error.code === "REFUSED",
    );
    assert.deepEqual(await server.exited, { code: 0, signal: null });
    const took = performance.now() - started;
    assert.ok(took >= 3_900, `the one that does not answer had its time: ${took}`);
    assert.match(server.stdout, /^listening on \S+\n$/);
    idle.destroy();
    stubborn.destroy();
  });
}

for (const workers of ["1", "2"]) {
  for (const signals of [
    ["SIGTERM", "SIGTERM"],
    ["SIGINT", "SIGINT"],
    ["SIGINT", "SIGTERM"],
  ] as const) {
    test(`${signals.join(", then ")} with --workers ${workers} ends the drain with status 0`, async () => {
      await using server = await Server.start("--drain", "3600", "--workers", workers);
      const stubborn = await neverCloses(server.port);
      server.child.kill(signals[0]);
      await server.shows(/"draining"/, "stderr");
      // a second signal within a second would be ignored
      const again = setInterval(() => server.child.kill(signals[1]), 100);
      assert.deepEqual(await server.exited, { code: 0, signal: null });
      clearInterval(again);
      assert.match(server.stderr, /"a second signal ended the drain"/);
      stubborn.destroy();
    });
  }
}

test("--drain 0 terminates clients at once", async () => {
  await using server = await Server.start("--drain", "0");
  const stubborn = await neverCloses(server.port);
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.exited, { code: 0, signal: null });
  stubborn.destroy();
});

test("exits at once without clients", async () => {
  await using server = await Server.start("--drain", "3600");
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.exited, { code: 0, signal: null });
});

/** An HTTP connection that stays open after its response. */
async function keptAlive(port: number): Promise<Socket> {
  const asked = request({ port, host: "127.0.0.1", path: "/health", headers: { connection: "keep-alive" } });
  asked.on("error", () => undefined);
  asked.end();
  const [response] = (await once(asked, "response")) as [{ resume(): void; socket: Socket }];
  const { socket } = response;
  socket.on("error", () => undefined);
  response.resume();
  return socket;
}
