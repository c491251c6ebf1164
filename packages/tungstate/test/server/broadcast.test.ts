import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { constants, deflateRawSync } from "node:zlib";
import { PreparedMessage } from "@tungstate/protocol";
import { client } from "../../src/client/client.ts";
import type { ConnectionOptions } from "../../src/connection/options.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { take } from "../support/connected.ts";
import { recordWrites } from "../support/record-writes.ts";
import { Raw, upgradeRequest } from "../support/raw.ts";
import { serve, turns } from "../support/server.ts";

interface Room {
  readonly server: WebSocketServer;
  readonly near: readonly WebSocketConnection[];
  readonly far: readonly WebSocketConnection[];
}

/** A server with connections over memory pipes. */
async function room(count: number, options: ConnectionOptions = {}, written: Uint8Array[] = []): Promise<Room> {
  const server = new WebSocketServer(options);
  const pairs = await Promise.all(Array.from({ length: count }, () => join(server, options, written)));
  return { server, near: pairs.map(([one]) => one), far: pairs.map(([, two]) => two) };
}

async function join(
  server: WebSocketServer,
  options: ConnectionOptions = {},
  written: Uint8Array[] = [],
): Promise<[near: WebSocketConnection, far: WebSocketConnection]> {
  const [near, far] = memoryPipe();
  recordWrites(far, written);
  const [one, two] = await Promise.all([client("ws://localhost/", near, options), server.accept(far)]);
  if (two === undefined) throw new Error("refused");
  return [one, two];
}

for (const compression of [false, true]) {
  describe(`broadcast ${compression ? "compressed" : "as it is"}`, () => {
    test("reaches all except one, for every kind of data", async () => {
      const { server, near, far } = await room(4, { compression });
      near[0]?.write("a message that came");
      const [came] = await (async () => {
        for await (const message of far[0] ?? assert.fail()) return [message];
        return [];
      })();
      const long = "long enough to be compressed ".repeat(20);
      const received = near.map((each, number) => take(each, number === 1 ? 4 : 5));
      server.broadcast(long);
      server.broadcast(new Uint8Array([1, 2, 3]));
      server.broadcast(new PreparedMessage("prepared"));
      server.broadcast("not to 1", far[1]);
      if (came !== undefined) server.broadcast(came);
      const all = [long, new Uint8Array([1, 2, 3]), "prepared", "not to 1", "a message that came"];
      for (const [number, messages] of (await Promise.all(received)).entries()) {
        assert.deepEqual(messages, number === 1 ? all.filter((each) => each !== "not to 1") : all);
      }
      await server.close();
    });

    test("keeps its place among messages written to each", async () => {
      const { server, near, far } = await room(3, { compression });
      for (let round = 0; round < 20; round++) {
        far[0]?.write(`own ${round}`);
        server.broadcast(`all ${round}`);
        far[1]?.write("x".repeat(round * 1000));
      }
      const [first, second, third] = await Promise.all(near.map((each, number) => take(each, number === 2 ? 20 : 40)));
      assert.deepEqual(first?.slice(0, 4), ["own 0", "all 0", "own 1", "all 1"]);
      assert.deepEqual(second?.slice(-2), ["all 19", "x".repeat(19_000)]);
      assert.deepEqual(
        third,
        Array.from({ length: 20 }, (_, round) => `all ${round}`),
      );
      await server.close();
    });
  });
}

describe("broadcast", () => {
  test("to no connection, and to closing ones, has no effect", async () => {
    const { server, near, far } = await room(2);
    assert.equal(new WebSocketServer().broadcast("x"), 0);
    const closed = far[0]?.close();
    assert.equal(server.broadcast("x"), 0);
    assert.deepEqual(await take(near[1] ?? assert.fail(), 1), ["x"]);
    await closed;
    assert.equal(near[0]?.stats.messagesReceived, 0);
    await server.close();
  });

  test("an invalid message is rejected before any delivery", async () => {
    const { server, near } = await room(1);
    for (const wrong of [undefined, null, 5, {}, []]) {
      assert.throws(() => server.broadcast(wrong as never), { code: "INVALID_ARGUMENT" });
    }
    server.broadcast("right");
    assert.deepEqual(await take(near[0] ?? assert.fail(), 1), ["right"]);
    await server.close();
  });

  test("all receive the same bytes, in one write for each tick", async () => {
    const written: Uint8Array[] = [];
    const { server, near } = await room(3, {}, written);
    written.length = 0; // the handshakes
    server.broadcast("x".repeat(1000));
    server.broadcast("y");
    for (const each of near) assert.deepEqual(await take(each, 2), ["x".repeat(1000), "y"]);
    assert.equal(written.length, 3);
    for (const bytes of written) assert.deepEqual(bytes, written[0]);
    await server.close();
  });

  test("bufferedAmount and stats include pending broadcasts, and write nothing", async () => {
    const written: Uint8Array[] = [];
    const { server, near, far } = await room(1, {}, written);
    const [one] = far;
    written.length = 0; // the handshake
    server.broadcast("x".repeat(1000));
    server.broadcast("y");
    assert.equal(one?.bufferedAmount, 4 + 1000 + 2 + 1);
    assert.equal(one.stats.messagesSent, 2);
    assert.equal(written.length, 0);
    assert.deepEqual(await take(near[0] ?? assert.fail(), 2), ["x".repeat(1000), "y"]);
    assert.equal(written.length, 1);
    assert.equal(one.stats.messagesSent, 2);
    await server.close();
  });

  test("precedes messages, streams, pings and closes after it in the same tick", async () => {
    const { server, near, far } = await room(5);
    const [written, streamed, sent, closed, looked] = far;
    server.broadcast("all");
    written?.write("own");
    const streaming = streamed?.sendStream(["ow", "n"], "text");
    const sending = sent?.send("own");
    const closing = closed?.close(4001);
    assert.equal(looked?.bufferedAmount, 5);
    assert.equal(looked?.stats.messagesSent, 1);
    looked?.write("own");
    server.broadcast("again");
    for (const each of near.filter((_, number) => number !== 3 && number !== 1)) {
      assert.deepEqual(await take(each, 3), ["all", "own", "again"]);
    }
    // fragments are sent in separate ticks
    assert.deepEqual(await take(near[1] ?? assert.fail(), 3), ["all", "own", "again"]);
    assert.deepEqual(await take(near[3] ?? assert.fail(), 1), ["all"]);
    await Promise.all([streaming, sending, closing]);
    assert.equal((await near[3]?.closed)?.code, 4001);
    await server.close();
  });

  test("a new connection receives later broadcasts only", async () => {
    const server: WebSocketServer = new WebSocketServer({
      authorize: () => {
        server.broadcast("before");
        return true;
      },
    });
    const [first] = await join(server);
    server.on("connection", () => server.broadcast("welcome"));
    const [second] = await join(server);
    assert.deepEqual(await take(first, 2), ["before", "welcome"]);
    assert.deepEqual(await take(second, 1), ["welcome"]);
    await server.close();
  });

  test("more than half of writeBufferSize is sent at once, and slow consumers are detected", async () => {
    const { server, near, far } = await room(2, { writeBufferSize: 1000 });
    near[0]?.pause();
    let slow = 0;
    for (let round = 0; slow === 0; round++) {
      assert.ok(round < 10_000);
      slow = server.broadcast("x".repeat(600));
      await near[1]?.flush();
      if (round % 10 === 0) await turns(1);
    }
    assert.ok(slow >= 1);
    assert.ok((far[0]?.bufferedAmount ?? 0) > 1000 || (far[1]?.bufferedAmount ?? 0) > 1000);
    for (const each of far) each.terminate();
    await server.close();
  });

  test("a throwing handler does not prevent delivery to others", async () => {
    const { server, near, far } = await room(2);
    far[0]?.on("message", (message) => {
      server.broadcast(message);
      throw new Error("of the application");
    });
    server.on("error", () => undefined);
    near[0]?.write("one");
    for (const each of near) assert.deepEqual(await take(each, 1), ["one"]);
    assert.equal((await near[0]?.closed)?.code, 1011);
    await server.close();
  });

  test("nor does a throwing handler of a new connection", async () => {
    const server = new WebSocketServer();
    server.on("connection", () => {
      server.broadcast("welcome");
      throw new Error("of the application");
    });
    server.on("error", () => undefined);
    const [near] = await join(server);
    assert.deepEqual(await take(near, 1), ["welcome"]);
    assert.equal((await near.closed).code, 1011);
    await server.close();
  });

  test("a slow consumer is closed with 1013 while the others receive everything, and memory stays bounded", async (t) => {
    const MAX = 200_000;
    const served = await serve(t, { maxWriteBufferSize: MAX, closeTimeout: 300 });
    const [quick, quickFar] = await served.pair();
    const slow = Raw.to(t, served).send(upgradeRequest());
    await slow.head();
    slow.stream.pause();
    await served.until(() => served.accepted.length === 2);
    const slowFar = served.accepted[1]?.connection ?? assert.fail();
    const COUNT = 400;
    const received = (async () => {
      let count = 0;
      for await (const message of quick) {
        assert.equal(message.size, 50_000);
        if (++count === COUNT) return count;
      }
      return count;
    })();
    let full = 0;
    let most = 0;
    for (let number = 0; number < COUNT; number++) {
      full += served.server.broadcast(Buffer.alloc(50_000, number));
      most = Math.max(most, slowFar.bufferedAmount);
      await quickFar.flush();
    }
    assert.equal(await received, COUNT);
    assert.ok(full > 0);
    assert.ok(most <= MAX, `${most} bytes waited`);
    const info = await slowFar.closed;
    assert.equal(info.error?.code, "SLOW_CONSUMER");
    assert.equal(quick.state, "open");
    assert.deepEqual([...served.server.connections], [quickFar]);
  });

  test("a slow consumer that resumes reading receives the reason", async () => {
    const { server, near, far } = await room(1, { maxWriteBufferSize: 10_000, receiveQueueSize: 1000 });
    while (far[0]?.state === "open") {
      server.broadcast(Buffer.alloc(3000));
      await turns(1);
    }
    const closed = near[0]?.closed;
    for await (const _ of near[0] ?? assert.fail()) await turns(1);
    assert.equal((await closed)?.code, 1013);
    await server.close();
  });

  test("closing, terminating or adding connections meanwhile does not affect others", async () => {
    const { server, near, far } = await room(6, { maxWriteBufferSize: 1000 });
    // three full ones: each error is emitted during the broadcast
    for (const number of [1, 2, 4]) far[number]?.write("x".repeat(5000));
    const reported: number[] = [];
    for (const [number, each] of far.entries()) {
      each.on("error", () => {
        reported.push(number);
        far[3]?.terminate();
        void far[5]?.close(4005);
        server.broadcast("in between");
      });
    }
    server.broadcast("y".repeat(500));
    assert.deepEqual((await take(near[0] ?? assert.fail(), 4)).map(String).toSorted(), [
      ...Array(3).fill("in between"),
      "y".repeat(500),
    ]);
    assert.equal((await near[5]?.closed)?.code, 4005);
    assert.deepEqual(
      reported.toSorted((a, b) => a - b),
      [1, 2, 3, 4],
    );
    await server.close();
  });

  test("a stream that reads, writes and broadcasts during its write receives each once, in order", async () => {
    const server = new WebSocketServer();
    const [near, far] = memoryPipe();
    const [one, two] = await Promise.all([client("ws://localhost/", near), server.accept(far)]);
    const [other] = await join(server);
    const write = far._write.bind(far);
    const sent: number[] = [];
    far._write = (chunk: unknown, encoding, done) => {
      far._write = write;
      sent.push(two?.stats.messagesSent ?? 0);
      two?.write("own");
      server.broadcast("c");
      server.broadcast("not to this one", two);
      two?.write("own again");
      write(chunk, encoding, done);
    };
    server.broadcast("a");
    server.broadcast("b");
    assert.deepEqual(await take(one, 5), ["a", "b", "own", "c", "own again"]);
    assert.deepEqual(await take(other, 4), ["a", "b", "c", "not to this one"]);
    assert.deepEqual(sent, [2]);
    assert.equal(two?.stats.messagesSent, 5);
    await server.close();
  });

  test("in an error listener, when a connection is full, delivers nothing twice", async (t) => {
    const served = await serve(t, { maxWriteBufferSize: 100_000, writeBufferSize: 1000, closeTimeout: 300 });
    const quick = await Promise.all(Array.from({ length: 3 }, async () => (await served.pair())[0]));
    const slow = Raw.to(t, served).send(upgradeRequest());
    await slow.head();
    slow.stream.pause();
    await served.until(() => served.accepted.length === 4);
    const full = served.accepted[3]?.connection ?? assert.fail();
    // the others are known to be uncompressed before the full one is found
    while (full.bufferedAmount < 99_900) {
      full.write(Buffer.alloc(Math.min(50_000, 99_990 - full.bufferedAmount)));
      await turns(1);
    }
    full.on("error", () => server.broadcast("y".repeat(300)));
    const { server } = served;
    server.broadcast("x".repeat(400));
    await full.closed;
    server.broadcast("z");
    for (const each of quick) assert.deepEqual(await take(each, 3), ["x".repeat(400), "y".repeat(300), "z"]);
  });

  test("does not count a closing connection as slow", async () => {
    const { server, near, far } = await room(2, { writeBufferSize: 1000, receiveQueueSize: 1000 });
    near[0]?.pause();
    const slow = async (): Promise<number> => {
      const count = server.broadcast("x".repeat(600));
      await near[1]?.flush();
      await turns(2);
      return count;
    };
    while ((far[0]?.bufferedAmount ?? 0) < 10_000) await slow();
    assert.ok((await slow()) > 0);
    void far[0]?.close();
    far[1]?.terminate();
    await far[1]?.closed;
    assert.equal(server.broadcast("x"), 0);
    far[0]?.terminate();
    await server.close();
  });

  test("of precompressed data reaches connections with compression; the error of others does not blame them", async () => {
    const deflated = deflateRawSync("a b c d e f", { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
    const message = new PreparedMessage(deflated, { type: "text", compressed: true });
    assert.throws(() => new WebSocketServer().broadcast(message), { code: "INVALID_ARGUMENT" });
    const server = new WebSocketServer({ compression: true });
    const [one] = await join(server, { compression: true });
    const [plain, farPlain] = await join(server, { compression: false });
    server.broadcast(message);
    assert.deepEqual(await take(one, 1), ["a b c d e f"]);
    assert.equal((await farPlain.closed).error?.code, "HANDLER_FAILED");
    assert.equal((await plain.closed).code, 1011);
    await server.close();
  });

  test("in a message listener that then closes or terminates its own connection or another one", async () => {
    for (const act of ["close", "terminate"] as const) {
      const { server, near, far } = await room(4);
      far[0]?.on("message", (message) => {
        server.broadcast(message);
        void far[0]?.[act]();
        void far[1]?.[act]();
        server.broadcast("behind it");
      });
      const rest = [2, 3].map((number) => take(near[number] ?? assert.fail(), 2));
      near[0]?.write("one");
      near[0]?.write("two");
      assert.deepEqual(await Promise.all(rest), Array(2).fill(["one", "behind it"]));
      await Promise.all([near[0]?.closed, near[1]?.closed]);
      await server.close();
    }
  });
});
