import assert from "node:assert/strict";
import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import process from "node:process";
import { test, type TestContext } from "node:test";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { client } from "../../src/client/client.ts";
import { accept } from "../../src/server/accept.ts";
import { HandshakeRequest } from "../../src/server/admission/request.ts";
import type { DiagnosticsChannels } from "../../src/server/diagnostics.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { WebSocket } from "../../src/web/websocket.ts";
import { clientRoutes } from "../support/client-routes.ts";
import { routesOfAllVersions as routes } from "../support/routes.ts";
import { serve } from "../support/server.ts";
import { until } from "../support/until.ts";

type Name = keyof DiagnosticsChannels;
const NAMES = [
  "tungstate:connection:open",
  "tungstate:connection:close",
  "tungstate:connection:error",
  "tungstate:connection:message",
] as const satisfies readonly Name[];

/** Everything that was published: for each connection, in order. */
class Published {
  readonly of = new Map<WebSocketConnection, [Name, object][]>();

  constructor(t: TestContext) {
    for (const name of NAMES) {
      const onMessage = (data: unknown): void => {
        const { connection, ...rest } = data as { readonly connection: WebSocketConnection };
        this.of.set(connection, [...(this.of.get(connection) ?? []), [name, rest]]);
      };
      subscribe(name, onMessage);
      t.after(() => unsubscribe(name, onMessage));
    }
  }

  names(connection: WebSocketConnection): string[] {
    return (this.of.get(connection) ?? []).map(([name]) => name.slice("tungstate:connection:".length));
  }

  get<N extends Name>(connection: WebSocketConnection, name: N): Omit<DiagnosticsChannels[N], "connection"> {
    const [, data] = this.of.get(connection)?.find(([each]) => each === name) ?? [];
    return data as Omit<DiagnosticsChannels[N], "connection">;
  }
}

for (const route of routes) {
  test(`${route.name}: open, message and close of both ends are published`, async (t) => {
    const published = new Published(t);
    const server = await route.start(t, {}, (connection) => {
      connection.on("message", (message) => void connection.write(message));
    });
    const near = await server.connect();
    near.write("text");
    await once(near as never, "message");
    const far = server.accepted[0];
    assert.ok(far !== undefined);
    await Promise.all([near.close(4000, "done"), far.closed]);
    for (const [connection, role, code] of [
      [near, "client", 4000],
      [far, "server", 4000],
    ] as const) {
      assert.deepEqual(published.names(connection), ["open", "message", "close"]);
      const opened = published.get(connection, "tungstate:connection:open");
      assert.equal(opened.role, role);
      assert.equal(opened.request instanceof HandshakeRequest, role === "server");
      assert.equal(published.get(connection, "tungstate:connection:message").message.text, "text");
      assert.equal(published.get(connection, "tungstate:connection:close").info.code, code);
    }
    assert.equal(published.of.size, 2);
  });
}

for (const route of clientRoutes) {
  test(`${route.name}: an error of a client is published before it ends`, async (t) => {
    const published = new Published(t);
    const connection = await route.open(
      t,
      (_, value) =>
        `HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${value}\r\n\r\n\u0083\u0000`,
    );
    await connection.closed;
    assert.deepEqual(published.names(connection), ["open", "error", "close"]);
    assert.equal(published.get(connection, "tungstate:connection:open").role, "client");
    assert.equal(published.get(connection, "tungstate:connection:error").error.code, "INVALID_OPCODE");
  });
}

test("the connection of a WebSocket of tungstate/web is published", async (t) => {
  const published = new Published(t);
  const served = await serve(t);
  const socket = new WebSocket(served.url, [], { proxy: false });
  await once(socket, "open");
  socket.close();
  await once(socket, "close");
  await until(() => [...published.of.keys()].filter(({ state }) => state === "closed").length === 2);
  assert.deepEqual(
    [...published.of.keys()].map((each) => published.names(each)),
    [
      ["open", "close"],
      ["open", "close"],
    ],
  );
});

test("compressed messages, and messages that nothing reads, are published", async (t) => {
  const published = new Published(t);
  const served = await serve(t, { compression: true });
  const [near, far] = await served.pair({ compression: true });
  const text = "compressible ".repeat(500);
  near.write(text);
  near.write("short");
  await near.close();
  await far.closed;
  assert.deepEqual(published.names(far), ["open", "message", "message", "close"]);
  assert.equal(published.get(far, "tungstate:connection:message").message.text, text);
});

test("a subscriber of open may end the connection", async (t) => {
  for (const role of ["client", "server"] as const) {
    const end = (data: unknown): void => {
      const opened = data as DiagnosticsChannels["tungstate:connection:open"];
      if (opened.role === role) void opened.connection.close(4001);
    };
    subscribe("tungstate:connection:open", end);
    t.after(() => unsubscribe("tungstate:connection:open", end));
    const served = await serve(t);
    const [near, far] = await served.pair();
    const ended = await Promise.all([near.closed, far.closed]);
    assert.deepEqual(
      ended.map(({ code }) => code),
      [4001, 4001],
    );
    assert.equal(served.server.connections.size, 0);
    unsubscribe("tungstate:connection:open", end);
  }
});

test("without subscribers, the channels are inactive", () => {
  for (const name of NAMES) assert.equal(channel(name).hasSubscribers, false);
});

test("a subscriber that throws ends no connection: its error is an uncaught exception", async (t) => {
  const failures: Error[] = [];
  process.setUncaughtExceptionCaptureCallback((error) => void failures.push(error));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const subscribers = NAMES.map((name) => {
    const fail = (): void => {
      throw new Error(name);
    };
    subscribe(name, fail);
    return () => unsubscribe(name, fail);
  });
  t.after(() => subscribers.forEach((stop) => stop()));
  const [one, two] = memoryPipe();
  const [near, far] = await Promise.all([client("ws://x/", one), accept(two)]);
  near.write("text");
  for await (const message of far) {
    assert.equal(message.text, "text");
    void near.close();
  }
  const ended = await Promise.all([near.closed, far.closed]);
  assert.deepEqual(
    ended.map(({ code, clean, error }) => ({ code, clean, error })),
    ended.map(() => ({ code: 1000, clean: true, error: undefined })),
  );
  await until(() => failures.length === 5);
  const count = (name: Name): number => failures.filter(({ message }) => message === name).length;
  assert.deepEqual(NAMES.map(count), [2, 2, 0, 1]);
});
