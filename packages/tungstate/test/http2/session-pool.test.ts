import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, type ServerHttp2Stream } from "node:http2";
import { test, type TestContext } from "node:test";
import { connect, type ConnectOptions } from "../../src/client/connect.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { ConnectError } from "../../src/errors.ts";
import { Http2Sessions } from "../../src/http2/client/http2-sessions.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { take } from "../support/connected.ts";
import { accepting, describeHttp2, http2Peer, type OnStream } from "../support/http2-server.ts";
import { selfSigned } from "../support/pairs.ts";
import { until } from "../support/until.ts";

/** A function that connects to a peer with sessions of its own, which end with the test. */
function connector(t: TestContext, url: string, common: ConnectOptions = {}) {
  const http2Sessions = new Http2Sessions();
  t.after(() => http2Sessions.close());
  const open = (options: ConnectOptions = {}): Promise<WebSocketConnection> =>
    connect(url, { proxy: false, httpVersion: "2", http2Sessions, ...common, ...options });
  const openAll = (count: number, options?: ConnectOptions): Promise<WebSocketConnection[]> =>
    Promise.all(Array.from({ length: count }, () => open(options)));
  return { open, openAll, http2Sessions };
}

function sessionsOf(connections: readonly WebSocketConnection[]): number {
  return new Set(connections.map(({ route }) => route?.session)).size;
}

async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectError, String(error));
  return error;
}

describeHttp2("connections to one server over HTTP/2", () => {
  test("share one TCP connection, also those that start while it is opened", async (t) => {
    const peer = await http2Peer(t, accepting(), { secure: true });
    const { openAll, http2Sessions } = connector(t, peer.url, { tls: { ca: selfSigned().cert }, family: 4 });
    const connections = [...(await openAll(50)), ...(await openAll(50))];
    assert.deepEqual([sessionsOf(connections), peer.sockets.length, http2Sessions.size], [1, 1, 1]);
    connections.forEach((connection, number) => connection.write(String(number)));
    for (const [number, connection] of connections.entries()) {
      assert.deepEqual(await take(connection, 1), [String(number)]);
    }
    for (const connection of connections) connection.terminate();
  });

  test("use as many as SETTINGS_MAX_CONCURRENT_STREAMS requires, and the room that closed ones leave", async (t) => {
    const peer = await http2Peer(t, accepting(), { settings: { maxConcurrentStreams: 4 } });
    const { openAll, open } = connector(t, peer.url);
    const connections = await openAll(10);
    assert.deepEqual([sessionsOf(connections), peer.sockets.length], [3, 3]);
    const first = connections.find(({ route }) => route?.session === connections[0]?.route?.session);
    await first?.close();
    await until(() => peer.streams.filter(({ destroyed }) => !destroyed).length === 9);
    const more = await open();
    connections.push(more, ...(await openAll(2)));
    assert.deepEqual([sessionsOf(connections), peer.sockets.length], [3, 3]);
    for (const connection of connections) connection.terminate();
  });

  test("are opened in parallel once the limit of the server is known", async (t) => {
    const peer = await http2Peer(t, accepting(), { settings: { maxConcurrentStreams: 1 } });
    const { open, openAll } = connector(t, peer.url);
    const connections = [await open()];
    let most = 0;
    peer.server.on("session", () => {
      most = Math.max(most, peer.sessions.filter(({ destroyed }) => !destroyed).length);
    });
    connections.push(...(await openAll(3)));
    assert.deepEqual([sessionsOf(connections), peer.sockets.length, most], [4, 4, 4]);
    for (const connection of connections) connection.terminate();
  });

  test("share nothing if their options for the connection differ", async (t) => {
    const peer = await http2Peer(t, accepting());
    const { open } = connector(t, peer.url);
    const lookups = [1, 2].map(() => (_host: string, _options: object, done: (...args: unknown[]) => void) => {
      done(null, [{ address: "127.0.0.1", family: 4 }]);
    });
    const different: readonly ConnectOptions[] = [
      {},
      { family: 4 },
      { localAddress: "127.0.0.1" },
      { interface: "lo" },
      { keepAlive: true },
      { noDelay: false },
      { wrap: (stream) => stream },
      { handshakeLimits: { maxHeaders: 50 } },
      ...lookups.map((lookup) => ({ lookup }) as ConnectOptions),
    ];
    const connections = await Promise.all(different.map((options) => open(options)));
    assert.equal(sessionsOf(connections), different.length);
    const same: ConnectOptions = {
      headers: { "X-A": "1" },
      protocols: "chat",
      handshakeTimeout: 5_000,
      timeout: 9_000,
    };
    connections.push(await open(same));
    assert.equal(sessionsOf(connections), different.length);
    for (const connection of connections) connection.terminate();
  });

  test("share nothing if their TLS options differ", async (t) => {
    const peer = await http2Peer(t, accepting(), { secure: true });
    const ca = selfSigned().cert;
    const { open } = connector(t, peer.url, { family: 4 });
    const different = [
      { ca },
      { ca, minVersion: "TLSv1.3" },
      { rejectUnauthorized: false },
      { ca, sessionCache: false },
    ];
    const connections = await Promise.all(different.map((tls) => open({ tls } as ConnectOptions)));
    assert.equal(sessionsOf(connections), different.length);
    // equal by content
    connections.push(await open({ tls: { ca: Buffer.from(ca) } }), await open({ tls: { ca }, httpVersion: "auto" }));
    assert.equal(sessionsOf(connections), different.length);
    await assert.rejects(open({ tls: {} }), { code: "TLS_SELF_SIGNED" });
    for (const connection of connections) connection.terminate();
  });
});

describeHttp2("a session of HTTP/2 clients", () => {
  test("is closed when it has had no stream for idleTimeout", async (t) => {
    const clock = new VirtualClock();
    const peer = await http2Peer(t, accepting());
    const http2Sessions = new Http2Sessions({ idleTimeout: 500 });
    const { open } = connector(t, peer.url, { clock, http2Sessions });
    const first = await open();
    await clock.advance(10_000);
    assert.equal(first.state, "open");
    first.terminate();
    await until(() => peer.streams[0]?.destroyed === true);
    await clock.advance(400);
    const second = await open();
    assert.equal(second.route?.session, first.route?.session);
    second.terminate();
    await until(() => peer.streams[1]?.destroyed === true);
    await clock.advance(499);
    assert.equal(http2Sessions.size, 1);
    await clock.advance(1);
    assert.equal(http2Sessions.size, 0);
    await peer.hasSessions(0);
    await until(() => clock.pending === 0);
  });

  test("gets no new streams after close(), and ends with its last stream", async (t) => {
    const peer = await http2Peer(t, accepting());
    const { open, http2Sessions } = connector(t, peer.url);
    const first = await open();
    http2Sessions.close();
    assert.equal(http2Sessions.size, 0);
    const second = await open();
    assert.notEqual(second.route?.session, first.route?.session);
    await first.close();
    await peer.hasSessions(1);
    second.terminate();
  });

  test("gets no new streams after a GOAWAY, and its connections stay open", async (t) => {
    const peer = await http2Peer(t, accepting());
    const { open } = connector(t, peer.url);
    const first = await open();
    const [session] = peer.sessions;
    session?.goaway(constants.NGHTTP2_NO_ERROR);
    first.write("after GOAWAY");
    assert.deepEqual(await take(first, 1), ["after GOAWAY"]);
    const second = await open();
    assert.notEqual(second.route?.session, first.route?.session);
    await first.close();
    await until(() => session?.destroyed === true);
    second.terminate();
  });

  test("ends all its connections with CONNECTION_LOST when its TCP connection is lost", async (t) => {
    const peer = await http2Peer(t, accepting());
    const { openAll, open } = connector(t, peer.url);
    const connections = await openAll(3);
    peer.sockets[0]?.resetAndDestroy();
    for (const connection of connections) {
      const { code, error } = await connection.closed;
      assert.deepEqual([code, error?.code], [1006, "CONNECTION_LOST"]);
    }
    (await open()).terminate();
    assert.equal(peer.sockets.length, 2);
  });

  test("gets no new streams after a handshake on it timed out", async (t) => {
    const clock = new VirtualClock();
    const accept = accepting();
    const peer = await http2Peer(t, (stream, headers, fields) => {
      if (headers[":path"] !== "/silent") accept(stream, headers, fields);
    });
    const { open, http2Sessions } = connector(t, peer.url, { clock });
    const first = await open({ heartbeat: false });
    const silent = failure(
      connect(`${peer.url}silent`, { proxy: false, httpVersion: "2", http2Sessions, clock, handshakeTimeout: 50 }),
    );
    await until(() => peer.streams.length === 2);
    await clock.advance(50);
    const { code, step } = await silent;
    assert.deepEqual([code, step], ["HANDSHAKE_TIMEOUT", "handshake"]);
    await until(() => peer.streams[1]?.destroyed === true);
    assert.equal(peer.streams[1]?.rstCode, constants.NGHTTP2_CANCEL);
    assert.equal(first.state, "open");
    const second = await open({ heartbeat: false });
    assert.notEqual(second.route?.session, first.route?.session);
    first.terminate();
    second.terminate();
  });
});

describeHttp2("a request that the server refuses", () => {
  const refuse = (stream: ServerHttp2Stream): void => stream.close(constants.NGHTTP2_REFUSED_STREAM);

  test("with REFUSED_STREAM is repeated once on another session", async (t) => {
    const accept = accepting();
    const peer = await http2Peer(t, (stream, headers, fields) => {
      if (peer.sessions.length === 1) refuse(stream);
      else accept(stream, headers, fields);
    });
    const { open } = connector(t, peer.url);
    const connection = await open();
    assert.equal(peer.sockets.length, 2);
    connection.terminate();
  });

  test("with REFUSED_STREAM twice fails with STREAM_REFUSED", async (t) => {
    const peer = await http2Peer(t, refuse);
    const { code, step } = await failure(connector(t, peer.url).open());
    assert.deepEqual([code, step, peer.streams.length], ["STREAM_REFUSED", "handshake", 2]);
  });

  test("by a GOAWAY that says it was not processed is repeated on another session", async (t) => {
    const accept = accepting();
    const peer = await http2Peer(t, (stream, headers, fields) => {
      const { session, id = 0 } = stream;
      if (peer.sessions.length > 1 || id === 1) accept(stream, headers, fields);
      else session?.goaway(constants.NGHTTP2_NO_ERROR, 1);
    });
    const { open } = connector(t, peer.url);
    const first = await open();
    const second = await open();
    assert.deepEqual([first.state, peer.sockets.length], ["open", 2]);
    first.terminate();
    second.terminate();
  });

  for (const [name, code] of [
    ["CANCEL", constants.NGHTTP2_CANCEL],
    ["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR],
    ["HTTP_1_1_REQUIRED", constants.NGHTTP2_HTTP_1_1_REQUIRED],
  ] as const) {
    test(`with ${name} fails with HANDSHAKE_CLOSED`, async (t) => {
      const peer = await http2Peer(t, (stream) => stream.close(code));
      const error = await failure(connector(t, peer.url).open());
      assert.deepEqual([error.code, error.step, peer.streams.length], ["HANDSHAKE_CLOSED", "handshake", 1]);
      assert.match(error.message, new RegExp(name));
    });
  }
});

describeHttp2("a limit of 0 streams", () => {
  test("is waited for until the server raises it", async (t) => {
    const peer = await http2Peer(t, accepting(), { settings: { maxConcurrentStreams: 0 } });
    const { openAll } = connector(t, peer.url);
    const opening = openAll(3);
    await peer.hasSessions(1);
    peer.sessions[0]?.settings({ maxConcurrentStreams: 10 });
    const connections = await opening;
    assert.deepEqual([sessionsOf(connections), peer.sockets.length], [1, 1]);
    for (const connection of connections) connection.terminate();
  });

  test("that stays fails with STREAM_LIMIT at handshakeTimeout", async (t) => {
    const clock = new VirtualClock();
    const peer = await http2Peer(t, accepting(), { settings: { maxConcurrentStreams: 0 } });
    const { open, http2Sessions } = connector(t, peer.url, { clock, handshakeTimeout: 200 });
    const failed = failure(open());
    await until(() => http2Sessions.size === 1);
    await clock.advance(200);
    const { code, step } = await failed;
    assert.deepEqual([code, step], ["STREAM_LIMIT", "handshake"]);
  });
});

describeHttp2("an aborted attempt", () => {
  /** A server that withholds its SETTINGS until it is told to go on. */
  async function silentPeer(t: TestContext, onStream: OnStream = accepting()) {
    const { createServer, connect: connectTcp } = await import("node:net");
    const peer = await http2Peer(t, onStream);
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const server = createServer((socket) => {
      const onward = connectTcp(peer.port, "127.0.0.1");
      for (const each of [socket, onward]) each.on("error", () => undefined);
      t.after(() => [socket, onward].forEach((each) => each.destroy()));
      socket.pipe(onward);
      void released.then(() => onward.pipe(socket));
      socket.on("close", () => onward.destroy());
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    return { peer, release, url: `ws://127.0.0.1:${address.port}/` };
  }

  test("does not end those that wait for the same session", async (t) => {
    const { peer, release, url } = await silentPeer(t);
    const { open } = connector(t, url);
    const abort = new AbortController();
    const first = failure(open({ signal: abort.signal }));
    const second = open();
    await until(() => peer.greeted === 1);
    abort.abort();
    const { code, step } = await first;
    assert.deepEqual([code, step], ["ABORTED", "settings"]);
    release();
    (await second).terminate();
    assert.equal(peer.sockets.length, 1);
  });

  test("closes the TCP connection if it was the only one, and the next attempt opens another", async (t) => {
    const { peer, release, url } = await silentPeer(t);
    const { open } = connector(t, url);
    const abort = new AbortController();
    const first = failure(open({ signal: abort.signal }));
    await until(() => peer.greeted === 1);
    abort.abort();
    const second = open();
    const { code, step } = await first;
    assert.deepEqual([code, step], ["ABORTED", "settings"]);
    release();
    (await second).terminate();
    assert.equal(peer.sockets.length, 2);
  });

  test("at any point between TCP and HTTP/2 ends nothing but itself, with bytes that came before or not", async (t) => {
    const peer = await http2Peer(t, accepting());
    const settings = Buffer.from("000006040000000000000800000001", "hex"); // extended CONNECT is enabled
    const outcomes = new Set<unknown>();
    for (let delay = 0; delay < 40; delay++) {
      const abort = new AbortController();
      const { open, http2Sessions } = connector(t, peer.url, { signal: abort.signal });
      const attempt = open({
        wrap(stream) {
          if (delay % 2 === 1) stream.unshift(settings);
          const countdown = (left: number): void =>
            left === 0 ? abort.abort() : queueMicrotask(() => countdown(left - 1));
          countdown(delay >> 1);
          return stream;
        },
      });
      const outcome = await attempt.then(
        (connection) => connection.terminate(),
        (error: unknown) => (error as ConnectError).code,
      );
      outcomes.add(outcome);
      http2Sessions.close();
    }
    assert.deepEqual([...outcomes], ["ABORTED"]);
    await peer.hasSessions(0);
  });

  test("does not begin HTTP/2 on a stream that has ended", async (t) => {
    const peer = await http2Peer(t, accepting());
    const { open } = connector(t, peer.url);
    const { code, step } = await failure(open({ wrap: (stream) => stream.destroy() }));
    assert.deepEqual([code, step], ["HANDSHAKE_CLOSED", "settings"]);
  });

  test("during the wait for the response resets the stream with CANCEL, and the session stays", async (t) => {
    const peer = await http2Peer(t, () => undefined);
    const { open, http2Sessions } = connector(t, peer.url);
    const abort = new AbortController();
    const failed = failure(open({ signal: abort.signal }));
    await until(() => peer.streams.length === 1);
    abort.abort();
    const { code, step } = await failed;
    assert.deepEqual([code, step], ["ABORTED", "handshake"]);
    await until(() => peer.streams[0]?.destroyed === true);
    assert.deepEqual([peer.streams[0]?.rstCode, http2Sessions.size], [constants.NGHTTP2_CANCEL, 1]);
  });

  test("without SETTINGS fails with SETTINGS_TIMEOUT at handshakeTimeout, and with TIMEOUT at timeout", async (t) => {
    const { peer, url } = await silentPeer(t);
    for (const [limit, expected] of [
      [{ handshakeTimeout: 100 }, "SETTINGS_TIMEOUT"],
      [{ timeout: 100 }, "TIMEOUT"],
    ] as const) {
      const clock = new VirtualClock();
      const before = peer.greeted;
      const failed = failure(connector(t, url, { clock, ...limit }).open());
      await until(() => peer.greeted > before);
      await clock.advance(100);
      const { code, step } = await failed;
      assert.deepEqual([code, step], [expected, "settings"]);
      await until(() => clock.pending === 0);
    }
    await peer.hasSessions(0);
  });
});
