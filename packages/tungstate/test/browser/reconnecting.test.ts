import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket } from "ws";
import { type Message, type PlatformWebSocketClass, reconnecting, type Waiting } from "../../src/browser/index.ts";
import { MisbehavingServer } from "./support/misbehaving-server.ts";
import { EXPECTED, scenario } from "./support/scenario.ts";

/** A class with the interface of a browser's WebSocket, for a platform that has none. */
const Platform = WebSocket as unknown as PlatformWebSocketClass;

test("the script of all platforms", { timeout: 60_000 }, async () => {
  await using server = await MisbehavingServer.start();
  const url = `ws://127.0.0.1:${server.port}/`;
  assert.deepEqual(await scenario(url, Platform), EXPECTED);
  assert.ok(server.closed.includes("3001 done"));
});

test("listeners receive all messages of all connections in order; pause holds them back", async () => {
  await using server = await MisbehavingServer.start();
  const socket = reconnecting(`ws://127.0.0.1:${server.port}/`, {
    WebSocket: Platform,
    backoff: { initialDelay: 1, maxDelay: 1 },
  });
  const received: string[] = [];
  let arrived = (): void => undefined;
  socket.on("message", ({ text }) => {
    received.push(text);
    if (text === "2") socket.pause();
    arrived();
  });
  const count = async (n: number): Promise<void> => {
    while (received.length < n) await new Promise<void>((resolve) => (arrived = resolve));
  };
  for (let n = 0; n < 3; n++) socket.write(`${n}`);
  await count(3);
  const waiting = once(socket, "waiting");
  const gap = once(socket, "gap");
  socket.write("restart");
  await waiting; // what is written before may be lost with the connection
  socket.write("3");
  await gap;
  await socket.flush();
  assert.deepEqual(received, ["0", "1", "2"]);
  socket.resume();
  await count(4);
  assert.deepEqual(received, ["0", "1", "2", "3"]);
  assert.equal(socket.stats.messagesReceived, 4);
  await socket.close();
});

test("messages written between the server's Close and the end of the connection wait for the next one", async () => {
  await using server = await MisbehavingServer.start();
  const sockets: WebSocket[] = [];
  const dropped: unknown[] = [];
  class Recorded extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
    override send(data: string): void {
      if (this.readyState !== WebSocket.OPEN) dropped.push(data);
      super.send(data);
    }
  }
  const socket = reconnecting(`ws://127.0.0.1:${server.port}/`, {
    WebSocket: Recorded as unknown as PlatformWebSocketClass,
    backoff: { initialDelay: 1, maxDelay: 1 },
  });
  await socket.ready();
  sockets[0]?.close(3000); // readyState is CLOSING from now on, and `close` comes later
  socket.write("1");
  await socket.send("2");
  const received: string[] = [];
  for await (const { text } of socket) if (received.push(text) === 2) break;
  assert.deepEqual(received, ["1", "2"]);
  assert.deepEqual(dropped, []);
  await socket.close();
});

test("a close code that rules out reconnecting, an abort, and terminate end it", async () => {
  await using server = await MisbehavingServer.start();
  const url = `ws://127.0.0.1:${server.port}/`;
  const abort = new AbortController();
  const aborted = reconnecting(url, { WebSocket: Platform, signal: abort.signal });
  await aborted.ready();
  abort.abort(new Error("enough"));
  assert.equal((await aborted.closed).error?.code, "CLOSED_BY_SIGNAL");
  assert.equal(aborted.state, "closed");

  const terminated = reconnecting(url, { WebSocket: Platform });
  const dropped: unknown[] = [];
  terminated.on("drop", (data) => dropped.push(data));
  terminated.write("never sent");
  terminated.terminate();
  assert.equal((await terminated.closed).code, 1006);
  assert.deepEqual(dropped, ["never sent"]);
  await assert.rejects(terminated.ready(), { code: "NOT_OPEN" });
  await assert.rejects(terminated.flush(), { code: "NOT_OPEN" });
  assert.equal(terminated.write("x"), false);
});

test("a listener that throws ends it, and is reported to error", async () => {
  await using server = await MisbehavingServer.start();
  const socket = reconnecting(`ws://127.0.0.1:${server.port}/`, { WebSocket: Platform });
  let calls = 0;
  socket.on("message", () => {
    calls++;
    throw new Error("a mistake");
  });
  const error = once(socket, "error");
  socket.write("1");
  socket.write("2");
  assert.equal(((await error)[0] as { code: string }).code, "HANDLER_FAILED");
  await socket.closed;
  assert.equal(calls, 1);
});

test("expectReply notices a server that does not answer, and does nothing when it answers", async () => {
  await using server = await MisbehavingServer.start();
  const socket = reconnecting(`ws://127.0.0.1:${server.port}/`, {
    WebSocket: Platform,
    backoff: { initialDelay: 1, maxDelay: 1 },
    heartbeat: { interval: 60_000, timeout: 100, message: "never sent" },
  });
  await socket.ready();
  socket.write("answered");
  socket.expectReply();
  for await (const message of socket) {
    assert.equal(message.text, "answered");
    break;
  }
  socket.write("mute");
  const waiting = new Promise<Waiting>((resolve) => socket.once("waiting", resolve));
  socket.expectReply();
  const { after } = await waiting;
  assert.equal(after.type === "closed" && after.info.error?.code, "HEARTBEAT_TIMEOUT");
  await socket.close();
});

test("the outbox obeys its policy", async () => {
  const url = "ws://127.0.0.1:1/"; // nothing listens there
  const size = 3 * (64 + 10);
  const options = { WebSocket: Platform, backoff: { initialDelay: 60_000, maxDelay: 60_000 } };
  const text = "0123456789";

  const rejecting = reconnecting(url, { ...options, outbox: { size } });
  for (let n = 0; n < 3; n++) rejecting.write(text);
  assert.throws(() => rejecting.write(text), { code: "WRITE_BUFFER_FULL" });
  await assert.rejects(rejecting.send(text), { code: "WRITE_BUFFER_FULL" });
  rejecting.terminate();

  const dropping = reconnecting(url, { ...options, outbox: { size, policy: "drop-oldest" } });
  const dropped: unknown[] = [];
  dropping.on("drop", (data) => dropped.push(data));
  for (let n = 0; n < 5; n++) dropping.write(`${n}`.padStart(10));
  assert.deepEqual(dropped.map(String), ["         0", "         1"]);
  dropping.terminate();

  await using server = await MisbehavingServer.start();
  const waiting = reconnecting(() => `ws://127.0.0.1:${server.port}/`, {
    ...options,
    outbox: { size, policy: "wait" },
  });
  const sent = Array.from({ length: 6 }, (_, n) => waiting.send(`${n}`.padStart(10)));
  const received: string[] = [];
  for await (const message of waiting as AsyncIterable<Message>) {
    received.push(message.text.trim());
    if (received.length === 6) break;
  }
  await Promise.all(sent);
  assert.deepEqual(received, ["0", "1", "2", "3", "4", "5"]);
  await waiting.close();
});

test("more unread messages than receiveQueueSize end it with RECEIVE_QUEUE_FULL", async () => {
  await using server = await MisbehavingServer.start();
  const socket = reconnecting(`ws://127.0.0.1:${server.port}/`, { WebSocket: Platform, receiveQueueSize: 100 });
  for (let n = 0; n < 3; n++) socket.write("x".repeat(50));
  assert.equal((await socket.closed).error?.code, "RECEIVE_QUEUE_FULL");
});

test("wrong options and arguments throw, with what was expected", () => {
  const url = "ws://127.0.0.1:1/";
  const wrong: readonly (readonly [options: object, message: RegExp])[] = [
    [{ backof: {} }, /unknown option backof: the options are protocols, /],
    [{ backoff: { base: 1 } }, /unknown option backoff\.base: the options are initialDelay, /],
    [{ timeout: 0 }, /timeout must be an integer from 1 to 2147483647, got 0/],
    [{ closeTimeout: Number.NaN }, /closeTimeout must be an integer/],
    [{ heartbeat: { message: 5 } }, /a message must be a string, /],
    [{ heartbeat: { message: "x", interval: "30s" } }, /interval must be an integer/],
    [{ outbox: { policy: "drop" } }, /outbox\.policy must be one of reject, drop-oldest, wait/],
    [{ retry: 3 }, /retry must be a function/],
    [{ WebSocket: null }, /WebSocket must be a class/],
    [{ watchNetworks: "yes" }, /watchNetworks must be true or false/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => reconnecting(url, { WebSocket: Platform, ...options }), { code: "INVALID_ARGUMENT", message });
  }
  const socket = reconnecting(url, { WebSocket: Platform });
  for (const code of [999, 1001, 1005, 2999, 5000, 3000.5, Number.NaN]) {
    assert.throws(() => socket.close(code), { code: "INVALID_ARGUMENT" }, `${code}`);
  }
  assert.throws(() => socket.close(1000, "é".repeat(62)), { code: "INVALID_ARGUMENT" });
  assert.throws(() => socket.write(5 as never), { code: "INVALID_ARGUMENT" });
  assert.throws(() => void socket.send({} as never), { code: "INVALID_ARGUMENT" });
  assert.throws(() => socket.on("message", 1 as never), { code: "INVALID_ARGUMENT" });
  socket.terminate();
});

test("a URL that the platform refuses ends it with INVALID_URL", async () => {
  for (const url of ["ftp://example.com/", "http://[", "not a url"]) {
    const socket = reconnecting(url, { WebSocket: Platform });
    assert.equal((await socket.closed).error?.code, "INVALID_URL", url);
  }
});

function once(socket: ReturnType<typeof reconnecting>, event: "gap" | "error" | "waiting"): Promise<unknown[]> {
  return new Promise((resolve) => socket.once(event, (...args) => resolve(args)));
}
