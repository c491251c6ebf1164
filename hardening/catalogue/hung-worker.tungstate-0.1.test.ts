// Tungstate 0.1: SIGSTOP of one of two workers of tungstate serve stopped /ws in the other one
// after 1 MiB. The primary grew without a limit, nothing was logged, and the worker was not
// replaced.
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { connect } from "tungstate";
import { sized } from "./support/cost.ts";
import { HubClient } from "./support/hub.ts";
import { Watched } from "../support/watched.ts";

const SIZE = 100_000; // bytes of a message
const COUNT = sized(300, 3_000);
// bytes of resident memory of the primary; /ws and the hub transfer 60 MB
const MAX_GROWTH = 150e6;

interface Line {
  readonly msg: string;
  readonly pid: number;
  readonly worker: number;
}

test("cli: a hung worker blocks no other, takes bounded memory of the primary, and is replaced", async (t) => {
  const server = await Watched.start("--workers", "2", "--log-level", "debug");
  t.after(() => server.stop());
  const lines = (msg: string): readonly Line[] => {
    const found = server.stderr.split("\n").filter((line) => line.includes(`"msg":"${msg}`));
    return found.map((line) => JSON.parse(line) as Line);
  };
  const [first, second] = lines("serving ");
  assert.ok(first !== undefined && second !== undefined);
  // connections are distributed to the workers in turn; the log names the worker
  const sockets = [
    await connect(server.ws("/ws"), { proxy: false }),
    await connect(server.ws("/ws"), { proxy: false }),
  ];
  const clients = [
    await HubClient.open(server.ws("/connection/websocket")),
    await HubClient.open(server.ws("/connection/websocket")),
  ];
  await server.shows(/("msg":"client connected"[^]*){2}/, "stderr");
  const workerOf = (msg: string, index: number): number | undefined => lines(msg)[index]?.worker;
  const socket = sockets.find((_, index) => workerOf("connected", index) === second.worker);
  const client = clients.find((_, index) => workerOf("client connected", index) === second.worker);
  assert.ok(socket !== undefined && client !== undefined);
  await client.ask({ subscribe: { channel: "public:room" } });

  const before = server.load(0).find(({ pid }) => pid === server.child.pid)?.rss ?? 0;
  process.kill(first.pid, "SIGSTOP");
  const text = "x".repeat(SIZE);
  let echoed = 0;
  let wake = (): void => undefined;
  socket.on("message", () => {
    echoed++;
    wake();
  });
  for (let sent = 0; sent < COUNT; sent++) await socket.send(text);
  while (echoed < COUNT) await new Promise<void>((resolve) => (wake = resolve));
  const data = "x".repeat(SIZE / 2);
  for (let sent = 0; sent < COUNT; sent++) {
    // faster than the rate limit permits, with pauses
    const { error } = await client.ask({ publish: { channel: "public:room", data } });
    if (error !== undefined) sent--;
  }
  await client.published(COUNT);
  const primary = (await server.settled()).find(({ pid }) => pid === server.child.pid);
  assert.ok((primary?.rss ?? Infinity) < before + MAX_GROWTH, `${before} to ${primary?.rss} bytes`);

  await server.shows(/"msg":"killing a worker"/, "stderr");
  await server.shows(/"worker":3,"msg":"serving /, "stderr");
  const response = await fetch(`${server.url}/health/ready`);
  assert.equal(response.status, 200);
  for (const each of sockets) each.terminate();
  for (const { socket: each } of clients) each.terminate();
});

test("cli: a connection waits for no worker that hangs: another one serves it", async (t) => {
  const server = await Watched.start("--workers", "2", "--log-level", "debug");
  const first = server.stderr.split("\n").find((line) => line.includes('"msg":"serving '));
  const { pid } = JSON.parse(first ?? "{}") as Line;
  t.after(async () => {
    try {
      process.kill(pid, "SIGKILL"); // it would outlive the server
    } catch {
      // it was ended and replaced
    }
    await server.stop();
  });
  process.kill(pid, "SIGSTOP");
  // connections go to the workers in turn: half of them would go to the one that hangs
  const echoed = Array.from({ length: 20 }, async (_, index) => {
    const socket = await connect(server.ws("/echo"), { proxy: false });
    socket.write(String(index));
    for await (const { text } of socket) {
      assert.equal(text, String(index));
      break;
    }
    const health = await fetch(`${server.url}/health`);
    assert.equal(health.status, 200);
    socket.terminate();
  });
  await Promise.all(echoed);
});
