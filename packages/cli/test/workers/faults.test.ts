// Workers that hang, fail at start, or all die at once.
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { Centrifuge, type PublicationContext } from "centrifuge";
import { connect, type WebSocketConnection } from "tungstate";
import { WebSocket } from "ws";
import { Server } from "../support/program.ts";

interface Worker {
  readonly worker: number;
  readonly pid: number;
  /** Unix time in ms. */
  readonly time: number;
}

/** Workers that have started serving, in this order. */
function workersOf(server: Server): readonly Worker[] {
  return linesOf(server, "serving ");
}

function linesOf(server: Server, msg: string): readonly Worker[] {
  const lines = server.stderr.split("\n").filter((line) => line.includes(`"msg":"${msg}`));
  return lines.map((line) => JSON.parse(line) as Worker);
}

/** Waits until that many workers have started serving, including the first two. */
async function serving(server: Server, count: number): Promise<Worker> {
  for (;;) {
    const last = workersOf(server)[count - 1];
    if (last !== undefined) return last;
    await new Promise((resolve) => server.child.stderr?.once("data", resolve));
  }
}

async function take(connection: WebSocketConnection, count: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of connection) if (texts.push(text) === count) break;
  return texts;
}

/** Connects to /ws until each worker has a connection, and returns them by worker. */
async function connectToEach(server: Server): Promise<ReadonlyMap<number, WebSocketConnection>> {
  const byWorker = new Map<number, WebSocketConnection>();
  while (byWorker.size < 2) {
    const before = linesOf(server, "connected").length;
    const connection = await connect(server.ws("/ws"));
    while (linesOf(server, "connected").length === before) {
      await new Promise((resolve) => server.child.stderr?.once("data", resolve));
    }
    const { worker } = linesOf(server, "connected").at(-1) ?? { worker: 0 };
    if (byWorker.has(worker)) connection.terminate();
    else byWorker.set(worker, connection);
  }
  return byWorker;
}

/** Stops a worker with SIGSTOP. A stopped worker outlives its primary. */
function stop(server: Server, pid: number): void {
  process.kill(pid, "SIGSTOP");
  server.child.once("exit", () => {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // the worker has ended
    }
  });
}

test("a hung worker is killed and replaced; /ws continues in the other one", async () => {
  await using server = await Server.start("--workers", "2", "--log-level", "debug");
  const connections = await connectToEach(server);
  const [stopped, going] = workersOf(server);
  assert.ok(stopped !== undefined && going !== undefined);
  const healthy = connections.get(going.worker);
  assert.ok(healthy !== undefined);
  stop(server, stopped.pid);
  // far more than may be queued
  const texts = Array.from({ length: 400 }, (_, index) => `${index} ${"x".repeat(100_000)}`);
  const received = take(healthy, texts.length);
  for (const text of texts) await healthy.send(text);
  assert.deepEqual(
    (await received).map((text) => text.slice(0, 4)),
    texts.map((text) => text.slice(0, 4)),
  );
  const ended = await server.shows(/"why":"no answer for 10000 ms","msg":"killing a worker"/, "stderr");
  assert.ok(ended.length > 0);
  const third = await serving(server, 3);
  assert.notEqual(third.pid, stopped.pid);
  assert.equal(await server.metric("tungstate_workers_replaced_total"), 1);
  assert.equal((await connections.get(stopped.worker)?.closed)?.code, 1006);
  const again = await connectToEach(server);
  assert.ok(again.has(third.worker));
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.exited, { code: 0, signal: null });
});

test("a worker that was stopped temporarily recovers what it missed", async () => {
  await using server = await Server.start("--workers", "2", "--log-level", "debug");
  const connections = await connectToEach(server);
  const clients: Centrifuge[] = [];
  const client = async (): Promise<Centrifuge> => {
    const made = new Centrifuge(server.ws("/connection/websocket"), { websocket: WebSocket, minReconnectDelay: 20 });
    clients.push(made);
    made.connect();
    await made.ready(10_000);
    return made;
  };
  const count = 300;
  const allClients = [];
  for (let number = 0; number < 4; number++) {
    const subscription = (await client()).newSubscription("public:room");
    const received: number[] = [];
    const all = new Promise<void>((resolve) => {
      subscription.on("publication", ({ data }: PublicationContext) => {
        received.push((data as { n: number }).n);
        if (received.length === count) resolve();
      });
    });
    subscription.subscribe();
    await subscription.ready(10_000);
    allClients.push({ subscription, received, all });
  }
  const [stopped, going] = workersOf(server);
  assert.ok(stopped !== undefined && going !== undefined);
  const workerOf = new Map(
    linesOf(server, "client connected").map((line) => [(line as Worker & { client: string }).client, line.worker]),
  );
  const speaking = allClients.find((_, index) => {
    const [id = ""] = [...workerOf.keys()].slice(index, index + 1);
    return workerOf.get(id) === going.worker;
  });
  assert.ok(speaking !== undefined);
  stop(server, stopped.pid);
  // 12 MB, more than may be queued for a worker
  const text = "x".repeat(40_000);
  for (let n = 0; n < count; n++) await speaking.subscription.publish({ n, text });
  // and as much again that cannot be recovered
  const healthy = connections.get(going.worker);
  assert.ok(healthy !== undefined);
  const echoed = take(healthy, 150);
  for (let n = 0; n < 150; n++) await healthy.send("x".repeat(100_000));
  await echoed;
  process.kill(stopped.pid, "SIGCONT");
  await Promise.all(allClients.map(({ all }) => all));
  const wanted = Array.from({ length: count }, (_, n) => n);
  for (const { received } of allClients) assert.deepEqual(received, wanted);
  assert.equal((await connections.get(stopped.worker)?.closed)?.code, 1013);
  assert.equal(healthy.state, "open");
  assert.ok((await server.metric('tungstate_worker_dropped_total{kind="publication"}')) > 0);
  assert.ok((await server.metric('tungstate_worker_dropped_total{kind="broadcast"}')) > 0);
  assert.match(server.stderr, /"msg":"messages to a worker were dropped: it did not accept them in time"/);
  for (const each of clients) each.disconnect();
});

test("with --port 0, replacements of all workers serve the same port", async () => {
  await using server = await Server.start("--workers", "2");
  for (const { pid } of workersOf(server)) process.kill(pid, "SIGKILL");
  await serving(server, 4);
  assert.equal((await fetch(`${server.url}/health`)).status, 200);
  await (await connect(server.ws("/echo"))).close();
});

test("repeatedly failing workers are restarted with increasing delays", async () => {
  await using server = await Server.start("--workers", "2");
  const delays: number[] = [];
  for (let count = 2; count < 6; count++) {
    const { pid } = await serving(server, count);
    process.kill(pid, "SIGKILL");
    const next = await serving(server, count + 1);
    const ended = linesOf(server, "a worker has ended").at(-1);
    delays.push(next.time - (ended?.time ?? 0));
  }
  const [, second = 0, third = 0, fourth = 0] = delays;
  assert.ok(second >= 1_000 && third >= 2_000 && fourth >= 4_000, delays.join(" ms, "));
});
