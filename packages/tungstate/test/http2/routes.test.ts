// What a connection over HTTP/1.1 has is there over HTTP/2: proxies, simulated networks, sessions of
// TLS, reconnecting; and the sockets of one session do not stall each other.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { connect, type ConnectOptions } from "../../src/client/connect.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { Http2Sessions } from "../../src/http2/client/http2-sessions.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { conditions } from "../../src/testing/conditions.ts";
import { TlsSessionCache } from "../../src/tls/session-cache.ts";
import { listenSocks } from "../dial/support/socks.ts";
import { take } from "../support/connected.ts";
import { accepting, describeHttp2, http2Peer } from "../support/http2-server.ts";
import { selfSigned } from "../support/pairs.ts";
import { until } from "../support/until.ts";

function ownSessions(t: TestContext, options = {}): Http2Sessions {
  const sessions = new Http2Sessions(options);
  t.after(() => sessions.close());
  return sessions;
}

/** An HTTP proxy that tunnels to the requested port of this machine, whatever the host. */
async function httpProxy(t: TestContext): Promise<{ url: string; requests: string[] }> {
  const requests: string[] = [];
  const server = createServer();
  server.on("connect", (request, socket: Socket) => {
    requests.push(request.url ?? "");
    const onward = connectTcp(Number(request.url?.split(":").at(-1)), "127.0.0.1");
    for (const each of [socket, onward]) {
      each.on("error", () => undefined);
      t.after(() => each.destroy());
    }
    onward.once("connect", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      socket.pipe(onward).pipe(socket);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

async function echoes(connection: WebSocketConnection, text: string): Promise<void> {
  connection.write(text);
  assert.deepEqual(await take(connection, 1), [text]);
}

describeHttp2("connections over HTTP/2", () => {
  for (const secure of [false, true]) {
    const name = secure ? "wss:" : "ws:";
    const common = (): ConnectOptions => (secure ? { tls: { ca: selfSigned().cert } } : {});

    test(`to ${name} share one tunnel of an HTTP proxy`, async (t) => {
      const peer = await http2Peer(t, accepting(), { secure });
      const { url: proxy, requests } = await httpProxy(t);
      const options = { ...common(), proxy, httpVersion: "2", http2Sessions: ownSessions(t) } as const;
      const url = peer.url.replace("127.0.0.1", "localhost");
      const connections = await Promise.all([1, 2, 3].map(() => connect(url, options)));
      assert.deepEqual(requests, [`localhost:${peer.port}`]);
      for (const connection of connections) {
        assert.equal(connection.route?.proxy, proxy);
        await echoes(connection, "through the proxy");
        connection.terminate();
      }
      const direct = await connect(url, { ...options, proxy: false });
      assert.equal(direct.route?.proxy, undefined);
      direct.terminate();
    });

    test(`to ${name} share one tunnel of a SOCKS proxy`, async (t) => {
      const peer = await http2Peer(t, accepting(), { secure });
      const socks = await listenSocks(t);
      const proxy = `socks5h://127.0.0.1:${socks.port}`;
      const options = { ...common(), proxy, httpVersion: "2", http2Sessions: ownSessions(t) } as const;
      const url = peer.url.replace("127.0.0.1", "localhost");
      const connections = await Promise.all([1, 2].map(() => connect(url, options)));
      assert.equal(socks.requests.length, 1);
      for (const connection of connections) {
        await echoes(connection, "through the proxy");
        connection.terminate();
      }
    });

    test(`to ${name} work under simulated network conditions`, async (t) => {
      const peer = await http2Peer(t, accepting(), { secure });
      const wrap: NonNullable<ConnectOptions["wrap"]> = (stream) =>
        conditions(stream, { chunking: { min: 1, max: 7 }, seed: 1 });
      const options = { ...common(), family: 4, wrap, httpVersion: "2", http2Sessions: ownSessions(t) } as const;
      const connections = await Promise.all([1, 2].map(() => connect(peer.url, { ...options, proxy: false })));
      assert.equal(peer.sockets.length, 1);
      await Promise.all(connections.map((connection, number) => echoes(connection, `${number}`.repeat(1_000))));
      const [one, other] = connections;
      one?.terminate();
      await until(() => peer.streams.some(({ destroyed }) => destroyed));
      await other?.close();
    });
  }

  test("resume TLS sessions", async (t) => {
    const peer = await http2Peer(t, accepting(), { secure: true });
    const sessionCache = new TlsSessionCache();
    const open = async (): Promise<boolean | undefined> => {
      const http2Sessions = new Http2Sessions();
      const tls = { ca: selfSigned().cert, sessionCache };
      const connection = await connect(peer.url, { family: 4, proxy: false, httpVersion: "2", http2Sessions, tls });
      await echoes(connection, "a ticket has come");
      await connection.close();
      http2Sessions.close();
      return connection.tls?.resumed;
    };
    assert.deepEqual([await open(), await open()], [false, true]);
  });

  test("of reconnecting() share a new session after the loss of theirs", async (t) => {
    const peer = await http2Peer(t, accepting());
    const options = { proxy: false, httpVersion: "2", http2Sessions: ownSessions(t) } as const;
    const connections = [1, 2, 3].map(() =>
      reconnecting(peer.url, { ...options, backoff: { initialDelay: 1, maxDelay: 1 } }),
    );
    t.after(() => connections.forEach((connection) => connection.terminate()));
    await Promise.all(connections.map((connection) => connection.ready()));
    assert.equal(peer.sockets.length, 1);
    const lost = connections.map(
      (connection) => new Promise<void>((resolve) => connection.once("waiting", () => resolve())),
    );
    peer.sockets[0]?.resetAndDestroy();
    await Promise.all(lost);
    const again = await Promise.all(connections.map((connection) => connection.ready()));
    assert.deepEqual(new Set(again.map(({ route }) => route?.httpVersion)), new Set(["2"]));
    await peer.hasSessions(1);
  });

  test("that are not read stop only their own stream", async (t) => {
    const SIZE = 4 * 1024 * 1024;
    const ends: WebSocketConnection[] = [];
    const peer = await http2Peer(
      t,
      accepting((end) => void ends.push(end)),
    );
    const limits = { receiveQueueSize: 0, readAheadSize: 0 };
    const options = { proxy: false, httpVersion: "2", http2Sessions: ownSessions(t), ...limits } as const;
    const [slow, quick] = await Promise.all([connect(peer.url, options), connect(peer.url, options)]);
    await until(() => ends.length === 2);
    const [first, second] = ends;
    assert.ok(first !== undefined && second !== undefined);
    const piece = new Uint8Array(64 * 1024);
    for (let sent = 0; sent < SIZE; sent += piece.length) first.write(piece);
    // what the windows let through has been sent: the rest waits at the server
    await until(() => first.bufferedAmount < SIZE);
    for (let round = 0; round < 20; round++) {
      second.write(`round ${round}`);
      assert.deepEqual(await take(quick, 1), [`round ${round}`]);
    }
    assert.ok(first.bufferedAmount > SIZE - 1024 * 1024, `${first.bufferedAmount} bytes wait`);
    let received = 0;
    for await (const message of slow) {
      received += message.bytes.length;
      if (received >= SIZE) break;
    }
    assert.equal(received, SIZE);
    for (const connection of [slow, quick]) connection.terminate();
  });

  test("that the server does not read stop only their own stream", async (t) => {
    const ends: WebSocketConnection[] = [];
    const peer = await http2Peer(
      t,
      accepting((end) => {
        ends.push(end);
        if (ends.length === 1) end.pause();
        else end.on("message", (message) => end.write(message));
      }),
    );
    const options = { proxy: false, httpVersion: "2", http2Sessions: ownSessions(t) } as const;
    const slow = await connect(peer.url, options);
    const quick = await connect(peer.url, options);
    const piece = new Uint8Array(1024 * 1024);
    for (let sent = 0; sent < 40; sent++) slow.write(piece);
    await echoes(quick, "goes ahead");
    assert.ok(slow.bufferedAmount > 0);
    for (const connection of [slow, quick]) connection.terminate();
  });

  test("do not keep the process alive once they are closed", async (t) => {
    const peer = await http2Peer(t, accepting());
    const main = new URL("../../src/client/connect.ts", import.meta.url);
    const hook = fileURLToPath(new URL("../../../../scripts/testing/typescript.mjs", import.meta.url));
    const program = `
      const { connect } = await import(${JSON.stringify(main.href)});
      const connection = await connect(${JSON.stringify(peer.url)}, { proxy: false, httpVersion: "2" });
      await connection.close();
      console.log(connection.route.httpVersion);`;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--import", hook, "--input-type=module", "--eval", program],
      { timeout: 60_000 },
    );
    assert.equal(stdout, "2\n");
  });
});
