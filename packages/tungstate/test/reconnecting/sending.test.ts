import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageData, WebSocketConnection } from "../../src/connection/types.ts";
import { inWorld, settle, type World } from "./support.ts";

/** Records what the server's end of the newest connection receives, as text. */
function received(connection: WebSocketConnection): string[] {
  const all: string[] = [];
  connection.on("message", (message) => all.push(message.text));
  return all;
}

/** Makes the newest connection slow: the server reads nothing until told to. */
function hold(world: World): void {
  world.newest.stream.stall(1_000_000);
}

const kilobyte = (text: string): string => text.padEnd(1024, ".");

describe("writing while there is no connection", () => {
  test("waits in the outbox, and is sent in order when there is one", () =>
    inWorld(async (world) => {
      world.answers.push("REFUSED");
      const connection = world.start();
      assert.equal(connection.write("one"), true);
      await connection.send("two");
      const bytes = Buffer.from("three");
      connection.write(bytes);
      bytes.fill("x");
      assert.equal(connection.bufferedAmount, 3 * 64 + 11);
      await world.advance(1_000);
      const got = received(world.server);
      connection.write("four");
      await settle();
      assert.deepEqual(got, ["one", "two", "three", "four"]);
      assert.equal(connection.bufferedAmount, 0);
      assert.equal(connection.stats.messagesSent, 4);
    }));

  test("what a listener of open writes to the connection itself precedes it", () =>
    inWorld(async (world) => {
      const connection = world.start();
      connection.write("one");
      connection.on("open", (current) => {
        current.write("hello");
        connection.write("two");
      });
      await settle();
      const got = received(world.server);
      await settle();
      assert.deepEqual(got, ["hello", "one", "two"]);
    }));

  test("between the server's Close and the next connection nothing is lost", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await settle();
      const first = received(world.server);
      connection.write("before");
      await settle();
      void world.server.close(1001);
      connection.write("meanwhile");
      await settle();
      connection.write("after");
      await world.advance(2_000);
      const second = received(world.server);
      await settle();
      assert.deepEqual([...first, ...second], ["before", "meanwhile", "after"]);
    }));

  test("returns false above writeBufferSize, and drain is emitted when it was sent", () =>
    inWorld(async (world) => {
      world.answers.push("REFUSED");
      const connection = world.start({ writeBufferSize: 200 });
      let drains = 0;
      connection.on("drain", () => drains++);
      assert.equal(connection.write("x".repeat(136)), true); // with its overhead of 64: 200
      assert.equal(connection.write(""), false);
      await settle();
      assert.equal(drains, 0);
      await world.advance(1_000);
      assert.equal(drains, 1);
    }));

  test("flush waits for a connection", () =>
    inWorld(async (world) => {
      world.answers.push("REFUSED");
      const connection = world.start();
      await connection.flush(); // nothing waits
      connection.write("one");
      let flushed = 0;
      const flushing = connection.flush().then(() => (flushed = world.clock.now()));
      await world.advance(900);
      assert.equal(flushed, 0);
      await world.advance(100);
      await flushing;
      assert.equal(flushed, 1_000);
    }));

  test("sendStream waits for a connection, and for messages written before", () =>
    inWorld(async (world) => {
      world.answers.push("REFUSED");
      const connection = world.start();
      connection.write("one");
      const sent = connection.sendStream(["tw", "o"], "text");
      await world.advance(1_000);
      const got = received(world.server);
      await sent;
      connection.write("three");
      await settle();
      assert.deepEqual(got, ["one", "two", "three"]);
    }));

  test("sendStream rejects when the connection ends during it", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await settle();
      async function* parts(): AsyncGenerator<string> {
        yield "one";
        await settle();
        world.server.terminate();
        await settle();
        yield "two";
      }
      await assert.rejects(connection.sendStream(parts()), { name: "WebSocketError" });
      await world.advance(1_000);
      assert.equal(connection.status.state, "open");
    }));

  test("an invalid message is rejected immediately", () =>
    inWorld(async (world) => {
      const connection = world.start();
      assert.throws(() => connection.write(5 as unknown as string), { code: "INVALID_ARGUMENT" });
      assert.throws(() => connection.send(5 as unknown as string), { code: "INVALID_ARGUMENT" });
    }));
});

describe("a full outbox", () => {
  const size = 3 * (1024 + 64);

  test("reject: rejects what does not fit, and loses nothing", () =>
    inWorld(async (world) => {
      world.answers.push("REFUSED");
      const connection = world.start({ outbox: { size } });
      for (const text of ["1", "2", "3"]) connection.write(kilobyte(text));
      const refused = { code: "WRITE_BUFFER_FULL", message: /3264 of 3264 bytes wait in the outbox/ };
      assert.throws(() => connection.write("4"), refused);
      await assert.rejects(connection.send("4"), refused);
      await world.advance(1_000);
      const got = received(world.server);
      await settle();
      assert.deepEqual(got, ["1", "2", "3"].map(kilobyte));
    }));

  test("drop-oldest: the oldest are dropped, and reported", () =>
    inWorld(async (world) => {
      world.answers.push("REFUSED");
      const connection = world.start({ outbox: { size, policy: "drop-oldest" } });
      const dropped: MessageData[] = [];
      connection.on("drop", (data) => dropped.push(data));
      for (const text of ["1", "2", "3", "4", "5"]) connection.write(kilobyte(text));
      assert.deepEqual(dropped, ["1", "2"].map(kilobyte));
      assert.throws(() => connection.write("x".repeat(size)), {
        code: "WRITE_BUFFER_FULL",
        message: /more than outbox\.size/,
      });
      await world.advance(1_000);
      const got = received(world.server);
      await settle();
      assert.deepEqual(got, ["3", "4", "5"].map(kilobyte));
      assert.equal(dropped.length, 2);
    }));

  test("wait: send waits for room, in order; write is rejected", () =>
    inWorld(async (world) => {
      world.answers.push("REFUSED");
      const connection = world.start({ outbox: { size, policy: "wait" } });
      const done: string[] = [];
      const sends = ["1", "2", "3", "4", "5"].map((text) =>
        connection.send(kilobyte(text)).then(() => done.push(text)),
      );
      const small = connection.send("small").then(() => done.push("small"));
      await settle();
      assert.deepEqual(done, ["1", "2", "3"]);
      assert.throws(() => connection.write("small"), { code: "WRITE_BUFFER_FULL" });
      await assert.rejects(connection.send("x".repeat(size)), { code: "WRITE_BUFFER_FULL" });
      await world.advance(1_000);
      const got = received(world.server);
      await Promise.all([...sends, small, connection.flush()]);
      await settle();
      assert.deepEqual(got, [...["1", "2", "3", "4", "5"].map(kilobyte), "small"]);
    }));

  test("of size 0 accepts nothing", () =>
    inWorld(async (world) => {
      const connection = world.start({ outbox: { size: 0 } });
      assert.throws(() => connection.write(""), { code: "WRITE_BUFFER_FULL" });
      await settle();
      assert.equal(connection.write("now"), true);
    }));
});

describe("writing to a slow server", () => {
  test("messages without room wait here, and survive the connection", () =>
    inWorld(async (world) => {
      const connection = world.start({ writeBufferSize: 64 * 1024 });
      await settle();
      hold(world);
      const big = "x".repeat(2 * 1024 * 1024); // more than all streams in between buffer
      assert.equal(connection.write(big), false);
      connection.write("after");
      await settle();
      const { current } = connection;
      assert.ok(current !== undefined);
      assert.equal(connection.bufferedAmount - current.bufferedAmount, 64 + 5, "the second one waits in the outbox");
      world.newest.stream.reset();
      let gap: unknown;
      connection.on("gap", ({ unsent }) => (gap = unsent));
      await world.advance(1_000);
      const got = received(world.server);
      await settle();
      assert.deepEqual(got, ["after"]);
      assert.equal(gap, 1, "the first one was given to the connection, and did not get through");
    }));

  test("send waits for room, and continues when the connection ends", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await settle();
      hold(world);
      let sent = false;
      const sending = connection.send("x".repeat(2 * 1024 * 1024)).then(() => (sent = true));
      await settle();
      assert.equal(sent, false);
      world.newest.stream.reset();
      await settle();
      await sending;
      assert.equal(connection.status.state, "waiting");
    }));

  test("messages passed to the connection count as sent", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await settle();
      for (let count = 0; count < 5; count++) connection.write("x");
      await settle();
      let unsent: number | undefined;
      connection.on("gap", (gap) => ({ unsent } = gap));
      world.server.terminate();
      await world.advance(1_000);
      assert.equal(unsent, 0);
    }));

  test("flush rejects when messages are lost with the connection", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await settle();
      hold(world);
      connection.write("x".repeat(2 * 1024 * 1024));
      const flushing = assert.rejects(connection.flush(), { name: "WebSocketError" });
      await settle();
      world.newest.stream.reset();
      await flushing;
    }));

  test("a message larger than the connection's own limit waits until nothing else does", () =>
    inWorld(async (world) => {
      world.answers.push("REFUSED");
      const connection = world.start({ maxWriteBufferSize: 1_000, writeBufferSize: 900 });
      for (const length of [800, 5_000, 10]) connection.write("x".repeat(length));
      await world.advance(1_000);
      const got = received(world.server);
      await settle();
      assert.deepEqual(
        got.map((text) => text.length),
        [800, 5_000, 10],
      );
    }));
});
