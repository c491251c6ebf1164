import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { Duplex } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { client } from "../../src/client/client.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { accept, type AcceptOptions } from "../../src/server/accept.ts";
import type { WebSocketServerOptions } from "../../src/server/options.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import type { CloseInfo, WebSocketConnection } from "../../src/connection/types.ts";
import { openStream } from "../support/http2-raw.ts";
import { kinds, type Kind, selfSigned } from "../support/pairs.ts";
import { CLOSE, closePayload, frame, PING } from "../support/raw.ts";
import { type Route, routesOfAllVersions, type RouteServer } from "../support/routes.ts";
import { turns } from "../support/server.ts";
import { SlowPeer } from "../support/slow-peer.ts";

const MIB = 1024 * 1024;
const MESSAGES = 16;
/** Total size with headers. */
const BYTES = MESSAGES * (MIB + 10);
const CLOSE_TIMEOUT = 5_000; // ms
const LATE = 50 + CLOSE_TIMEOUT / 8; // ms; timer slots, and the interval of checks of output

/** Much less than `closeTimeout` would permit in total, and more than a socket buffers. */
const RATE = 1.25 * MIB; // bytes a second

function writeAll(connection: WebSocketConnection): void {
  for (let number = 0; number < MESSAGES; number++) connection.write(new Uint8Array(MIB));
}

/**
 * Waits until output stops, because the peer reads nothing and all buffers are full: in each tick a
 * stream may accept 64 KiB.
 */
async function stuck(): Promise<void> {
  await turns((16 * MIB) / (64 * 1024));
}

interface Ends {
  readonly connection: WebSocketConnection;
  readonly peer: SlowPeer;
  readonly clock: VirtualClock;
}

/** Ends both sides and the streams with the test. */
function endAfter(t: TestContext, pair: { cleanup(): void | Promise<void> }, ends: Ends): Ends {
  t.after(async () => {
    ends.connection.terminate();
    ends.peer.destroy();
    await ends.connection.closed;
    await pair.cleanup();
  });
  return ends;
}

async function over(t: TestContext, kind: Kind, options: AcceptOptions = {}): Promise<Ends> {
  const clock = new VirtualClock();
  const pair = await kind.make();
  const stream = pair.client instanceof Duplex ? pair.client : Duplex.fromWeb(pair.client);
  const accepted = accept(pair.server, { clock, closeTimeout: CLOSE_TIMEOUT, heartbeat: false, ...options });
  const peer = new SlowPeer(stream, true);
  await peer.handshake();
  return endAfter(t, pair, { connection: await accepted, peer, clock });
}

/** As `over`, with exchanged roles: the connection is a client's. */
async function clientOver(t: TestContext, kind: Kind): Promise<Ends> {
  const clock = new VirtualClock();
  const pair = await kind.make();
  const stream = pair.server instanceof Duplex ? pair.server : Duplex.fromWeb(pair.server);
  // masks that cannot be mistaken for a part of a Close
  const common = { clock, closeTimeout: CLOSE_TIMEOUT, heartbeat: false, fillRandom: fillWithOnes } as const;
  const opened = client("ws://localhost/", pair.client, common);
  const peer = new SlowPeer(stream, false);
  await peer.answerHandshake();
  return endAfter(t, pair, { connection: await opened, peer, clock });
}

function fillWithOnes(bytes: Uint8Array): void {
  bytes.fill(1);
}

/** Reads steadily to the end and answers the Close. */
async function finish({ connection, peer, clock }: Ends): Promise<CloseInfo> {
  await peer.readSteadily(clock, RATE);
  if (peer.hasClose) peer.close(1000);
  else peer.end();
  return await connection.closed;
}

interface Way {
  /** The code that ends it, the error, and bytes received besides the messages. */
  readonly expected: readonly [code: number, error: string | undefined, more: number];
  start(ends: Ends): unknown;
}

/** Ways in which a connection ends with waiting output. */
const WAYS: Readonly<Record<string, Way>> = {
  "close()": { expected: [1000, undefined, 4], start: ({ connection }) => void connection.close(1000) },
  "the peer's Close": {
    expected: [4000, undefined, 4],
    start: ({ peer }) => peer.send(frame(CLOSE, closePayload(4000))),
  },
  "a handler that throws": {
    expected: [1006, "HANDLER_FAILED", 7], // a pong precedes the Close
    start({ connection, peer }) {
      connection.on("ping", () => {
        throw new Error("on purpose");
      });
      connection.on("error", () => undefined);
      peer.send(frame(PING, "x"));
    },
  },
};

for (const kind of kinds) {
  describe(`over ${kind.name}`, () => {
    for (const [way, { expected, start }] of Object.entries(WAYS)) {
      test(`${way}: a slow but steady peer receives everything written before`, async (t) => {
        const ends = await over(t, kind);
        writeAll(ends.connection);
        await stuck();
        await start(ends);
        const { code, error } = await finish(ends);
        assert.deepEqual([code, error?.code, ends.peer.received - BYTES], expected);
        assert.ok(ends.clock.now() > 2 * CLOSE_TIMEOUT, "it took longer than closeTimeout");
      });
    }

    test("a client that closes delivers everything written before to a slow but steady server", async (t) => {
      const ends = await clientOver(t, kind);
      writeAll(ends.connection);
      await stuck();
      void ends.connection.close(1000);
      const { clean, error } = await finish(ends);
      assert.equal(ends.peer.received, MESSAGES * (MIB + 14) + 8, error?.message);
      assert.equal(clean, true);
      assert.ok(ends.clock.now() > 2 * CLOSE_TIMEOUT);
    });

    test("sendStream before close() may exceed closeTimeout as long as its parts are sent", async (t) => {
      const { connection, peer, clock } = await over(t, kind);
      let given = 0;
      const parts = async function* (): AsyncGenerator<Uint8Array> {
        for (; given < 12; given++) {
          yield new Uint8Array(300_000);
          const until = clock.now() + 1000;
          while (clock.now() < until) await turns(1);
        }
      };
      const sent = connection.sendStream(parts());
      const closed = connection.close(1000);
      while (given < 12) {
        peer.take(50_000);
        await clock.advance(250);
      }
      await peer.readSteadily(clock, RATE);
      await sent;
      assert.equal(peer.closeCode, 1000);
      peer.close(1000);
      assert.equal((await closed).clean, true);
      assert.ok(clock.now() > 2 * CLOSE_TIMEOUT);
    });

    test("the end of the peer's half: it receives everything written before", async (t) => {
      const ends = await over(t, kind);
      writeAll(ends.connection);
      await stuck();
      ends.peer.end();
      await ends.peer.readSteadily(ends.clock, RATE);
      const { error } = await ends.connection.closed;
      assert.equal(ends.peer.received, BYTES, error?.message);
      assert.equal(error?.code, "CONNECTION_LOST");
    });

    test("a peer that reads nothing is terminated closeTimeout after close()", async (t) => {
      const { connection, clock } = await over(t, kind);
      writeAll(connection);
      await stuck();
      void connection.close();
      let info: CloseInfo | undefined;
      void connection.closed.then((closed) => (info = closed));
      await clock.advance(CLOSE_TIMEOUT - 1);
      assert.equal(info, undefined);
      await clock.advance(LATE + 1);
      assert.equal((await connection.closed).error?.code, "CLOSE_TIMEOUT");
    });

    test("a peer that stops reading is terminated closeTimeout later", async (t) => {
      const { connection, clock, peer } = await over(t, kind);
      writeAll(connection);
      await stuck();
      void connection.close();
      await peer.readSteadily(clock, RATE, 2 * MIB); // so that more waits than the system buffers
      await stuck();
      let isOver = false;
      void connection.closed.then(() => (isOver = true));
      const since = clock.now();
      while (!isOver) await clock.advance(50);
      const waited = clock.now() - since;
      assert.ok(waited > CLOSE_TIMEOUT - 2_000 && waited <= CLOSE_TIMEOUT + LATE, `${waited} ms`);
      assert.equal((await connection.closed).error?.code, "CLOSE_TIMEOUT");
    });

    test("maxCloseTime ends it, however steadily the peer reads", async (t) => {
      const { connection, clock, peer } = await over(t, kind, { maxCloseTime: 7_000 });
      writeAll(connection);
      await stuck();
      const since = clock.now();
      void connection.close();
      while (connection.state !== "closed") {
        await peer.read(MIB / 4);
        await clock.advance(250);
      }
      const took = clock.now() - since;
      assert.ok(took >= 7_000 && took <= 7_300, `${took} ms`);
      const { code, error } = await connection.closed;
      assert.deepEqual([code, error?.code], [1006, "CLOSE_TIMEOUT"]);
      assert.match(error?.message ?? "", /maxCloseTime is 7000 ms/);
    });

    test("after a protocol violation, closeTimeout counts from the violation", async (t) => {
      const { connection, clock, peer } = await over(t, kind);
      writeAll(connection);
      await stuck();
      const since = clock.now();
      peer.send(Buffer.from([0x83, 0x80, 0, 0, 0, 0]));
      while (connection.state === "open") await turns(1);
      while (connection.state !== "closed") {
        await peer.read(MIB / 4);
        await clock.advance(250);
      }
      assert.ok(clock.now() - since <= CLOSE_TIMEOUT + LATE, `${clock.now() - since} ms`);
      assert.equal((await connection.closed).error?.code, "INVALID_OPCODE");
    });
  });
}

/** A slow client of a server on a route. */
async function slowClient(t: TestContext, { port, secure, url, httpVersion }: RouteServer): Promise<SlowPeer> {
  if (httpVersion === "2") return new SlowPeer((await openStream(t, url)).stream, true);
  const socket = secure
    ? connectTls({ port, host: "127.0.0.1", ca: selfSigned().cert, servername: "localhost" })
    : connectTcp(port, "127.0.0.1");
  t.after(() => socket.destroy());
  await once(socket, secure ? "secureConnect" : "connect");
  const peer = new SlowPeer(socket, true);
  await peer.handshake();
  return peer;
}

for (const route of routesOfAllVersions) {
  describe(`by ${route.name}`, () => {
    async function started(
      t: TestContext,
      options: WebSocketServerOptions = {},
      handler?: Parameters<Route["start"]>[2],
    ): Promise<Ends & { served: RouteServer }> {
      const clock = new VirtualClock();
      const common = { clock, closeTimeout: CLOSE_TIMEOUT, heartbeat: false } as const;
      const served = await route.start(t, { ...common, ...options }, handler);
      const peer = await slowClient(t, served);
      await served.until(() => served.accepted.length > 0);
      const [connection] = served.accepted;
      assert.ok(connection !== undefined);
      return { connection, peer, clock, served };
    }

    test("close() in a handler delivers its messages", async (t) => {
      const ends = await started(t, {}, (connection) => {
        writeAll(connection);
        void connection.close(1000);
      });
      const { clean, error } = await finish(ends);
      assert.equal(ends.peer.received, BYTES + 4, error?.message);
      assert.equal(clean, true);
    });

    test("server.close() delivers written messages within its timeout", async (t) => {
      const ends = await started(t);
      const { served, connection, clock, peer } = ends;
      if (served.server === undefined) return; // not needed by accept
      writeAll(connection);
      await stuck();
      let closed = false;
      const closing = served.server.close(1012).then(() => (closed = true));
      const { clean, error } = await finish(ends);
      assert.equal(peer.received, BYTES + 4, error?.message);
      assert.deepEqual([clean, peer.closeCode], [true, 1012]);
      await closing;
      assert.equal(closed, true);
      assert.ok(clock.now() > 2 * CLOSE_TIMEOUT);
    });

    test("server.close() with a timeout terminates the remaining connections after it", async (t) => {
      const { served, connection, clock, peer } = await started(t);
      if (served.server === undefined) return; // not needed by accept
      writeAll(connection);
      await stuck();
      const since = clock.now();
      const closing = served.server.close(1012, "", 3_000);
      while (connection.state !== "closed") {
        await peer.read(MIB / 4);
        await clock.advance(250);
      }
      await closing;
      assert.ok(clock.now() - since <= 3_300, `${clock.now() - since} ms`);
    });
  });
}

test("close() waits for messages that are compressed asynchronously, and delivers them", async (t) => {
  const clock = new VirtualClock();
  const [near, far] = memoryPipe();
  const compression = { asyncThreshold: 1024, level: 9 };
  const accepted = accept(far, { clock, closeTimeout: CLOSE_TIMEOUT, heartbeat: false, compression });
  const peer = new SlowPeer(near, true);
  await peer.handshake("/", { "Sec-WebSocket-Extensions": "permessage-deflate" });
  const connection = await accepted;
  t.after(() => connection.terminate());
  assert.match(connection.extensions, /permessage-deflate/);
  for (let number = 0; number < MESSAGES; number++) connection.write(randomBytes(MIB));
  const closed = connection.close(1000);
  assert.equal(connection.state, "closing");
  // time passes while threads work, as on a loaded machine
  while (connection.bufferedAmount > 2 * MIB) {
    peer.take(Infinity);
    if (clock.now() < 4 * CLOSE_TIMEOUT) await clock.advance(CLOSE_TIMEOUT / 4);
    else await turns(1);
  }
  await peer.readSteadily(clock, RATE);
  assert.ok(peer.received >= MESSAGES * MIB);
  peer.close(1000);
  assert.equal((await closed).clean, true);
});

test("reconnecting.close() delivers written messages, including those in the outbox, to a slow but steady server", async () => {
  const clock = new VirtualClock();
  const [near, far] = memoryPipe();
  const peer = new SlowPeer(far, false);
  const common = { clock, closeTimeout: CLOSE_TIMEOUT, heartbeat: false, fillRandom: fillWithOnes } as const;
  const connection = reconnecting("ws://localhost/", {
    ...common,
    outbox: { size: Infinity },
    connect: (url, options) => client(url, near, { ...options, ...common }),
  });
  writeAll(connection);
  const opened = connection.ready();
  await peer.answerHandshake();
  await opened;
  const closed = connection.close(1000);
  await peer.readSteadily(clock, RATE);
  assert.equal(peer.received, MESSAGES * (MIB + 14) + 8);
  peer.close(1000);
  const { clean, error } = await closed;
  assert.deepEqual([clean, error], [true, undefined]);
  assert.ok(clock.now() > 2 * CLOSE_TIMEOUT);
});
