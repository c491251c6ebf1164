import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accept } from "../../src/server/accept.ts";
import { client } from "../../src/client/client.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { withConnected } from "../support/connected.ts";
import { kinds } from "../support/pairs.ts";
import { routesOfAllVersions as routes } from "../support/routes.ts";
import { turns } from "../support/server.ts";

const NOT_OPEN = { name: "WebSocketError", code: "NOT_OPEN" };
const CHUNK = new Uint8Array(16 * 1024);
const MANY = 50_000; // rounds of a loop without timers or I/O

/**
 * Runs `round` until it rejects, and returns the error. Throws after too many rounds without any
 * other work.
 */
async function untilRejected(round: () => Promise<unknown>): Promise<unknown> {
  let rounds = 0;
  const beat = setInterval(() => (rounds = 0), 1);
  try {
    for (;;) {
      if (++rounds > MANY) throw new Error("nothing else can run");
      await round();
    }
  } catch (error) {
    return error;
  } finally {
    clearInterval(beat);
  }
}

/** Loops that write as fast as the connection accepts. Each must end with NOT_OPEN. */
const LOOPS: Readonly<Record<string, (connection: WebSocketConnection) => () => Promise<unknown>>> = {
  "write and flush": (connection) => async () => {
    if (!connection.write(CHUNK)) await connection.flush();
  },
  send: (connection) => () => connection.send(CHUNK),
  sendStream: (connection) => () => connection.sendStream([CHUNK]),
  "a writer of split": (connection) => {
    const writer = connection.split().writable.getWriter();
    return () => writer.write(CHUNK);
  },
};

/** How a connection ends, seen from one of its ends. */
const ENDS: Readonly<Record<string, (own: WebSocketConnection, peer: WebSocketConnection) => unknown>> = {
  "the peer closes": (_, peer) => peer.close(4000),
  "the peer is gone": (_, peer) => peer.terminate(),
  "it is closed here": (own) => own.close(4000),
  "it is terminated here": (own) => own.terminate(),
};

function checkNotOpen(error: unknown): void {
  assert.ok(error instanceof Error);
  assert.deepEqual({ name: error.name, code: Reflect.get(error, "code") }, NOT_OPEN, error.stack);
}

/** Reads, so that the peer's Close is reached. */
function drain(connection: WebSocketConnection): void {
  connection.on("message", () => undefined);
}

async function rejectAll(connection: WebSocketConnection): Promise<void> {
  const writer = connection.split().writable.getWriter();
  await Promise.all([
    assert.rejects(connection.send("x"), NOT_OPEN),
    assert.rejects(connection.flush(), NOT_OPEN),
    assert.rejects(connection.ping(), NOT_OPEN),
    assert.rejects(connection.sendStream(["x"], "text"), NOT_OPEN),
    assert.rejects(writer.write("x"), NOT_OPEN),
  ]);
  assert.equal(connection.write("x"), false);
}

for (const route of routes) {
  describe(`by ${route.name}`, () => {
    for (const [end, act] of Object.entries(ENDS)) {
      test(`writing loops end with NOT_OPEN at both ends when ${end}`, async (t) => {
        const served = await route.start(t);
        for (const [name, loop] of Object.entries(LOOPS)) {
          for (const which of ["client", "server"] as const) {
            const [one, two] = await served.pair();
            const [own, peer] = which === "client" ? [one, two] : [two, one];
            drain(peer);
            drain(own);
            const round = loop(own);
            let written = 0;
            const loopEnds = untilRejected(() => {
              // within the loop, and once
              if (++written === 30) void act(own, peer);
              return round();
            });
            checkNotOpen(await loopEnds);
            await own.closed;
            checkNotOpen(await untilRejected(loop(own)));
            assert.ok(written >= 30, name);
          }
        }
      });
    }
  });
}

for (const kind of kinds) {
  describe(`over ${kind.name}`, () => {
    test("everything waiting for a peer that does not read rejects with NOT_OPEN and the cause when it has disconnected", async () => {
      const small = { writeBufferSize: 1000, receiveQueueSize: 1000 };
      await withConnected(kind, { client: small, server: small }, async ({ client: own, server: peer }) => {
        const writer = own.split().writable.getWriter();
        // more than any stream buffers, since nothing reads
        for (let number = 0; number < 300; number++) own.write(new Uint8Array(100_000));
        const waits = [own.send("x"), own.flush(), own.ping(), writer.write("x"), own.sendStream(endless())];
        const errors = waits.map((wait) =>
          wait.then(
            () => "resolved",
            (error: Error) => error,
          ),
        );
        await turns(2);
        peer.terminate();
        for (const error of await Promise.all(errors)) {
          checkNotOpen(error);
          const { cause } = error as Error;
          assert.equal(cause instanceof Error && Reflect.get(cause, "code"), "CONNECTION_LOST");
        }
        await own.closed;
        await rejectAll(own);
      });
    });

    test("flush resolves for messages sent before the own Close, then rejects", async () => {
      await withConnected(kind, {}, async ({ client: own, server: peer }) => {
        drain(peer);
        own.write(new Uint8Array(100_000));
        const closed = own.close();
        await own.flush();
        assert.equal(own.bufferedAmount, 0);
        await assert.rejects(own.flush(), NOT_OPEN);
        assert.equal((await closed).clean, true);
        await rejectAll(own);
      });
    });
  });
}

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) {
    yield CHUNK;
    await turns(1);
  }
}

test("write returns false in the tick in which the connection is terminated", async () => {
  for (const kind of kinds) {
    await withConnected(kind, {}, async ({ client: own }) => {
      assert.equal(own.write("x"), true);
      own.terminate();
      assert.equal(own.write("x"), false, kind.name);
      assert.notEqual(own.state, "open");
      await assert.rejects(own.send("x"), NOT_OPEN);
    });
  }
});

describe("reconnecting", () => {
  async function opened() {
    const server = { connection: undefined as WebSocketConnection | undefined };
    let left = 1;
    const connection = reconnecting("ws://server/", {
      backoff: { initialDelay: 1, maxDelay: 1 },
      outbox: { policy: "wait" },
      connect: async (url, options) => {
        if (left-- === 0) throw new Error("no more");
        const [near, far] = memoryPipe();
        const [made, other] = await Promise.all([client(url, near, options), accept(far)]);
        server.connection = other;
        drain(other);
        return made;
      },
      retry: ({ type }) => type === "closed", // ends permanently at the first failed attempt
    });
    await connection.ready();
    return { connection, other: server.connection ?? assert.fail() };
  }

  const endings: Readonly<Record<string, (connection: WebSocketConnection, other: WebSocketConnection) => unknown>> = {
    "it is closed": (connection) => connection.close(),
    "it is terminated": (connection) => connection.terminate(),
    "the server is gone and no other attempt is made": (_, other) => other.terminate(),
    "the server closes and no other attempt is made": (_, other) => other.close(1001),
  };

  for (const [ending, act] of Object.entries(endings)) {
    test(`writing loops end with NOT_OPEN permanently when ${ending}`, async () => {
      for (const [name, loop] of Object.entries(LOOPS)) {
        const { connection, other } = await opened();
        const round = loop(connection);
        let written = 0;
        const lost = new Set<string>();
        const error = await untilRejected(async () => {
          if (++written === 30) void act(connection, other);
          try {
            await round();
          } catch (reason) {
            // messages lost with one connection: the loop may continue with the next one
            if (!connection.writable || name === "a writer of split") throw reason;
            lost.add(String(Reflect.get(Object(reason), "code")));
            await turns(1);
          }
        });
        checkNotOpen(error);
        for (const code of lost) assert.ok(["CONNECTION_LOST", "NOT_OPEN"].includes(code), code);
        await connection.closed;
        checkNotOpen(await untilRejected(loop(connection)));
        await rejectAll(connection);
      }
    });
  }
});
