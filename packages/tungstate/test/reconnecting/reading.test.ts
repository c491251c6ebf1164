import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Message } from "@tungstate/protocol";
import type { Gap } from "../../src/reconnecting/core/types.ts";
import type { ReconnectingConnection } from "../../src/reconnecting/types.ts";
import { inWorld, settle, type World } from "./support.ts";

/** Lets the server send, then close the connection, then waits for the next one. */
async function sendAndLose(world: World, ...texts: readonly string[]): Promise<void> {
  await settle();
  for (const text of texts) world.server.write(text);
  await world.server.flush();
  void world.server.close(1001);
  await world.advance(30_000);
}

const show = (item: Message | Gap): string => (item.type === "gap" ? `gap ${item.unread}` : item.text);

/** Reads until the end, as text. */
async function readAll(items: AsyncIterable<Message | Gap>): Promise<string[]> {
  const all: string[] = [];
  for await (const item of items) all.push(show(item));
  return all;
}

/** Reads that many items, then leaves the loop. */
async function take(items: AsyncIterable<Message | Gap>, count: number): Promise<string[]> {
  const all: string[] = [];
  for await (const item of items) {
    all.push(show(item));
    if (all.length === count) break;
  }
  return all;
}

describe("reading across connections", () => {
  test("for await continues with the next connection, and ends with the last", () =>
    inWorld(async (world) => {
      const connection = world.start();
      const reading = readAll(connection);
      await sendAndLose(world, "a", "b");
      await sendAndLose(world, "c");
      world.server.write("d");
      await settle();
      await connection.close();
      assert.deepEqual(await reading, ["a", "b", "c", "d"]);
      assert.deepEqual(await readAll(connection), []);
    }));

  test("withGaps marks where one connection ends and another begins", () =>
    inWorld(async (world) => {
      const connection = world.start();
      const reading = readAll(connection.withGaps());
      await sendAndLose(world, "a", "b");
      await sendAndLose(world);
      world.server.write("c");
      await settle();
      await connection.close();
      assert.deepEqual(await reading, ["a", "b", "gap 0", "gap 0", "c"]);
    }));

  test("the gap has the end of the previous connection", () =>
    inWorld(async (world) => {
      world.answers.push("open", "REFUSED", "UNREACHABLE");
      const connection = world.start();
      const gaps: Gap[] = [];
      connection.on("gap", (gap) => gaps.push(gap));
      await sendAndLose(world);
      await take(connection.withGaps(), 1);
      const [gap] = gaps;
      assert.ok(gap !== undefined);
      const { lost, ...rest } = gap;
      assert.deepEqual([lost.code, lost.clean], [1001, true]);
      assert.deepEqual(rest, { type: "gap", duration: 1_000 + 2_000 + 4_000, attempts: 3, unsent: 0, unread: 0 });
    }));

  test("messages before the end are read although the next connection is open", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await sendAndLose(world, "a", "b");
      world.server.write("c");
      await settle();
      assert.deepEqual(await take(connection.withGaps(), 4), ["a", "b", "gap 0", "c"]);
    }));

  test("a loop that was left can be resumed, and no gap is reported twice", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await sendAndLose(world, "a", "b");
      world.server.write("c");
      await settle();
      const items: string[] = [];
      for (let count = 0; count < 4; count++) items.push(...(await take(connection.withGaps(), 1)));
      assert.deepEqual(items, ["a", "b", "gap 0", "c"]);
    }));

  test("in batches", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await sendAndLose(world, "a", "b");
      world.server.write("c");
      await settle();
      const batches: string[][] = [];
      for await (const batch of connection.batches()) {
        batches.push(batch.map(({ text }) => text));
        if (batches.length === 2) break;
      }
      assert.deepEqual(batches, [["a", "b"], ["c"]]);
    }));

  test("two loops share the messages, and both end", () =>
    inWorld(async (world) => {
      const connection = world.start();
      const readings = [readAll(connection), readAll(connection)];
      await sendAndLose(world, "a", "b", "c");
      await sendAndLose(world, "d");
      await connection.close();
      const all = await Promise.all(readings);
      assert.deepEqual(all.flat().toSorted(), ["a", "b", "c", "d"]);
    }));

  test("unread messages of one ended connection are kept; dropped ones are counted", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await sendAndLose(world, "a", "b");
      await sendAndLose(world, "c");
      await sendAndLose(world, "d", "e", "f");
      world.server.write("g");
      await settle();
      // as if it had been there all the time, except for lost messages
      assert.deepEqual(await take(connection.withGaps(), 6), ["gap 1", "d", "e", "f", "gap 0", "g"]);
    }));

  test("a slow reader delays the server as usual", () =>
    inWorld(async (world) => {
      const connection = world.start({ receiveQueueSize: 10_000 });
      await settle();
      const text = "x".repeat(100_000);
      for (let count = 0; count < 40; count++) world.server.write(text);
      await settle();
      assert.ok(world.server.bufferedAmount > 2_000_000, "it is held back");
      let count = 0;
      for await (const message of connection) {
        assert.equal(message.size, text.length);
        if (++count === 40) break;
      }
    }));
});

describe("listeners for messages", () => {
  function listen(connection: ReconnectingConnection): string[] {
    const all: string[] = [];
    connection.on("message", (message) => all.push(message.text));
    return all;
  }

  test("receive messages of all connections, before the end is reported", () =>
    inWorld(async (world) => {
      const connection = world.start();
      const received = listen(connection);
      let heardAtEnd = 0;
      connection.on("close", () => (heardAtEnd = received.length));
      await sendAndLose(world, "a", "b");
      await sendAndLose(world, "c");
      world.server.write("d");
      void world.server.close(1000);
      await connection.closed;
      assert.deepEqual([received, heardAtEnd], [["a", "b", "c", "d"], 4]);
    }));

  test("added late receive waiting messages", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await sendAndLose(world, "a");
      world.server.write("b");
      await settle();
      const received = listen(connection);
      await settle();
      assert.deepEqual(received, ["a", "b"]);
    }));

  test("pause applies across connections, and resume continues", () =>
    inWorld(async (world) => {
      const connection = world.start();
      const received: string[] = [];
      connection.on("message", ({ text }) => {
        received.push(text);
        if (text === "a" || text === "d") connection.pause();
      });
      await sendAndLose(world, "a", "b", "c");
      world.server.write("d");
      world.server.write("e");
      await settle();
      assert.deepEqual(received, ["a"]);
      connection.resume();
      assert.deepEqual(received, ["a", "b", "c", "d"]);
      connection.resume();
      assert.deepEqual(received, ["a", "b", "c", "d", "e"]);
    }));

  test("a listener that pauses and resumes keeps the order across connections", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await sendAndLose(world, "a", "b", "c");
      world.server.write("d");
      await settle();
      const received: string[] = [];
      connection.on("message", ({ text }) => {
        received.push(text);
        connection.pause();
        connection.resume();
      });
      await settle();
      assert.deepEqual(received, ["a", "b", "c", "d"]);
    }));

  test("a listener added after pause() receives nothing before resume()", () =>
    inWorld(async (world) => {
      const connection = world.start();
      connection.pause();
      const received = listen(connection);
      await sendAndLose(world, "a");
      world.server.write("b");
      connection.on("message", () => undefined);
      await settle();
      assert.deepEqual(received, []);
      connection.resume();
      assert.deepEqual(received, ["a", "b"]);
    }));

  test("messages wait when the last listener is removed", () =>
    inWorld(async (world) => {
      const connection = world.start();
      const received: string[] = [];
      connection.once("message", ({ text }) => received.push(text));
      await sendAndLose(world, "a", "b", "c");
      world.server.write("d");
      await settle();
      assert.deepEqual(received, ["a"]);
      assert.deepEqual(await take(connection, 1), ["b"]);
      const later = listen(connection);
      await settle();
      assert.deepEqual(later, ["c", "d"]);
    }));

  test("leave nothing for a loop", () =>
    inWorld(async (world) => {
      const connection = world.start();
      listen(connection);
      await settle();
      await assert.rejects(take(connection, 1), { code: "INVALID_STATE" });
      world.server.terminate();
      await settle();
      await assert.rejects(take(connection, 1), { code: "INVALID_STATE" });
    }));

  test("pings and pongs are emitted, and a ping can be sent", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await assert.rejects(connection.ping(), { code: "NOT_OPEN" });
      await settle();
      const received: string[] = [];
      connection.on("ping", (payload) => received.push(`ping ${String(Buffer.from(payload))}`));
      connection.on("pong", (payload) => received.push(`pong ${String(Buffer.from(payload))}`));
      await Promise.all([connection.ping("one"), world.server.ping("two")]);
      assert.deepEqual(received.toSorted(), ["ping two", "pong one"]);
    }));
});

describe("split", () => {
  test("returns streams that outlive a connection", () =>
    inWorld(async (world) => {
      const connection = world.start();
      const { readable, writable } = connection.split();
      const reading = readAll(readable as AsyncIterable<Message>);
      const writer = writable.getWriter();
      await writer.write("one");
      await settle();
      const [first] = await take(world.server, 1);
      await sendAndLose(world, "a");
      await writer.write("two");
      world.server.write("b");
      const [second] = await take(world.server, 1);
      await writer.close();
      assert.deepEqual([await reading, first, second], [["a", "b"], "one", "two"]);
      assert.equal(connection.state, "closed");
    }));
});
