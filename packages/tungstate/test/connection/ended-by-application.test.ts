import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { deflateRawSync } from "node:zlib";
import type { Message } from "@tungstate/protocol";
import { client } from "../../src/client/client.ts";
import type { ReconnectOptions } from "../../src/reconnecting/options.ts";
import type { ReconnectingConnection } from "../../src/reconnecting/types.ts";
import { accept } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { inWorld, settle } from "../reconnecting/support.ts";
import { clientRoutes } from "../support/client-routes.ts";
import { withConnected } from "../support/connected.ts";
import { memory } from "../support/pairs.ts";
import {
  BINARY,
  CLOSE,
  closePayload,
  frame,
  PING,
  PONG,
  TEXT,
  upgradeRequest,
  upgradeResponse,
} from "../support/raw.ts";
import { routesOfAllVersions } from "../support/routes.ts";
import { turns } from "../support/server.ts";

const COUNT = 500;
const LAST = 3; // the message whose listener ends the connection

/**
 * The ways in which an application ends a connection. `abort` aborts the signal that was passed to
 * the connection.
 */
const ENDINGS: Readonly<Record<string, (connection: Ended, abort: () => void) => unknown>> = {
  "terminate()": (connection) => connection.terminate(),
  "an aborted signal": (_connection, abort) => abort(),
  "a throw": () => {
    throw new Error("of a listener");
  },
  "a throw from within a terminate()": (connection) => {
    connection.terminate();
    throw new Error("of a listener");
  },
};

/** A server's connections have no signal. */
const SERVER_ENDINGS = Object.entries(ENDINGS).filter(([name]) => name !== "an aborted signal");

type Ended = Pick<WebSocketConnection, "on" | "terminate" | "closed">;

/** Calls of the connection's listeners; the third message ends it. */
class Heard {
  readonly calls: string[] = [];

  /**
   * From the first message on: messages wait for the end of the tick in which the first listener is
   * added, pings do not.
   */
  get fromFirst(): string[] {
    return this.calls.slice(this.calls.indexOf("first 0"));
  }

  constructor(connection: Ended, end: () => unknown) {
    let count = 0;
    connection.on("message", (message) => {
      this.calls.push(`first ${shown(message)}`);
      if (++count === LAST) return end();
      return undefined;
    });
    connection.on("message", (message) => this.calls.push(`second ${shown(message)}`));
    connection.on("ping", () => this.calls.push("ping"));
    connection.on("pong", () => this.calls.push("pong"));
    connection.on("close", () => this.calls.push("close"));
  }
}

const shown = (message: Message): string => message.text.slice(0, 3).trim();

/** Records messages `0`, `1`, ..., of which the third ends the connection. */
const EXPECTED = ["first 0", "second 0", "first 1", "second 1", "first 2", "close"];

/** Frames of `0`, `1`, ..., followed by a ping and a pong from the third on. */
function chunk(masked: boolean): Buffer {
  const frames: Buffer[] = [];
  for (let number = 0; number < COUNT; number++) {
    frames.push(frame(TEXT, String(number), { masked }));
    if (number >= LAST - 1) frames.push(frame(PING, "", { masked }), frame(PONG, "", { masked }));
  }
  return Buffer.concat(frames);
}

for (const [name, ending] of SERVER_ENDINGS) {
  for (const early of [false, true]) {
    for (const route of routesOfAllVersions) {
      test(`over ${route.name}, no listener is called after ${name}, with ${COUNT} messages in one chunk${early ? ", which has the request too" : ""}`, async (t) => {
        let ended: Promise<void> | undefined;
        let received: Heard | undefined;
        const server = await route.start(t, {}, (connection) => {
          received = new Heard(connection, () => ending(connection, () => undefined));
          ended = connection.closed.then(() => undefined);
        });
        const { raw } = await server.opened(t, early ? chunk(true) : undefined);
        if (!early) raw.send(chunk(true));
        await raw.until(() => false);
        await ended;
        await turns(2);
        assert.deepEqual(received?.fromFirst, EXPECTED);
      });
    }
  }
}

for (const [name, ending] of Object.entries(ENDINGS)) {
  for (const route of clientRoutes) {
    test(`over ${route.name}, no listener is called after ${name}, with ${COUNT} messages in the chunk of the response`, async (t) => {
      const abort = new AbortController();
      const respond = (_request: string, value: string): Buffer =>
        Buffer.concat([Buffer.from(upgradeResponse(value)), chunk(false)]);
      const connection = await route.open(t, respond, { signal: abort.signal });
      const received = new Heard(connection, () => ending(connection, () => abort.abort()));
      await connection.closed;
      await turns(2);
      assert.deepEqual(received.fromFirst, EXPECTED);
    });
  }

  describe(`after ${name}`, () => {
    test("messages in the receive queue are dropped", async () => {
      const abort = new AbortController();
      await withConnected(memory, { client: { signal: abort.signal } }, async ({ client: near, server: far }) => {
        for (let number = 0; number < COUNT; number++) far.write(String(number));
        await far.ping();
        const received = new Heard(near, () => ending(near, () => abort.abort()));
        await turns(2);
        near.resume();
        await near.closed;
        near.resume();
        for await (const _ of near) assert.fail("nothing is left");
        assert.deepEqual(received.fromFirst, EXPECTED);
      });
    });

    test("messages in the receive queue are dropped if the peer closed before they were read", async () => {
      const abort = new AbortController();
      await withConnected(memory, { client: { signal: abort.signal } }, async ({ client: near, server: far }) => {
        for (let number = 0; number < COUNT; number++) far.write(String(number));
        await far.close();
        await near.closed;
        const received = new Heard(near, () => {
          if (name === "an aborted signal")
            near.terminate(); // without listeners
          else return ending(near, () => undefined);
          return undefined;
        });
        await turns(2);
        near.resume();
        assert.deepEqual(received.calls, EXPECTED.slice(0, -1));
      });
    });

    for (const where of ["on the event loop", "off the event loop"] as const) {
      test(`messages being inflated ${where} are dropped`, async () => {
        const abort = new AbortController();
        const [near, far] = memoryPipe();
        const opening = client("ws://localhost/", near, {
          compression: { asyncThreshold: 1024 },
          signal: abort.signal,
        });
        const request = await new Promise<string>((resolve) =>
          far.once("data", (bytes: Buffer) => resolve(String(bytes))),
        );
        const key = /Sec-WebSocket-Key: (\S+)/.exec(request)?.[1] ?? "";
        const { createHash } = await import("node:crypto");
        const value = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
        far.write(
          upgradeResponse(
            value,
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n",
          ),
        );
        const connection = await opening;
        const received = new Heard(connection, () => ending(connection, () => abort.abort()));
        await turns(1);
        const size = where === "off the event loop" ? 5000 : 10;
        const frames = Array.from({ length: 20 }, (_, number) => {
          const deflated = deflateRawSync(String(number).padEnd(size), { finishFlush: 2 }).subarray(0, -4);
          const compressed = frame(TEXT, deflated, { masked: false });
          compressed[0] = (compressed[0] ?? 0) | 0x40; // RSV1
          return compressed;
        });
        far.on("error", () => undefined).resume();
        far.write(Buffer.concat(frames));
        await connection.closed;
        far.destroy();
        await turns(2);
        assert.deepEqual(received.fromFirst, EXPECTED);
      });
    }

    test("iterations end", async () => {
      for (const read of [iterate, byBatches, streamed] as const) {
        const abort = new AbortController();
        await withConnected(memory, { client: { signal: abort.signal } }, async ({ client: near, server: far }) => {
          for (let number = 0; number < COUNT; number++) far.write(String(number));
          await far.ping();
          // pings and pongs have listeners, too
          near.on("ping", () => ending(near, () => abort.abort()));
          const pinged = async (): Promise<void> => {
            void far.ping();
            await near.closed;
          };
          const taken = await read(near, pinged);
          assert.ok(taken.length > 0 && (read === byBatches || taken.length === LAST), `${taken.length} were taken`);
        });
      }
    });

    for (const event of ["ping", "pong"] as const) {
      test(`in a listener of ${event}, no other one is called`, async () => {
        const abort = new AbortController();
        await withConnected(memory, { client: { signal: abort.signal } }, async ({ client: near, server: far }) => {
          const calls: string[] = [];
          near.on(event, () => {
            calls.push(`first ${event}`);
            return ending(near, () => abort.abort());
          });
          near.on(event, () => calls.push(`second ${event}`));
          near.on("message", () => calls.push("message"));
          near.on("drain", () => calls.push("drain"));
          near.on("close", () => calls.push("close"));
          await turns(1);
          if (event === "ping") void far.ping();
          else void near.ping();
          for (let number = 0; number < 5; number++) far.write("message");
          if (event === "ping") void far.ping();
          await near.closed;
          await turns(2);
          assert.deepEqual(
            calls.filter((call) => call !== "message" || event === "ping"),
            [`first ${event}`, "close"],
          );
        });
      });
    }
  });

  describe(`a reconnecting connection, after ${name}`, () => {
    const start = (options: Partial<ReconnectOptions>, check: Check): Promise<void> =>
      inWorld(async (world) => {
        const abort = new AbortController();
        const connection = world.start({ signal: abort.signal, ...options });
        await connection.ready();
        await check(connection, () => ending(connection, () => abort.abort()), world);
      });

    type World = Parameters<Parameters<typeof inWorld>[0]>[0];
    type Check = (connection: ReconnectingConnection, end: () => unknown, world: World) => Promise<void>;

    const write = async (world: World): Promise<void> => {
      for (let number = 0; number < COUNT; number++) world.server.write(String(number));
      void world.server.ping();
      // the connection may end before everything is written
      await world.server.flush().catch(() => undefined);
    };

    test("no listener is called for messages of the same chunk", () =>
      start({}, async (connection, end, world) => {
        const received = new Heard(connection, end);
        await turns(1);
        await write(world);
        await connection.closed;
        assert.deepEqual(received.fromFirst, EXPECTED);
      }));

    test("no listener is called for messages in the receive queue", () =>
      start({}, async (connection, end, world) => {
        await write(world);
        await settle();
        const received = new Heard(connection, end);
        await turns(2);
        connection.resume();
        await connection.closed;
        assert.deepEqual(received.fromFirst, EXPECTED);
      }));

    test("no listener is called for unread messages of a connection that has ended", () =>
      start({}, async (connection, end, world) => {
        await write(world);
        await settle();
        void world.server.close(1001);
        await world.advance(30_000);
        assert.equal(connection.status.state, "open");
        for (let number = 0; number < 5; number++) world.server.write("of the next connection");
        await settle();
        const received = new Heard(connection, end);
        connection.on("open", () => received.calls.push("open"));
        connection.on("waiting", () => received.calls.push("waiting"));
        await turns(2);
        connection.resume();
        await connection.closed;
        assert.deepEqual(received.fromFirst, EXPECTED);
        for await (const _ of connection) assert.fail("nothing is left");
      }));

    test("iterations end", async () => {
      for (const read of [iterate, byBatches, streamed, withGaps] as const) {
        await start({}, async (connection, end, world) => {
          connection.on("ping", end);
          for (let number = 0; number < COUNT; number++) world.server.write(String(number));
          await world.server.flush();
          await settle();
          const pinged = async (): Promise<void> => {
            void world.server.ping();
            await connection.closed;
          };
          const taken = await read(connection, pinged);
          assert.ok(taken.length > 0 && (read === byBatches || taken.length === LAST), `${taken.length} were taken`);
        });
      }
    });

    for (const event of ["connecting", "open", "gap"] as const) {
      test(`in a listener of ${event}, no other one is called`, () =>
        inWorld(async (world) => {
          const abort = new AbortController();
          const connection = world.start({ signal: abort.signal });
          const calls: string[] = [];
          if (event === "gap") {
            await connection.ready();
            void world.server.close(1001);
            await world.server.closed;
          }
          connection.on(event, () => {
            calls.push(event);
            return ending(connection, () => abort.abort());
          });
          for (const other of ["connecting", "open", "gap", "waiting", "message", "close"] as const) {
            connection.on(other, () => calls.push(`then ${other}`));
          }
          await world.advance(10_000);
          await connection.closed;
          const expected = event === "gap" ? ["then waiting", "then connecting", "gap"] : [event];
          // the listener of `open` runs after the attempt
          if (event === "open") expected.unshift("then connecting");
          assert.deepEqual(calls, [...expected, "then close"]);
        }));
    }
  });
}

/** Reads three messages, waits for something else, then reads the rest. */
async function iterate(connection: WebSocketConnection, between: () => Promise<void>): Promise<unknown[]> {
  const taken: unknown[] = [];
  for await (const message of connection) {
    taken.push(message);
    if (taken.length === LAST) await between();
  }
  return taken;
}

async function withGaps(connection: WebSocketConnection, between: () => Promise<void>): Promise<unknown[]> {
  const taken: unknown[] = [];
  for await (const item of (connection as ReconnectingConnection).withGaps()) {
    taken.push(item);
    if (taken.length === LAST) await between();
  }
  return taken;
}

async function byBatches(connection: WebSocketConnection, between: () => Promise<void>): Promise<unknown[]> {
  const taken: unknown[] = [];
  for await (const batch of connection.batches()) {
    taken.push(batch);
    await between();
  }
  return taken;
}

async function streamed(connection: WebSocketConnection, between: () => Promise<void>): Promise<unknown[]> {
  const taken: unknown[] = [];
  const reader = connection.split().readable.getReader();
  try {
    for (let item = await reader.read(); !item.done; item = await reader.read()) {
      taken.push(item.value);
      if (taken.length === LAST) await between();
    }
  } catch {
    // it ends with the error of the connection
  }
  return taken;
}

test("a listener whose promise rejects ends the connection, and no other call follows", async () => {
  await withConnected(memory, {}, async ({ client: near, server: far }) => {
    const calls: string[] = [];
    near.on("message", async (message) => {
      calls.push(message.text);
      await turns(1);
      throw new Error("late");
    });
    far.write("first");
    await turns(3);
    far.write("second");
    assert.equal((await far.closed).code, 1011);
    assert.deepEqual(calls, ["first"]);
  });
});

test("close() still delivers messages received before the peer's Close", async () => {
  const [near, far] = memoryPipe();
  const opening = accept(near);
  far.write(upgradeRequest());
  const connection = await opening;
  far.on("error", () => undefined).resume();
  const calls: string[] = [];
  connection.on("message", (message) => {
    calls.push(message.text);
    if (calls.length === LAST) void connection.close();
  });
  await turns(1);
  const frames = Array.from({ length: COUNT }, (_, number) => frame(TEXT, String(number)));
  far.write(Buffer.concat([...frames, frame(CLOSE, closePayload(1000)), frame(BINARY, "behind")]));
  await connection.closed;
  assert.equal(calls.length, COUNT);
});
