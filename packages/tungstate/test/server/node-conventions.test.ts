// Functions and syntax of Node.js that take emitters and disposables.
import assert from "node:assert/strict";
import { type EventEmitter, on, once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { Message } from "@tungstate/protocol";
import { connect } from "../../src/client/connect.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { serve } from "../support/server.ts";

/**
 * These functions use `on`, `once` and `removeListener`; their types ask for all of an
 * EventEmitter.
 */
const emitter = (object: object): EventEmitter => object as EventEmitter;

test("once() and on() of node:events work with a connection", async (t) => {
  const served = await serve(t);
  const [client, other] = await served.pair();
  other.write("one");
  other.write("two");
  other.write("three");
  const [first] = (await once(emitter(client), "message")) as [Message];
  assert.equal(first.text, "one");
  const texts: string[] = [];
  for await (const [message] of on(emitter(client), "message") as AsyncIterable<[Message]>) {
    texts.push(message.text);
    if (texts.length === 2) break;
  }
  assert.deepEqual(texts, ["two", "three"]);
  assert.equal(client.listenerCount("message"), 0);
  void other.close(4000);
  const [info] = (await once(emitter(client), "close")) as [{ readonly code: number }];
  assert.equal(info.code, 4000);
});

test("once() of node:events rejects when the connection fails first", async (t) => {
  const served = await serve(t);
  const [client, other] = await served.pair();
  const message = once(emitter(client), "message");
  other.terminate();
  await assert.rejects(message, { code: "CONNECTION_LOST" });
});

test("once() and on() of node:events work with a reconnecting connection", async (t) => {
  const served = await serve(t);
  const client = reconnecting(served.url, { proxy: false });
  t.after(() => client.terminate());
  await client.ready();
  await served.until(() => served.accepted.length === 1);
  const other = served.accepted[0]?.connection;
  other?.write("one");
  const [first] = (await once(emitter(client), "message")) as [Message];
  assert.equal(first.text, "one");
  other?.write("two");
  const end = { close: ["close"] };
  const texts: string[] = [];
  for await (const [message] of on(emitter(client), "message", end) as AsyncIterable<[Message]>) {
    texts.push(message.text);
    void client.close();
  }
  assert.deepEqual(texts, ["two"]);
  assert.equal(client.listenerCount("message"), 0);
});

test("once() of node:events works with a server", async (t) => {
  const served = await serve(t);
  const accepted = once(emitter(served.server), "connection");
  await connect(served.url, { proxy: false });
  const [connection] = (await accepted) as [object];
  assert.equal(connection, served.accepted[0]?.connection);
});

test("await using closes a connection, a reconnecting connection and a server", async () => {
  const closed: number[] = [];
  {
    await using server = new WebSocketServer();
    server.on("connection", (connection) => {
      connection.on("close", ({ code }) => closed.push(code));
    });
    const { port } = (await server.listen({ port: 0, host: "127.0.0.1" })) as AddressInfo;
    const url = `ws://127.0.0.1:${port}/`;
    {
      await using _client = await connect(url, { proxy: false });
      await using again = reconnecting(url, { proxy: false });
      await again.ready();
    }
    await connect(url, { proxy: false }); // closed by the server
  }
  assert.equal(closed.length, 3);
});
