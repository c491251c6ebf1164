import assert from "node:assert/strict";
import { createServer as createTlsServer } from "node:tls";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { HandshakeRejectedError } from "../../src/client/client.ts";
import { connect, type ConnectOptions } from "../../src/client/connect.ts";
import { ConnectError } from "../../src/errors.ts";
import { Http2Sessions } from "../../src/http2/client/http2-sessions.ts";
import { loadHttp2 } from "../../src/http2/load.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { speak } from "../support/client-routes.ts";
import { take } from "../support/connected.ts";
import { accepting, describeHttp2, http2Peer, type Http2Peer } from "../support/http2-server.ts";
import { selfSigned } from "../support/pairs.ts";
import { upgradeResponse } from "../support/raw.ts";
import { until } from "../support/until.ts";

const trust = (): Pick<ConnectOptions, "tls" | "proxy" | "family"> => ({
  tls: { ca: selfSigned().cert },
  proxy: false,
  family: 4,
});

const optionsOf = (peer: Http2Peer): ConnectOptions => (peer.secure ? trust() : { proxy: false });

/** Sessions of one test, which end with it. */
function ownSessions(t: TestContext, options = {}): Http2Sessions {
  const sessions = new Http2Sessions(options);
  t.after(() => sessions.close());
  return sessions;
}

async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectError, String(error));
  return error;
}

for (const secure of [false, true]) {
  const name = secure ? "wss:" : "ws:";
  describeHttp2(`connect() with httpVersion "2" to ${name}`, () => {
    test("opens a connection with subprotocol, compression, header fields and messages", async (t) => {
      const peer = await http2Peer(t, accepting(undefined, { protocols: ["chat"], compression: true }), { secure });
      const connection = await connect(new URL("room?a=1", peer.url.replace("ws", "http")), {
        ...optionsOf(peer),
        httpVersion: "2",
        http2Sessions: ownSessions(t),
        protocols: ["other", "chat"],
        compression: true,
        origin: "https://example.com",
        headers: [
          ["X-Trace", "caf\xe9"],
          ["Cookie", "a=1"],
          ["Cookie", "b=2"],
        ],
      });
      assert.equal(connection.protocol, "chat");
      assert.match(connection.extensions, /^permessage-deflate/);
      const { route, tls } = connection;
      assert.deepEqual([route?.httpVersion, typeof route?.session, route?.remotePort], ["2", "number", peer.port]);
      assert.equal(tls?.alpn, secure ? "h2" : undefined);
      assert.deepEqual([connection.remoteAddress, connection.localAddress], ["127.0.0.1", "127.0.0.1"]);
      const long = "text ".repeat(20_000);
      connection.write("short");
      connection.write(long);
      assert.deepEqual(await take(connection, 2), ["short", long]);
      const { code, clean } = await connection.close(1000, "done");
      assert.deepEqual([code, clean], [1000, true]);

      const [stream] = peer.streams;
      const headers = stream?.sentHeaders;
      assert.equal(headers?.[":status"], 200);
    });

    test("sends the fields of RFC 8441, and none of HTTP/1.1", async (t) => {
      let seen: readonly (readonly [string, string])[] = [];
      const accept = accepting();
      const peer = await http2Peer(
        t,
        (stream, headers, fields) => {
          seen = fields;
          accept(stream, headers, fields);
        },
        { secure },
      );
      const authority = `${secure ? "localhost" : "127.0.0.1"}:${peer.port}`;
      const connection = await connect(`${secure ? "wss" : "ws"}://user:pass@${authority}/x?y`, {
        ...optionsOf(peer),
        httpVersion: "2",
        http2Sessions: ownSessions(t),
        headers: { "X-Latin": "caf\xe9", Host: "other.example:8443" },
      });
      connection.terminate();
      assert.deepEqual(seen, [
        [":method", "CONNECT"],
        [":protocol", "websocket"],
        [":scheme", secure ? "https" : "http"],
        [":path", "/x?y"],
        [":authority", "other.example:8443"],
        ["sec-websocket-version", "13"],
        ["x-latin", "caf\xe9"],
        ["authorization", `Basic ${btoa("user:pass")}`],
      ]);
    });

    test("reports a response other than 200 with status, header fields and a body of at most 64 KiB", async (t) => {
      const peer = await http2Peer(
        t,
        (stream) => {
          stream.additionalHeaders({ ":status": 103, link: "</a>" });
          stream.respond({ ":status": 401, "www-authenticate": "Basic", "x-name": "caf\xe9" });
          stream.end(stream.id === 1 ? "who?" : "x".repeat(200_000));
        },
        { secure },
      );
      const options = { ...optionsOf(peer), httpVersion: "2", http2Sessions: ownSessions(t) } as const;
      for (const [body, truncated] of [
        ["who?", false],
        ["x".repeat(65_536), true],
      ] as const) {
        const error: unknown = await connect(peer.url, options).catch((reason: unknown) => reason);
        assert.ok(error instanceof HandshakeRejectedError, String(error));
        assert.deepEqual([error.code, error.response.status, error.response.reason], ["UNEXPECTED_STATUS", 401, ""]);
        assert.equal(error.response.headers.get("www-authenticate"), "Basic");
        assert.equal(error.response.headers.get("x-name"), "caf\xe9");
        assert.equal(Buffer.from(error.response.body).toString(), body);
        assert.equal(error.response.truncated, truncated);
      }
      await peer.hasSessions(1);
    });

    test("follows redirects", async (t) => {
      const accept = accepting();
      const peer = await http2Peer(
        t,
        (stream, headers, fields) => {
          if (headers[":path"] === "/next") return accept(stream, headers, fields);
          stream.respond({ ":status": 307, location: "/next" }, { endStream: true });
        },
        { secure },
      );
      const options = { ...optionsOf(peer), http2Sessions: ownSessions(t) };
      const connection = await connect(peer.url, { ...options, httpVersion: "2", maxRedirects: 1 });
      connection.terminate();
      await peer.hasSessions(1);
    });

    test("fails with EXTENDED_CONNECT_DISABLED if the server has not enabled it", async (t) => {
      const peer = await http2Peer(t, accepting(), { secure, settings: { enableConnectProtocol: false } });
      const options = { ...optionsOf(peer), httpVersion: "2", http2Sessions: ownSessions(t) } as const;
      const error = await failure(connect(peer.url, options));
      assert.deepEqual([error.code, error.step], ["EXTENDED_CONNECT_DISABLED", "settings"]);
      assert.equal(peer.streams.length, 0);
      await peer.hasSessions(0);
    });
  });
}

describeHttp2('connect() with httpVersion "2"', () => {
  test("fails with HTTP2_NOT_SUPPORTED if the server does not choose h2 by ALPN", async (t) => {
    for (const ALPNProtocols of [undefined, ["http/1.1"]]) {
      const server = createTlsServer({ ...selfSigned(), ...(ALPNProtocols && { ALPNProtocols }) }).listen(0);
      server.on("tlsClientError", () => undefined);
      await once(server, "listening");
      t.after(() => server.close());
      const url = `wss://localhost:${(server.address() as AddressInfo).port}/`;
      const error = await failure(connect(url, { ...trust(), httpVersion: "2", http2Sessions: ownSessions(t) }));
      assert.deepEqual([error.code, error.step], ["HTTP2_NOT_SUPPORTED", "tls"]);
    }
  });

  test("fails with HTTP2_NOT_SUPPORTED if a ws: server answers with HTTP/1.1", async (t) => {
    const { createServer } = await import("node:http");
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const error = await failure(connect(url, { proxy: false, httpVersion: "2", http2Sessions: ownSessions(t) }));
    assert.deepEqual([error.code, error.step], ["HTTP2_NOT_SUPPORTED", "settings"]);
  });

  test("reports a response after 1 s if its body does not end", async (t) => {
    const clock = new VirtualClock();
    const peer = await http2Peer(t, (stream) => {
      stream.respond({ ":status": 500 });
      stream.write("why");
    });
    const http2Sessions = ownSessions(t);
    // so long that it does not pass before the response has arrived
    const options = { proxy: false, httpVersion: "2", http2Sessions, clock, handshakeTimeout: 2 ** 31 - 1 } as const;
    const failed = connect(peer.url, options).catch((reason: unknown) => reason);
    await until(() => peer.streams.length === 1);
    await until(async () => {
      await clock.advance(1_000);
      return peer.streams[0]?.destroyed === true;
    });
    const error = await failed;
    assert.ok(error instanceof HandshakeRejectedError, String(error));
    assert.deepEqual([Buffer.from(error.response.body).toString(), error.response.truncated], ["why", true]);
  });

  test("fails with NOT_SUPPORTED on a runtime whose node:http2 cannot be used", async () => {
    const node = { name: "Node.js", version: "20.19.0" } as const;
    const cases = [
      [() => Promise.reject(new Error("no such module")), node, "Node.js 20.19.0 lacks clients"],
      [() => Promise.resolve({}), node, "Node.js 20.19.0 lacks connect()"],
      [undefined, { name: "Bun", version: "1.4.5" }, "Bun 1.4.5 lacks streams that continue after a pause"],
      [undefined, { name: "workerd", version: "" }, "workerd lacks connect()"],
    ] as const;
    for (const [load, runtime, text] of cases) {
      await assert.rejects(loadHttp2(load as undefined, runtime), {
        code: "NOT_SUPPORTED",
        message: `the system or the runtime does not support this: httpVersion "2": node:http2 of ${text}`,
      });
    }
  });

  test("rejects wrong options before anything is opened", async () => {
    const cases: readonly [object, RegExp][] = [
      [{ httpVersion: "3" }, /httpVersion must be "1\.1", "2" or "auto", got "3"/],
      [{ http2Sessions: {} }, /http2Sessions must be an Http2Sessions/],
      [{ httpVersion: "2", tls: { alpnProtocols: ["http/1.1"] } }, /tls\.alpnProtocols is set by httpVersion "2"/],
      [{ httpVersion: "2", headers: { "Keep-Alive": "1" } }, /keep-alive/i],
      [{ httpVersion: "2", handshakeLimits: { maxHeaders: -1 } }, /maxHeaders/],
    ];
    for (const [options, message] of cases) {
      await assert.rejects(connect("wss://127.0.0.1:1/", options), { code: "INVALID_ARGUMENT", message });
    }
    for (const [options, message] of [
      [{ idleTimeout: 0 }, /idleTimeout/],
      [{ maxFallbacks: 0 }, /maxFallbacks/],
      [{ fallbackTimes: 1 }, /unknown option fallbackTimes/],
    ] as const) {
      assert.throws(() => new Http2Sessions(options as object), { code: "INVALID_ARGUMENT", message });
    }
  });
});

/** A TLS server that has HTTP/1.1 only, and counts its connections. */
async function http1Server(t: TestContext, ALPNProtocols?: string[]): Promise<{ url: string; count: () => number }> {
  let count = 0;
  const server = createTlsServer({ ...selfSigned(), ...(ALPNProtocols && { ALPNProtocols }) }, (socket) => {
    count++;
    t.after(() => socket.destroy());
    speak(socket, (_request, accept) => upgradeResponse(accept));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { url: `wss://localhost:${(server.address() as AddressInfo).port}/`, count: () => count };
}

describeHttp2('connect() with httpVersion "auto"', () => {
  test("uses HTTP/2 where the server supports it", async (t) => {
    const peer = await http2Peer(t, accepting(), { secure: true });
    const connection = await connect(peer.url, { ...trust(), httpVersion: "auto", http2Sessions: ownSessions(t) });
    assert.equal(connection.route?.httpVersion, "2");
    connection.terminate();
  });

  test("uses HTTP/1.1 for ws:", async (t) => {
    const { respondingPort } = await import("../support/client-routes.ts");
    const port = await respondingPort(t, (_request, accept) => upgradeResponse(accept));
    const connection = await connect(`ws://127.0.0.1:${port}/`, { proxy: false, httpVersion: "auto" });
    assert.deepEqual([connection.route?.httpVersion, connection.route?.session], ["1.1", undefined]);
    connection.terminate();
  });

  for (const ALPNProtocols of [undefined, ["http/1.1"]]) {
    const choice = ALPNProtocols === undefined ? "no protocol" : "http/1.1";
    test(`uses the same TLS connection for HTTP/1.1 if the server chooses ${choice}`, async (t) => {
      const { url, count } = await http1Server(t, ALPNProtocols);
      const http2Sessions = ownSessions(t);
      for (let number = 1; number <= 2; number++) {
        const connection = await connect(url, { ...trust(), httpVersion: "auto", http2Sessions });
        assert.deepEqual([connection.route?.httpVersion, count()], ["1.1", number]);
        connection.terminate();
      }
    });
  }

  test("remembers a server without extended CONNECT until the entry ages", async (t) => {
    const clock = new VirtualClock();
    const received: string[] = [];
    const accept = accepting();
    const peer = await http2Peer(t, accept, {
      secure: true,
      allowHTTP1: true,
      settings: { enableConnectProtocol: false },
    });
    peer.server.on("upgrade", (request, socket) => {
      const key = String(request.headers["sec-websocket-key"]);
      received.push("upgrade");
      void import("@tungstate/protocol").then(({ acceptValue }) => socket.write(upgradeResponse(acceptValue(key))));
    });
    peer.server.on("session", () => received.push("session"));
    const http2Sessions = ownSessions(t, { fallbackTime: 1_000 });
    const open = async (): Promise<void> => {
      const connection = await connect(peer.url, { ...trust(), httpVersion: "auto", http2Sessions, clock });
      assert.equal(connection.route?.httpVersion, "1.1");
      connection.terminate();
    };
    await open();
    await open();
    assert.deepEqual(received, ["session", "upgrade", "upgrade"]);
    await clock.advance(1_000);
    await open();
    assert.deepEqual(received.slice(3), ["session", "upgrade"]);
  });
});
