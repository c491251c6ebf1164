// `tungstate serve --workers`: several processes that act as one server.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { Centrifuge, type LeaveContext, type PublicationContext, type Subscription } from "centrifuge";
import { connect, type WebSocketConnection } from "tungstate";
import { WebSocket } from "ws";
import { Program, Server } from "../support/program.ts";
import { until } from "../support/until.ts";

const clients: Centrifuge[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
});

async function subscribed(server: Server, channel: string): Promise<Subscription> {
  const client = new Centrifuge(server.ws("/connection/websocket"), { websocket: WebSocket, minReconnectDelay: 20 });
  clients.push(client);
  client.connect();
  const subscription = client.newSubscription(channel);
  subscription.subscribe();
  await subscription.ready(60_000);
  return subscription;
}

/** Returns the worker of each client ID, as logged. */
function workersOf(server: Server): ReadonlyMap<string, number> {
  const lines = server.stderr.split("\n").filter((line) => line.includes('"client connected"'));
  return new Map(
    lines.map((line) => {
      const { client, worker } = JSON.parse(line) as { client: string; worker: number };
      return [client, worker];
    }),
  );
}

async function take(connection: WebSocketConnection, count: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of connection) if (texts.push(text) === count) break;
  return texts;
}

describe("two workers", () => {
  let server: Server;
  before(async () => (server = await Server.start("--workers", "2", "--log-level", "debug")));
  after(() => server[Symbol.asyncDispose]());

  test("a message to /ws reaches the clients of both workers in one order", async () => {
    const connections = await Promise.all(Array.from({ length: 6 }, () => connect(server.ws("/ws"))));
    const received = connections.map((connection) => take(connection, 30));
    for (let i = 0; i < 5; i++) for (const [from, each] of connections.entries()) each.write(`${from} ${i}`);
    const [first = [], ...others] = await Promise.all(received);
    assert.equal(new Set(first).size, 30);
    for (const other of others) assert.deepEqual(other, first);
    for (const from of connections.keys()) {
      const its = first.filter((text) => text.startsWith(`${from} `));
      assert.deepEqual(
        its,
        [0, 1, 2, 3, 4].map((i) => `${from} ${i}`),
      );
    }
    const binary = nextBytes(connections[0]);
    connections[1]?.write(Uint8Array.of(1, 2, 3));
    assert.deepEqual(await binary, [1, 2, 3]);
    assert.equal(await server.metric('tungstate_connections{path="/ws"}'), 6);
    const health = (await (await fetch(`${server.url}/health`)).json()) as { connections: { ws: number } };
    assert.equal(health.connections.ws, 6);
    const logged = server.stderr.matchAll(/"worker":(\d).*"path":"\/ws".*"msg":"connected"/g);
    assert.deepEqual(new Set(Array.from(logged, ([, worker]) => worker)), new Set(["1", "2"]));
    await Promise.all(connections.map((connection) => connection.close()));
  });

  test("more than the queue limit waits, and nothing is lost", async () => {
    const [sender, ...readers] = await Promise.all(Array.from({ length: 3 }, () => connect(server.ws("/ws"))));
    assert.ok(sender !== undefined);
    const payload = new Uint8Array(100_000);
    const count = 60;
    const received = [sender, ...readers].map(async (connection) => {
      let messages = 0;
      for await (const { size } of connection) {
        assert.equal(size, payload.length);
        if (++messages === count) break;
      }
    });
    for (let i = 0; i < count; i++) await sender.send(payload);
    await Promise.all(received);
    await Promise.all([sender, ...readers].map((connection) => connection.close()));
  });

  test("channels, presence and history are shared", async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => subscribed(server, "public:room")));
    const received = all.map(
      (each) => new Promise<PublicationContext>((resolve) => void each.once("publication", resolve)),
    );
    await all[0]?.publish({ text: "hello" });
    for (const { data, offset } of await Promise.all(received)) {
      assert.deepEqual([data, offset], [{ text: "hello" }, 1]);
    }
    for (const each of all) {
      assert.equal((await each.presenceStats()).numClients, 4);
      assert.equal((await each.history({ limit: 10 })).publications.length, 1);
    }
    const here = Object.keys((await all[0]?.presence())?.clients ?? {});
    assert.deepEqual(new Set(here.map((client) => workersOf(server).get(client))), new Set([1, 2]));
    assert.equal(await server.metric("tungstate_hub_subscriptions"), 4);
    assert.equal(await server.metric("tungstate_hub_published_total"), 1);
  });
});

test("a worker that dies is replaced; its clients leave presence and reconnect", async () => {
  await using server = await Server.start("--workers", "2", "--log-level", "debug");
  const watching = await subscribed(server, "public:room");
  const [watcher = ""] = Object.keys((await watching.presence()).clients);
  const left = new Map<string, () => void>();
  watching.on("leave", ({ info }: LeaveContext) => left.get(info.client)?.());
  // connections are distributed to the workers in turn
  await subscribed(server, "public:room");
  const others = await Promise.all([1, 2].map(() => subscribed(server, "public:room")));
  const workers = workersOf(server);
  const [dying, pid] = pidOfOther(server, workers.get(watcher) ?? 0);
  const victims = [...workers].filter(([, worker]) => worker === dying).map(([client]) => client);
  assert.ok(victims.length > 0);
  const gone = victims.map((client) => new Promise<void>((resolve) => left.set(client, resolve)));
  process.kill(pid, "SIGKILL");
  await Promise.all(gone);
  await server.shows(/"msg":"a worker has ended and will be replaced"/, "stderr");
  await server.shows(/"worker":3,.*"msg":"serving /, "stderr");
  for (const each of others) await each.ready(60_000);
  await others[0]?.publish("again");
  await until("all are back", async () => (await watching.presenceStats()).numClients === 4);
  const clients = new Set(Object.keys((await watching.presence()).clients));
  for (const victim of victims) assert.equal(clients.has(victim), false);
  assert.ok((await server.metric("tungstate_hub_published_total")) >= 1);
});

test("a drain stops accepting, closes all clients with 1001 and exits with 0", async () => {
  await using server = await Server.start("--workers", "2", "--drain", "5");
  const connections = await Promise.all(Array.from({ length: 4 }, () => connect(server.ws("/ws"))));
  // to all processes, as a terminal does
  server.child.kill("SIGINT");
  for (const { code, clean } of await Promise.all(connections.map((connection) => connection.closed))) {
    assert.deepEqual([code, clean], [1001, true]);
  }
  await assert.rejects(connect(server.ws("/ws")), { code: "REFUSED" });
  assert.deepEqual(await server.exited, { code: 0, signal: null });
});

test("a drain ends while a worker hangs", async () => {
  await using server = await Server.start("--workers", "2", "--drain", "1");
  const [, pid] = pidOfOther(server, 1);
  process.kill(pid, "SIGSTOP");
  // a hung worker outlives its primary and keeps the pipe open that the test reads
  const overdue = setTimeout(() => [pid, server.child.pid ?? 0].map((each) => process.kill(each, "SIGKILL")), 100_000);
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.exited, { code: 0, signal: null });
  clearTimeout(overdue);
});

test("a failure of the first worker is printed once, with status 1", async () => {
  await using server = await Server.start("--log-level", "silent");
  const cases: [args: string[], line: RegExp][] = [
    [["--port", String(server.port)], /^tungstate: cannot serve on 127\.0\.0\.1 port \d+: the port is in use\n$/],
    [
      ["--port", "0", "--redis", "redis://127.0.0.1:1"],
      /^tungstate: Redis at redis:\/\/127\.0\.0\.1:1 can't be used: /,
    ],
  ];
  for (const [args, line] of cases) {
    await using program = new Program("serve", "--workers", "2", "--log-level", "silent", ...args);
    assert.deepEqual(await program.run(), { code: 1, signal: null });
    assert.match(program.stderr, line);
    assert.equal(program.stdout, "");
  }
});

/** Returns a worker other than this one, and its process. */
function pidOfOther(server: Server, than: number): [worker: number, pid: number] {
  for (const [, pid, worker] of server.stderr.matchAll(/"pid":(\d+),"worker":(\d+),.*"msg":"serving /g)) {
    if (Number(worker) !== than) return [Number(worker), Number(pid)];
  }
  throw new Error("there is no other worker");
}

async function nextBytes(connection: WebSocketConnection | undefined): Promise<number[]> {
  for await (const { bytes } of connection ?? []) return [...bytes];
  throw new Error("the connection has ended");
}
