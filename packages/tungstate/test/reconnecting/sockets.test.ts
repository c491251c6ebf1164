import assert from "node:assert/strict";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { afterEach, describe, test } from "node:test";
import { accept } from "../../src/server/accept.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import type { WebSocketServerOptions } from "../../src/server/options.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import type { ReconnectOptions } from "../../src/reconnecting/options.ts";
import type { Waiting } from "../../src/reconnecting/core/types.ts";
import type { ReconnectingConnection } from "../../src/reconnecting/types.ts";
import { type ConditionedStream, conditions, VirtualClock } from "../../src/testing/index.ts";

const QUICK = { backoff: { initialDelay: 20, maxDelay: 50 } } as const;

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** An echo server. */
async function serve(
  options: WebSocketServerOptions = {},
  port = 0,
): Promise<{ server: WebSocketServer; port: number }> {
  const server = new WebSocketServer(options);
  server.on("connection", (connection) => connection.on("message", (message) => connection.write(message)));
  const address = await server.listen({ port });
  ending.push(() => server.close());
  return { server, port: (address as AddressInfo).port };
}

function start(port: number, options: Partial<ReconnectOptions> = {}): ReconnectingConnection {
  const connection = reconnecting(`ws://127.0.0.1:${port}/`, { ...QUICK, ...options });
  ending.push(() => connection.close());
  return connection;
}

async function nextWaiting(connection: ReconnectingConnection): Promise<Waiting> {
  return await new Promise((resolve) => connection.once("waiting", resolve));
}

/** Sends a message and waits for its echo. */
async function echo(connection: ReconnectingConnection, text: string): Promise<string> {
  await connection.send(text);
  for await (const message of connection) return message.text;
  throw new Error("it has ended");
}

describe("reconnecting, on sockets", () => {
  test("a server that restarts", async () => {
    const first = await serve();
    const connection = start(first.port);
    assert.equal(await echo(connection, "one"), "one");
    const waiting = nextWaiting(connection);
    await first.server.close(1001);
    const { after } = await waiting;
    assert.ok(after.type === "closed" && after.info.code === 1001 && after.info.clean);
    connection.write("meanwhile");
    assert.equal((await nextWaiting(connection)).after.type, "failed");
    await serve({}, first.port);
    assert.equal(await echo(connection, "two"), "meanwhile");
    assert.equal(await echo(connection, "three"), "two");
  });

  test("a server that is not yet running", async () => {
    const { server, port } = await serve();
    await server.close();
    const connection = start(port);
    const { after } = await nextWaiting(connection);
    assert.ok(after.type === "failed" && after.error.code === "REFUSED");
    await serve({}, port);
    await connection.ready();
    assert.equal(await echo(connection, "here"), "here");
  });

  test("503 with Retry-After", async () => {
    let asked = 0;
    const { port } = await serve({
      authorize: () => (++asked === 1 ? { status: 503, headers: { "Retry-After": "1" } } : true),
    });
    const connection = start(port);
    const { delay } = await nextWaiting(connection);
    assert.ok(delay >= 1_000 && delay <= 1_050, `${delay}`);
    const begun = performance.now();
    await connection.ready();
    assert.ok(performance.now() - begun > 990);
    assert.equal(asked, 2);
  });

  test("401, and a new token", async () => {
    const { port } = await serve({
      authorize: ({ headers }) => (headers.get("authorization") === "Bearer 2" ? true : { status: 401 }),
    });
    let token = 0;
    const connection = start(port, { headers: async () => [["Authorization", `Bearer ${++token}`]] });
    await connection.ready();
    assert.equal(token, 2);
  });

  test("a silent server is detected, and another one used", async () => {
    const streams: ConditionedStream[] = [];
    const server: Server = createServer((socket) => {
      const stream = conditions(socket, {});
      streams.push(stream);
      accept(stream).then(
        (connection) => connection.on("message", (message) => connection.write(message)),
        () => undefined, // the last one, truncated by the end
      );
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    ending.push(async () => {
      server.close();
      for (const stream of streams) stream.destroy();
      await once(server, "close");
    });
    const clock = new VirtualClock();
    const heartbeat = { interval: 100, timeout: 100 };
    const connection = start((server.address() as AddressInfo).port, { clock, heartbeat });
    assert.equal(await echo(connection, "one"), "one");
    streams[0]?.goSilent();
    const waiting = nextWaiting(connection);
    await clock.advance(100);
    await clock.advance(100);
    const { after, delay } = await waiting;
    await clock.advance(delay);
    assert.ok(after.type === "closed" && after.info.error?.code === "HEARTBEAT_TIMEOUT");
    assert.equal(await echo(connection, "two"), "two");
  });

  test("a failed route is used last", async () => {
    const { server, port } = await serve();
    const connection = start(port, { interface: ["no-such-interface", "lo"] });
    await connection.ready();
    assert.equal(connection.route?.interface, "lo");
    for (const each of server.connections) each.terminate();
    await nextWaiting(connection);
    await connection.ready();
    assert.equal(connection.route?.interface, "lo");
  });

  test("tcpUserTimeout is ignored if it cannot be set, and set otherwise", async () => {
    const { port } = await serve();
    const connection = start(port, { tcpUserTimeout: 5_000 });
    assert.equal(await echo(connection, "one"), "one");
  });

  test("an abort ends the current attempt", async () => {
    const silent = createServer(() => undefined);
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const sockets: Socket[] = [];
    silent.on("connection", (socket) => sockets.push(socket));
    const controller = new AbortController();
    const connection = start((silent.address() as AddressInfo).port, { signal: controller.signal });
    const [socket] = (await once(silent, "connection")) as [Socket];
    socket.resume();
    controller.abort();
    assert.equal((await connection.closed).error?.code, "CLOSED_BY_SIGNAL");
    await once(socket, "close").catch(() => undefined);
    silent.close();
    await once(silent, "close");
  });
});
