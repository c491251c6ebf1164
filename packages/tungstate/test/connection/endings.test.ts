import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { client } from "../../src/client/client.ts";
import { accept, type AcceptOptions } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { withConnected } from "../support/connected.ts";
import { kinds, memory } from "../support/pairs.ts";
import { CLOSE, closePayload, frame, PING, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { turns } from "../support/server.ts";

async function tcp(t: TestContext): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const near = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [[far]] = (await Promise.all([once(server, "connection"), once(near, "connect")])) as [[Socket], unknown];
  t.after(async () => {
    near.destroy();
    far.destroy();
    server.close();
    await once(server, "close");
  });
  return [near, far];
}

const streams: readonly [name: string, make: (t: TestContext) => Promise<[Duplex, Duplex]>][] = [
  ["TCP", tcp],
  ["a memory pipe", async () => memoryPipe()],
];

for (const [name, make] of streams) {
  /** A connection under test, and a client that sends only what it is given. */
  async function served(t: TestContext, options: AcceptOptions = {}): Promise<[WebSocketConnection, Raw]> {
    const [near, far] = await make(t);
    const raw = new Raw(near);
    const accepted = accept(far, options);
    raw.send(upgradeRequest());
    const connection = await accepted;
    await raw.head();
    return [connection, raw];
  }

  describe(`over ${name}, a peer that`, () => {
    test("ends its half after its Close still receives everything written", async (t) => {
      const [connection, raw] = await served(t);
      raw.stream.pause();
      for (let number = 0; number < 200; number++) connection.write(Buffer.alloc(50_000, number));
      await turns(2);
      raw.send(frame(CLOSE, closePayload(1000))).stream.end();
      await turns(10);
      raw.stream.resume();
      await raw.until(() => false);
      const head = raw.received.indexOf("\r\n\r\n") + 4;
      assert.equal(raw.received.length - head, 200 * (50_000 + 4) + 4);
      assert.deepEqual(raw.received.subarray(-4), frame(CLOSE, closePayload(1000), { masked: false }));
      assert.deepEqual(await connection.closed, { code: 1000, reason: "", clean: true, error: undefined });
    });

    test("ends its half without a Close receives everything written, and the connection is reported as lost", async (t) => {
      const [connection, raw] = await served(t);
      raw.stream.pause();
      for (let number = 0; number < 50; number++) connection.write(Buffer.alloc(50_000, number));
      await turns(2);
      raw.stream.end();
      await turns(10);
      raw.stream.resume();
      await raw.until(() => false);
      assert.equal(raw.received.length - raw.received.indexOf("\r\n\r\n") - 4, 50 * (50_000 + 4));
      const { code, error } = await connection.closed;
      assert.deepEqual([code, error?.code], [1006, "CONNECTION_LOST"]);
    });

    test("ends its half and stops reading is terminated within closeTimeout", async (t) => {
      const [connection, raw] = await served(t, { closeTimeout: 60 });
      raw.stream.pause();
      for (let number = 0; number < 400; number++) connection.write(Buffer.alloc(50_000));
      await turns(2);
      raw.stream.end();
      const info = await connection.closed;
      assert.deepEqual([info.code, info.clean, info.error?.code], [1006, false, "CONNECTION_LOST"]);
    });

    test("does not answer a Close is terminated within closeTimeout, whatever else it sends", async (t) => {
      const [connection, raw] = await served(t, { closeTimeout: 60 });
      const flood = setInterval(() => raw.send(frame(TEXT, "still here"), frame(PING)), 5);
      const info = await connection.close(1000);
      clearInterval(flood);
      assert.deepEqual([info.code, info.clean, info.error?.code], [1006, false, "CLOSE_TIMEOUT"]);
    });

    test("does not end the stream after the Closes is terminated within closeTimeout, which is clean", async (t) => {
      const [connection, raw] = await served(t, { closeTimeout: 60 });
      raw.send(frame(CLOSE, closePayload(4321, "bye")));
      assert.deepEqual(await connection.closed, { code: 4321, reason: "bye", clean: true, error: undefined });
    });

    test("violates the protocol is sent the code, whether it then disconnects or not", async (t) => {
      for (const goes of [true, false]) {
        const [connection, raw] = await served(t, { closeTimeout: 60 });
        const errors: string[] = [];
        connection.on("error", (error) => errors.push(error.code));
        raw.send(Buffer.from([0x83, 0x80, 0, 0, 0, 0]), frame(TEXT, "not looked at any more"));
        assert.deepEqual(await raw.frames(1), [{ opcode: CLOSE, payload: closePayload(1002) }]);
        if (goes) raw.stream.end();
        const { code, clean, error } = await connection.closed;
        assert.deepEqual([code, clean, error?.code, errors], [1006, false, "INVALID_OPCODE", ["INVALID_OPCODE"]]);
        assert.equal(connection.stats.messagesReceived, 0);
      }
    });

    test("disconnects before it is answered ends the connection and nothing else", async (t) => {
      const [near, far] = await make(t);
      const accepted = accept(far);
      near.on("error", () => undefined).write(upgradeRequest() + "\x81");
      near.destroy();
      const settled = await accepted.then(
        (connection) => connection.closed,
        (error: { code: string }) => error,
      );
      assert.ok(settled.code === 1006 || settled.code === "REQUEST_LOST");
    });
  });
}

for (const kind of kinds) {
  describe(`over ${kind.name}`, () => {
    test("simultaneous closes are clean at both ends, each with the other's code", async () => {
      await withConnected(kind, {}, async ({ client: one, server: two }) => {
        const [atOne, atTwo] = await Promise.all([one.close(4001, "one"), two.close(4002, "two")]);
        assert.deepEqual(atOne, { code: 4002, reason: "two", clean: true, error: undefined });
        assert.deepEqual(atTwo, { code: 4001, reason: "one", clean: true, error: undefined });
      });
    });

    test("terminate in any state ends both", async () => {
      for (const before of ["nothing", "writing", "paused", "closing"] as const) {
        await withConnected(kind, {}, async ({ client: one, server: two }) => {
          if (before === "writing") one.write(Buffer.alloc(5_000_000));
          if (before === "paused") for (let number = 0; number < 300; number++) two.write(Buffer.alloc(10_000));
          await turns(1);
          const closing = before === "closing" ? one.close() : one.closed;
          one.terminate();
          one.terminate();
          const [atOne] = await Promise.all([closing, two.closed]);
          assert.equal(atOne.code === 1006 || before === "closing", true);
          assert.deepEqual([one.state, two.state, one.bufferedAmount], ["closed", "closed", 0]);
          await assert.rejects(one.ping(), { code: "NOT_OPEN" });
          await assert.rejects(one.flush(), { code: "NOT_OPEN" });
          assert.equal(await one.close(), await one.closed);
        });
      }
    });

    test("pending calls are settled at the end", async () => {
      const small = { writeBufferSize: 1000, receiveQueueSize: 1000 };
      await withConnected(kind, { client: small, server: small }, async ({ client: one, server: two }) => {
        const reading = (async () => {
          for await (const _ of one) assert.fail("nothing is sent");
          return "read";
        })();
        let reported = 0;
        one.on("close", () => reported++);
        // more than any stream buffers, since nothing reads
        for (let number = 0; number < 300; number++) one.write(Buffer.alloc(100_000));
        const waits = [one.send("x"), one.flush(), one.ping()].map((wait) =>
          wait.then(
            () => "done",
            (error: { code: string }) => error.code,
          ),
        );
        await turns(2);
        two.terminate();
        assert.deepEqual(await Promise.all(waits), Array(3).fill("NOT_OPEN"));
        assert.equal(await reading, "read");
        await one.closed;
        assert.equal(reported, 1);
      });
    });
  });
}

describe("an abort signal", () => {
  test("closes a connection with 1001, which the peer receives", async () => {
    const abort = new AbortController();
    await withConnected(memory, { client: { signal: abort.signal } }, async ({ client: one, server: two }) => {
      one.write("before");
      abort.abort(new Error("no longer needed"));
      const [atOne, atTwo] = await Promise.all([one.closed, two.closed]);
      assert.deepEqual(
        [atOne.error?.code, String(atOne.error?.cause)],
        ["CLOSED_BY_SIGNAL", "Error: no longer needed"],
      );
      assert.equal(atTwo.code, 1001);
    });
  });

  test("does nothing once the connection has ended", async () => {
    const abort = new AbortController();
    await withConnected(memory, { client: { signal: abort.signal } }, async ({ client: one }) => {
      const info = await one.close();
      abort.abort();
      assert.equal(await one.closed, info);
      assert.equal(info.error, undefined);
    });
  });
});

test("a throwing listener of close or error is reported, and stops nothing", async (t) => {
  const warnings: string[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning.message);
  process.on("warning", onWarning);
  t.after(() => process.off("warning", onWarning));
  const [near, far] = memoryPipe();
  const [one, two] = await Promise.all([client("ws://localhost/", near), accept(far)]);
  for (const event of ["error", "close"] as const) {
    one.on(event, () => {
      throw new Error(`in ${event}`);
    });
  }
  two.terminate();
  assert.equal((await one.closed).code, 1006);
  await turns(2);
  assert.deepEqual(warnings, ["in error", "in close"]);
});
