// Real connections with a client that only implements WebSocket: how a WebSocketConnection carries
// out the hub's requests.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { WebSocket } from "ws";
import { NAMESPACES } from "../support/hubs.ts";
import { Events, ServedHub } from "../support/served-hub.ts";
import { until } from "../support/until.ts";

const options = { namespaces: NAMESPACES, anonymous: true };

async function open(served: ServedHub): Promise<{ readonly socket: WebSocket; readonly lines: Events<string> }> {
  const socket = new WebSocket(served.url);
  const lines = new Events<string>();
  socket.on("message", (data: Buffer) => data.toString().split("\n").forEach(lines.push));
  await once(socket, "open");
  return { socket, lines };
}

async function closeOf(socket: WebSocket): Promise<readonly [number, string]> {
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  return [code, reason.toString()];
}

test("a frame of commands is answered in one frame", () =>
  ServedHub.run(options, async (served) => {
    const { socket } = await open(served);
    const frames = new Events<string>();
    socket.on("message", (data: Buffer) => frames.push(data.toString()));
    socket.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"x"}}\n{"id":3,"ping":{}}');
    const [frame = ""] = await frames.upTo(1);
    assert.deepEqual(
      frame.split("\n").map((line) => (JSON.parse(line) as { id: number }).id),
      [1, 3, 2], // a ping is not delayed
    );
    socket.terminate();
  }));

test("codes and reasons are close codes; a binary message and one too large end the connection", () =>
  ServedHub.run(options, async (served) => {
    const cases = [
      ["not JSON", [3501, "bad request: a line is not JSON"]],
      [Buffer.from("{}"), [3506, "inappropriate protocol"]],
      ["x".repeat(65_537), [1009]],
    ] as const;
    for (const [message, wanted] of cases) {
      const { socket } = await open(served);
      socket.send(message);
      assert.deepEqual((await closeOf(socket)).slice(0, wanted.length), wanted);
    }
    // the server is notified of the end slightly after the client
    await until("no connection is left", () => served.hub.metrics.connections === 0);
  }));

test("a client that reads nothing is disconnected as slow, others receive everything meanwhile", () =>
  ServedHub.run({ ...options, limits: { queueBytes: 100_000 } }, async (served) => {
    const slow = await open(served);
    const fast = await open(served);
    for (const { socket, lines } of [slow, fast]) {
      socket.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"quiet:x"}}');
      await lines.upTo(2);
    }
    slow.socket.pause();
    const data = "x".repeat(50_000);
    let published = 0;
    let disconnected = 0;
    for (; published < 2000 && disconnected === 0; published++) {
      ({ disconnected } = await served.hub.publish("quiet:x", data));
      await fast.lines.upTo(published + 3);
    }
    assert.equal(disconnected, 1, "after what sockets and queue hold");
    assert.ok(served.hub.metrics.queued > 0);
    assert.equal(served.hub.metrics.queueBytes, 0);
    assert.equal(served.hub.metrics.sessions, 1);
    await fast.lines.upTo(published + 2);
    for (const { socket } of [slow, fast]) socket.terminate();
  }));

test("a client that reads slowly receives everything, in order, within its queue limit", () =>
  ServedHub.run({ ...options, limits: { queueBytes: 50_000_000 } }, async (served) => {
    const { socket, lines } = await open(served);
    socket.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"quiet:x"}}');
    await lines.upTo(2);
    socket.pause();
    const data = "x".repeat(50_000);
    let published = 0;
    while (served.hub.metrics.queued < 100) {
      await served.hub.publish("quiet:x", data);
      published++;
      if (published % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(served.hub.metrics.queueBytes > 0);
    socket.resume();
    const all = await lines.upTo(published + 2);
    const offsets = all
      .slice(2)
      .map((line) => (JSON.parse(line) as { push: { pub: { offset: number } } }).push.pub.offset);
    assert.deepEqual(
      offsets,
      Array.from({ length: published }, (_, i) => i + 1),
    );
    assert.equal(served.hub.metrics.queueBytes, 0);
    socket.terminate();
  }));
