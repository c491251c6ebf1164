import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { client } from "../../src/client/client.ts";
import type { ConnectionOptions } from "../../src/connection/options.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import type { StreamHandler } from "../../src/server/stream.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { take } from "../support/connected.ts";
import { turns } from "../support/server.ts";

/** A client of a server that runs this generator, and the errors of the server. */
async function running(
  handler: StreamHandler,
  options: ConnectionOptions = {},
): Promise<{ near: WebSocketConnection; server: WebSocketServer; errors: unknown[] }> {
  const server = new WebSocketServer(options).stream(handler);
  const errors: unknown[] = [];
  server.on("error", (error) => errors.push(error));
  const [one, two] = memoryPipe();
  const [near] = await Promise.all([client("ws://localhost/room", one, options), server.accept(two)]);
  return { near, server, errors };
}

describe("a generator for each connection", () => {
  test("sends what it yields, of any type, and receives messages", async () => {
    const { near, server } = await running(async function* (messages, connection, request) {
      yield `welcome to ${request.path}, ${connection.state}`;
      for await (const message of messages) {
        yield message;
        yield Buffer.from(message.text);
      }
    });
    assert.deepEqual(await take(near, 1), ["welcome to /room, open"]);
    near.write("a");
    near.write("b");
    assert.deepEqual(await take(near, 4), ["a", new Uint8Array([97]), "b", new Uint8Array([98])]);
    await server.close();
  });

  test("its end closes with 1000, after everything it has yielded", async () => {
    const { near, errors } = await running(async function* () {
      for (let number = 0; number < 50; number++) yield Buffer.alloc(10_000);
    });
    let count = 0;
    for await (const _ of near) count++;
    assert.equal(count, 50);
    assert.deepEqual(await near.closed, { code: 1000, reason: "", clean: true, error: undefined });
    assert.deepEqual(errors, []);
  });

  test("an exception closes with 1011, after everything it has yielded, and is reported", async () => {
    const { near, errors } = await running(async function* () {
      yield "first";
      throw new Error("the recipe is lost");
    });
    assert.deepEqual(await take(near, 1), ["first"]);
    assert.equal((await near.closed).code, 1011);
    assert.match(String(errors), /the recipe is lost/);
    assert.equal(errors.length, 1);
  });

  test("an invalid generator, or an invalid yielded value, closes with 1011", async () => {
    for (const [handler, says] of [
      [() => undefined, /async ?iter|undefined/i],
      [async () => "text", /async ?iter/i],
      [
        async function* () {
          yield 5;
        },
        /got 5/,
      ],
    ] as unknown as [StreamHandler, RegExp][]) {
      const { near, errors } = await running(handler);
      assert.equal((await near.closed).code, 1011);
      assert.match(String(errors[0]), says);
    }
  });

  test("is ended when the connection is lost while it waits for messages", async () => {
    for (const how of ["close", "terminate"] as const) {
      let ended: (why: string) => void = () => undefined;
      const end = new Promise<string>((resolve) => (ended = resolve));
      const { near, errors } = await running(async function* (messages) {
        try {
          for await (const message of messages) yield message;
          ended("no more messages");
        } finally {
          ended("finally");
        }
      });
      near.write("x");
      await take(near, 1);
      void near[how]();
      assert.equal(await end, "no more messages");
      await turns(2);
      assert.deepEqual(errors, []);
    }
  });

  test("is ended when the connection is lost while it sends", async () => {
    let ended: () => void = () => undefined;
    const end = new Promise<void>((resolve) => (ended = resolve));
    let yielded = 0;
    const { near, errors } = await running(
      async function* () {
        try {
          for (;;) {
            yielded++;
            yield Buffer.alloc(1000);
          }
        } finally {
          ended();
        }
      },
      { writeBufferSize: 10_000, receiveQueueSize: 10_000 },
    );
    while (near.stats.messagesReceived === 0) await turns(1);
    await turns(20);
    const before = yielded;
    await turns(20);
    assert.equal(yielded, before, "it waits while the client does not read");
    assert.ok(yielded < 300, `${yielded} were yielded`);
    near.terminate();
    await end;
    await turns(2);
    assert.deepEqual(errors, []);
  });

  test("an exception after the end of the connection is reported, unless it is the connection's own error", async () => {
    const { near, errors } = await running(async function* (messages) {
      yield "ready";
      for await (const _ of messages) yield "";
      throw new Error("in the end");
    });
    await take(near, 1);
    await near.close();
    await turns(3);
    assert.match(String(errors), /in the end/);

    const other = await running(async function* (_messages, connection) {
      yield "ready";
      await connection.closed;
      await connection.send("too late");
    });
    await take(other.near, 1);
    await other.near.close();
    await turns(3);
    assert.deepEqual(other.errors, []);
  });

  test("has back pressure from a slow reader, and memory stays bounded", async () => {
    const { near, server } = await running(
      async function* () {
        for (let number = 0; number < 2000; number++) yield Buffer.alloc(1000, number);
      },
      { writeBufferSize: 10_000, receiveQueueSize: 10_000 },
    );
    let number = 0;
    for await (const { bytes } of near) {
      assert.equal(bytes[0], number++ & 0xff);
      const [connection] = server.connections;
      assert.ok((connection?.bufferedAmount ?? 0) <= 12_000);
      if (number % 100 === 0) await turns(2);
    }
    assert.equal(number, 2000);
  });
});
