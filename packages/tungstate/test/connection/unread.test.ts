import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { MemoryBudget } from "../../src/connection/memory-budget.ts";
import { client } from "../../src/client/client.ts";
import type { ConnectionOptions } from "../../src/connection/options.ts";
import { accept } from "../../src/server/accept.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import type { CloseInfo, WebSocketConnection } from "../../src/connection/types.ts";
import { inWorld, settle } from "../reconnecting/support.ts";
import { withConnected } from "../support/connected.ts";
import { type Kind, kinds, memory, selfSigned } from "../support/pairs.ts";
import { BINARY, CLOSE, closePayload, frame, PING, PONG, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { routesOfAllVersions } from "../support/routes.ts";
import { turns } from "../support/server.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const MESSAGE = 48 * KiB; // bytes
const MESSAGES = (3 * MiB) / MESSAGE;
const HEARTBEAT = { heartbeat: { interval: 300, timeout: 300 } };
const STALLED = 100; // ms
const SLOW = 1000; // ms
const SLOT = 25; // ms that a deadline may be late

/** Ways in which a connection is not read. */
const UNREAD: Readonly<Record<string, (connection: WebSocketConnection) => Promise<void> | void>> = {
  "that is not read": () => undefined,
  "that is paused": (connection) => {
    connection.on("message", () => undefined);
    connection.pause();
  },
  "that is paused while messages come": async (connection) => {
    await new Promise<void>((resolve) =>
      connection.once("message", () => {
        connection.on("message", () => undefined);
        connection.pause();
        resolve();
      }),
    );
  },
  "with an iteration that has stopped in between": async (connection) => {
    await connection[Symbol.asyncIterator]().next();
  },
  "with a stream that is not pulled from": async (connection) => {
    await connection.split().readable.getReader().read();
  },
};

/** Returns all unread bytes. */
async function rest(connection: WebSocketConnection): Promise<number> {
  let size = 0;
  connection.pause();
  for await (const message of connection) size += message.size;
  return size;
}

for (const kind of kinds) {
  describe(`over ${kind.name}, a connection`, () => {
    for (const [name, leave] of Object.entries(UNREAD)) {
      for (const reader of ["client", "server"] as const) {
        test(`${name} answers a ping and a Close after 3 MiB, as a ${reader}`, async () => {
          await withConnected(kind, {}, async ({ client: one, server: two }) => {
            const [near, far] = reader === "client" ? [one, two] : [two, one];
            const closes: CloseInfo[] = [];
            near.on("close", (info) => closes.push(info));
            const left = leave(near);
            for (let number = 0; number < MESSAGES; number++) far.write(Buffer.alloc(MESSAGE, number));
            await left;
            await far.ping();
            const info = await far.close(4000, "enough");
            assert.deepEqual([info.code, info.clean], [4000, true]);
            await near.closed;
            assert.equal(near.state, "closed");
            assert.deepEqual(closes, [{ code: 4000, reason: "enough", clean: true, error: undefined }]);
            // unread messages are still there
            const taken = near.stats.messagesReceived === MESSAGES ? MESSAGES * MESSAGE - (await rest(near)) : -1;
            assert.ok([0, MESSAGE].includes(taken), `${taken} bytes are gone`);
          });
        });
      }
    }
  });
}

/** A client that sends bytes on a socket after its handshake. */
async function rawSocket(t: TestContext, port: number, secure = false): Promise<Raw> {
  const socket: Socket = secure
    ? connectTls({ port, host: "127.0.0.1", ca: selfSigned().cert, servername: "localhost" })
    : connectTcp(port, "127.0.0.1");
  t.after(() => socket.destroy());
  const raw = new Raw(socket).send(upgradeRequest());
  await raw.head();
  return raw;
}

/** Ways in which a peer disconnects. */
const DISAPPEARANCES: Readonly<Record<string, (socket: Socket) => void>> = {
  "has ended its half": (socket) => socket.end(),
  "has reset": (socket) => socket.resetAndDestroy(),
  "has dropped its socket": (socket) => socket.destroy(),
  "says nothing more": () => undefined,
};

for (const secure of [false, true]) {
  for (const [how, disappear] of Object.entries(DISAPPEARANCES)) {
    if (secure && how === "has reset") continue; // Node.js makes an end of it for a TLS socket
    for (const [name, leave] of Object.entries(UNREAD)) {
      test(`a server${secure ? " with TLS" : ""} releases a connection ${name}, whose peer ${how} after 14,000 messages`, async (t) => {
        const server = new WebSocketServer({ ...HEARTBEAT, closeTimeout: 300 });
        const opened = once(server as never, "connection") as Promise<[WebSocketConnection]>;
        const { port } = (await server.listen(secure ? { tls: selfSigned() } : {})) as AddressInfo;
        const raw = await rawSocket(t, port, secure);
        const [connection] = await opened;
        const left = leave(connection);
        const small = frame(TEXT, "a small message");
        raw.send(Buffer.concat(Array.from({ length: 14_000 }, () => small)));
        await left;
        disappear(raw.stream as Socket);
        const { error } = await connection.closed;
        assert.equal(error?.code, how === "says nothing more" ? "HEARTBEAT_TIMEOUT" : "CONNECTION_LOST");
        assert.equal(server.connections.size, 0);
        await server.close();
      });
    }
  }
}

describe("over each route to a server, a handler that only writes", () => {
  for (const how of ["has dropped its socket", "says nothing more"] as const) {
    for (const route of routesOfAllVersions) {
      test(`detects a peer that ${how}: ${route.name}`, async (t) => {
        let ended: Promise<CloseInfo> | undefined;
        const server = await route.start(t, { ...HEARTBEAT, closeTimeout: 300 }, (connection) => {
          connection.write("welcome");
          ended = connection.closed;
        });
        const { raw, socket } = await server.opened(t);
        const small = frame(TEXT, "a small message");
        raw.send(Buffer.concat(Array.from({ length: 14_000 }, () => small)));
        DISAPPEARANCES[how]?.(socket);
        assert.ok(ended !== undefined);
        const { error } = await ended;
        assert.equal(error?.code, how === "says nothing more" ? "HEARTBEAT_TIMEOUT" : "CONNECTION_LOST");
      });
    }
  }
});

/** A connection on a memory pipe with a virtual clock, and what it has sent. */
async function virtual(
  options: ConnectionOptions = {},
): Promise<{ connection: WebSocketConnection; raw: Raw; clock: VirtualClock; sent: (opcode: number) => number }> {
  const clock = new VirtualClock();
  const [near, far] = memoryPipe();
  const raw = new Raw(far).send(upgradeRequest());
  const connection = await accept(near, { clock, heartbeat: false, ...options });
  await raw.head();
  const head = raw.received.indexOf("\r\n\r\n") + 4;
  // control frames without a payload
  const sent = (opcode: number): number => {
    let count = 0;
    for (let at = head; at < raw.received.length; at += 2 + ((raw.received[at + 1] ?? 0) & 0x7f)) {
      if (raw.received[at] === (0x80 | opcode)) count++;
    }
    return count;
  };
  return { connection, raw, clock, sent };
}

/**
 * Sends that many messages of 1,000 bytes, which count 1,064 each, in separate chunks, and then a
 * frame.
 */
function pour(raw: Raw, count: number, last?: Buffer): void {
  for (let number = 0; number < count; number++) raw.send(frame(BINARY, Buffer.alloc(1000, number)));
  if (last !== undefined) raw.send(last);
}

const SMALL = { receiveQueueSize: 10_000, readAheadSize: 100_000 };
const WIRE = 1008; // size of such a message with its header

/** Lets the streams run until nothing moves. */
async function standstill(connection: WebSocketConnection): Promise<number> {
  for (let before = -1; before !== connection.stats.bytesReceived;) {
    before = connection.stats.bytesReceived;
    await turns(20);
  }
  return connection.stats.bytesReceived;
}

describe("a peer", () => {
  test("is delayed at receiveQueueSize by a slow reader", async () => {
    const { connection, raw, clock, sent } = await virtual({ ...SMALL, receiveQueueSize: 100_000 });
    pour(raw, 150, frame(PING));
    const messages = connection[Symbol.asyncIterator]();
    // a message every 50 ms, which makes no room
    for (let time = 0; time <= SLOW - 2 * STALLED; time += 50) {
      assert.equal(await standstill(connection), 94 * WIRE);
      await messages.next();
      await clock.advance(50);
    }
    assert.equal(sent(PONG), 0);
    connection.terminate();
  });

  test(`is read ahead after ${STALLED} ms without a read`, async () => {
    const { connection, raw, clock, sent } = await virtual(SMALL);
    pour(raw, 50, frame(PING));
    assert.equal(await standstill(connection), 10 * WIRE);
    await clock.advance(STALLED - 1);
    assert.equal(await standstill(connection), 10 * WIRE);
    assert.equal(sent(PONG), 0);
    await clock.advance(1 + SLOT);
    await standstill(connection);
    assert.equal(sent(PONG), 1);
    assert.equal(connection.stats.messagesReceived, 50);
    connection.terminate();
  });

  test(`is read ahead after ${SLOW} ms in which a slow reader has made no room, and then waits again`, async () => {
    const { connection, raw, clock, sent } = await virtual({ ...SMALL, receiveQueueSize: 100_000 });
    pour(raw, 150, frame(PING));
    const messages = connection[Symbol.asyncIterator]();
    const first = await standstill(connection);
    assert.equal(first, 94 * WIRE);
    let time = 0;
    for (; sent(PONG) === 0; time += 50) {
      assert.equal(await standstill(connection), first);
      await messages.next();
      await clock.advance(50);
      await standstill(connection);
    }
    assert.ok(time >= SLOW && time <= SLOW + 2 * STALLED, `${time} ms`);
    // the reader continues: after a while reading ahead stops
    for (; time < 2 * SLOW + 2 * STALLED; time += 50) {
      await messages.next();
      await clock.advance(50);
    }
    pour(raw, 100, frame(PING));
    await standstill(connection);
    assert.ok(connection.stats.messagesReceived < 250);
    assert.equal(sent(PONG), 1);
    connection.terminate();
  });

  test("is delayed at receiveQueueSize without limit if readAheadSize is 0", async () => {
    const { connection, raw, clock, sent } = await virtual({ ...SMALL, readAheadSize: 0 });
    pour(raw, 50, frame(PING));
    await standstill(connection);
    await clock.advance(100_000);
    assert.equal(await standstill(connection), 10 * WIRE);
    assert.equal(sent(PONG), 0);
    connection.terminate();
  });

  test("is answered a ping that came in the read with which the queue was filled", async () => {
    const { connection, raw, sent } = await virtual({ receiveQueueSize: 10_000, readAheadSize: 0 });
    const messages = Array.from({ length: 200 }, (_, number) => frame(BINARY, Buffer.alloc(1000, number)));
    const pinged = new Promise<void>((resolve) => connection.once("ping", () => resolve()));
    raw.send(...messages, frame(PING));
    await pinged;
    await raw.until(() => sent(PONG) === 1);
    assert.equal(connection.stats.messagesReceived, 200);
    connection.terminate();
  });

  test("is delayed at receiveQueueSize and readAheadSize, without loss", async () => {
    const budget = new MemoryBudget(10 * MiB);
    const { connection, raw, clock } = await virtual({ ...SMALL, memoryBudget: budget });
    const COUNT = 1000;
    pour(raw, COUNT);
    for (let round = 0; round < 10; round++) {
      await standstill(connection);
      await clock.advance(10_000);
    }
    assert.equal(connection.stats.messagesReceived, Math.floor(110_000 / 1064) + 1);
    const held = connection.stats.messagesReceived * 1096;
    assert.ok(budget.use.held >= held && budget.use.held <= held + 32 * KiB, `${budget.use.held}`); // with blocks that are not full
    let number = 0;
    for await (const { bytes } of connection) {
      assert.equal(bytes[0], number & 0xff);
      if (++number === COUNT) break;
    }
    assert.equal(budget.use.held, 0);
    connection.terminate();
  });

  test("is not read ahead while more than half of the memory budget is used", async () => {
    const budget = new MemoryBudget(1_000_000);
    const other = budget.part("something else");
    other.set(600_000);
    const { connection, raw, clock, sent } = await virtual({ ...SMALL, memoryBudget: budget });
    pour(raw, 50, frame(PING));
    await standstill(connection);
    await clock.advance(10_000);
    assert.equal(await standstill(connection), 10 * WIRE);
    other.set(0);
    await clock.advance(SLOW + SLOT);
    await standstill(connection);
    assert.equal(sent(PONG), 1);
    connection.terminate();
  });

  test("is read again when memory pressure ends, even without a read", async () => {
    const budget = new MemoryBudget(1_000_000);
    const other = budget.part("something else");
    const { connection, raw, clock } = await virtual({ ...SMALL, memoryBudget: budget });
    other.set(900_000);
    pour(raw, 2);
    await standstill(connection);
    await clock.advance(10_000);
    assert.equal(await standstill(connection), WIRE);
    other.set(0);
    await clock.advance(SLOW + SLOT);
    assert.equal(await standstill(connection), 2 * WIRE);
    connection.terminate();
  });
});

describe("the heartbeat of an unread connection", () => {
  const INTERVAL = 300;
  const heartbeat = { interval: INTERVAL, timeout: 200 };

  test("detects a silent peer after its data, within interval and timeout", async () => {
    const { connection, raw, clock, sent } = await virtual({ heartbeat });
    const small = frame(TEXT, "a small message");
    raw.send(Buffer.concat(Array.from({ length: 14_000 }, () => small)));
    await standstill(connection);
    await clock.advance(STALLED + SLOT);
    await standstill(connection); // the rest has arrived now
    assert.equal(connection.stats.messagesReceived, 14_000);
    await clock.advance(INTERVAL + SLOT);
    assert.equal(sent(PING), 1);
    await clock.advance(200 + SLOT);
    assert.equal((await connection.closed).error?.code, "HEARTBEAT_TIMEOUT");
    assert.equal(clock.pending, 0);
  });

  test("keeps a peer that answers", async () => {
    const { connection, raw, clock, sent } = await virtual({ heartbeat });
    const small = frame(TEXT, "a small message");
    raw.send(Buffer.concat(Array.from({ length: 14_000 }, () => small)));
    for (let answered = 0; answered < 20;) {
      await clock.advance(50);
      await standstill(connection);
      for (; answered < sent(PING); answered++) raw.send(frame(PONG));
      await standstill(connection);
    }
    assert.equal(connection.state, "open");
    connection.terminate();
  });

  test("pings a delayed peer, and keeps it", async () => {
    const { connection, raw, clock, sent } = await virtual({ heartbeat, ...SMALL });
    pour(raw, 1000);
    await standstill(connection);
    for (let time = 0; time < 10_000; time += 100) {
      await clock.advance(100);
      await standstill(connection);
    }
    assert.ok(sent(PING) >= 2 * (9_000 / 500) && sent(PING) <= 2 * (10_000 / 500), `${sent(PING)} pings`);
    assert.equal(connection.state, "open");
    // it has time to answer when it is read again
    let taken = 0;
    for await (const _ of connection) if (++taken === 1000) break;
    await clock.advance(190);
    raw.send(frame(PONG));
    await standstill(connection);
    await clock.advance(INTERVAL - 1);
    assert.equal(connection.state, "open");
    await clock.advance(1 + 200 + 3 * SLOT);
    assert.equal((await connection.closed).error?.code, "HEARTBEAT_TIMEOUT");
  });

  const sockets = kinds.filter(({ name }) => /TCP|Unix|TLS/.test(name));
  for (const kind of sockets) {
    for (const role of ["client", "server"] as const) {
      test(`detects over ${kind.name} that a delayed peer has destroyed its socket, as a ${role}`, async () => {
        await exhausted(kind, role, async (connection, { peer }) => {
          peer.terminate();
          const { code, error } = await connection.closed;
          assert.deepEqual([code, error?.code], [1006, "CONNECTION_LOST"]);
        });
      });
    }
  }

  for (const kind of kinds.filter(({ name }) => name.startsWith("TCP"))) {
    test(`uses the system's keep-alive probes for the host of a delayed peer, over ${kind.name}`, async () => {
      await exhausted(kind, "server", async (connection, { socket }) => {
        const remotePort = socket.remotePort ?? 0;
        // proc(5), sockets: its addresses, ..., "tr": the active timer; 02 is keep-alive
        const port = remotePort.toString(16).toUpperCase().padStart(4, "0");
        const row = new RegExp(`: \\w+:\\w+ \\w+:${port} \\w+ \\w+:\\w+ (\\w+):`);
        let timer: string | undefined;
        // while a ping is in transit, the retransmission timer is active
        for (; timer !== "02"; await turns(1)) {
          timer = row.exec(readFileSync("/proc/net/tcp", "latin1"))?.[1];
          assert.equal(connection.state, "open");
        }
      });
    });
  }
});

/** A connection whose queue and read-ahead are full, its socket, and its peer. */
async function exhausted(
  kind: Kind,
  role: "client" | "server",
  check: (
    connection: WebSocketConnection,
    ends: { readonly socket: Socket; readonly peer: WebSocketConnection },
  ) => Promise<void>,
): Promise<void> {
  const pair = await kind.make();
  const options = { heartbeat: { interval: 100, timeout: 100 }, receiveQueueSize: 1000, readAheadSize: 10_000 };
  const [mine, theirs] = role === "client" ? [pair.client, pair.server] : [pair.server, pair.client];
  const peer = { heartbeat: false, closeTimeout: 1 } as const;
  const [connection, other] = await Promise.all(
    role === "client"
      ? [client("ws://localhost/", mine, options), accept(theirs, peer)]
      : [accept(mine, options), client("ws://localhost/", theirs, peer)],
  );
  other.on("message", () => undefined);
  while (other.bufferedAmount < 1 * MiB) {
    other.write(Buffer.alloc(MESSAGE));
    await turns(1);
  }
  await standstill(connection);
  try {
    await check(connection, { socket: mine as Socket, peer: other });
  } finally {
    connection.terminate();
    other.terminate();
    await Promise.all([connection.closed, other.closed]);
    await pair.cleanup();
  }
}

test("failures of Web streams are detected while nothing is read", async () => {
  for (const which of ["readable", "writable"] as const) {
    let fail = (_error: Error): void => undefined;
    const [near, far] = memoryPipe();
    const raw = new Raw(far).send(upgradeRequest());
    const readable = new ReadableStream<Uint8Array>({
      start(controller) {
        near.on("data", (bytes: Buffer) => controller.enqueue(bytes));
        if (which === "readable") fail = (error) => controller.error(error);
      },
    });
    const writable = new WritableStream<Uint8Array>({
      start(controller) {
        if (which === "writable") fail = (error) => controller.error(error);
      },
      write: (bytes) => void near.write(bytes),
    });
    const connection = await accept(
      { readable, writable },
      { receiveQueueSize: 0, readAheadSize: 0, heartbeat: false },
    );
    await raw.head();
    pour(raw, 10);
    await standstill(connection);
    fail(new Error("the network is down"));
    const { error } = await connection.closed;
    assert.deepEqual([error?.code, String(error?.cause)], ["CONNECTION_LOST", "Error: the network is down"]);
    near.destroy();
    far.destroy();
  }
});

test("messages after our Close are kept up to receiveQueueSize and readAheadSize, and dropped beyond", async () => {
  const { connection, raw } = await virtual(SMALL);
  void connection.close();
  pour(raw, 200, frame(CLOSE, closePayload(1000)));
  raw.stream.end();
  await connection.closed;
  let kept = 0;
  for await (const message of connection) kept += message.size + 64;
  assert.ok(kept > 110_000 && kept <= 110_000 + 1064, `${kept} bytes`);
});

test("a compressed message after a full queue is inflated, and the Close after it detected", async () => {
  const compression = { asyncThreshold: 1024, threshold: 0 };
  await withConnected(
    memory,
    { client: { compression, receiveQueueSize: 1000 }, server: { compression } },
    async ({ client: near, server: far }) => {
      near.on("message", () => undefined);
      near.pause();
      for (let number = 0; number < 100; number++) far.write(Buffer.alloc(number % 2 === 0 ? 20_000 : 100, number));
      await far.ping();
      const info = await far.close(4000);
      assert.deepEqual([info.code, info.clean], [4000, true]);
      await near.closed;
      assert.equal(near.stats.messagesReceived, 100);
    },
  );
});

test("an unread reconnecting connection reconnects, and keeps its messages", () =>
  inWorld(async (world) => {
    const connection = world.start({ receiveQueueSize: 1000, heartbeat: { interval: 300, timeout: 300 } });
    await connection.ready();
    for (let number = 0; number < 500; number++) world.server.write(`message ${number}`.padEnd(1000));
    void world.server.close(1001);
    await world.advance(30_000);
    assert.equal(connection.status.state, "open");
    assert.equal(world.served.length, 2);
    let number = 0;
    for await (const item of connection.withGaps()) {
      if (item.type === "gap") break;
      assert.equal(item.text.trim(), `message ${number++}`);
    }
    assert.equal(number, 500);
    await settle();
  }));
