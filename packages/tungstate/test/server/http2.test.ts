import type { Message } from "@tungstate/protocol";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureServer, createServer, type Http2SecureServer, type Http2Server } from "node:http2";
import { Agent, request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { suite, test, type TestContext } from "node:test";
import { connect as tlsConnect } from "node:tls";
import { connect } from "../../src/client/connect.ts";
import type { WebSocketServerOptions } from "../../src/server/options.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { bodyOf, extendedConnect, openSession, openWebSocket } from "../support/http2-client.ts";
import { selfSigned } from "../support/pairs.ts";
import { until } from "../support/until.ts";

/** Starts an HTTP/2 server of node:http2 with a WebSocketServer. */
async function attached(
  t: TestContext,
  http: Http2Server | Http2SecureServer,
  options: WebSocketServerOptions = {},
  when: "before" | "after" = "before",
) {
  const server = new WebSocketServer(options);
  const secure = "setSecureContext" in http;
  if (when === "before") server.attach(http);
  await once(http.listen(0, "127.0.0.1"), "listening");
  if (when === "after") server.attach(http);
  t.after(async () => {
    for (const connection of server.connections) connection.terminate();
    await server.close();
    http.close();
  });
  const { port } = http.address() as AddressInfo;
  return { server, port, url: `${secure ? "https" : "http"}://127.0.0.1:${port}` };
}

const echo = (server: WebSocketServer): void =>
  void server.on("connection", (connection) => {
    connection.on("message", (message) => connection.write(message));
  });

/** Sends a text and returns the next one. */
async function echoed(connection: WebSocketConnection, text: string): Promise<string> {
  const received = new Promise<Message>((resolve) => connection.once("message", resolve));
  connection.write(text);
  return (await received).text;
}

suite("WebSockets over HTTP/2", () => {
  for (const when of ["before", "after"] as const) {
    test(`attach ${when} listening: one session has many WebSockets, and pages beside them`, async (t) => {
      const http = createServer((request, response) => response.end(`page ${request.url}`));
      const { server, url } = await attached(t, http, { compression: true }, when);
      echo(server);
      const session = await openSession(t, url);
      const all = await Promise.all(Array.from({ length: 20 }, () => openWebSocket(session, { compression: true })));
      assert.deepEqual(
        await Promise.all(all.map((each, at) => echoed(each, `hello ${at}`))),
        all.map((_, at) => `hello ${at}`),
      );
      assert.match(all[0]?.extensions ?? "", /permessage-deflate/);
      const page = session.request({ ":path": "/a" });
      assert.equal(String((await once(page, "data"))[0]), "page /a");
      assert.equal(server.connections.size, 20);
      const routes = new Set([...server.connections].map(({ route }) => route?.session));
      assert.equal(routes.size, 1, "all are in one session");
      const [first] = server.connections;
      assert.equal(first?.route?.httpVersion, "2");
      assert.equal(first?.remoteAddress, "127.0.0.1");
      const closed = all.map((each) => each.close(4000, "bye"));
      for (const info of await Promise.all(closed)) assert.deepEqual([info.code, info.clean], [4000, true]);
      await until(() => server.connections.size === 0);
    });
  }

  test("SETTINGS announce extended CONNECT and the number of streams", async (t) => {
    const own = createServer({ settings: { maxConcurrentStreams: 7 } });
    for (const [http, options, expected] of [
      [createServer(), {}, 1_000],
      [createServer(), { maxConcurrentStreams: 5 }, 5],
      [own, {}, 7],
    ] as const) {
      const server = new WebSocketServer();
      server.attach(http, options);
      await once(http.listen(0, "127.0.0.1"), "listening");
      t.after(() => http.close());
      const session = await openSession(t, `http://127.0.0.1:${(http.address() as AddressInfo).port}`);
      assert.equal(session.remoteSettings.maxConcurrentStreams, expected);
      session.destroy();
    }
    for (const maxConcurrentStreams of [0, 1.5, 2 ** 31, "5"]) {
      assert.throws(
        () => new WebSocketServer().attach(own, { maxConcurrentStreams: maxConcurrentStreams as number }),
        /maxConcurrentStreams must be an integer from 1/,
      );
    }
  });

  test("a session that began before attach gets the settings with its next request", async (t) => {
    const http = createServer((_, response) => response.end("page"));
    await once(http.listen(0, "127.0.0.1"), "listening");
    const server = new WebSocketServer();
    echo(server);
    t.after(() => http.close());
    const { connect: connectHttp2 } = await import("node:http2");
    const session = connectHttp2(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    t.after(() => session.destroy());
    await once(session, "remoteSettings");
    assert.equal(session.remoteSettings.enableConnectProtocol, false);
    server.attach(http);
    const settings = once(session, "remoteSettings");
    session.request({ ":path": "/" }).resume();
    await settings;
    assert.equal(session.remoteSettings.enableConnectProtocol, true);
    assert.equal(await echoed(await openWebSocket(session), "hello"), "hello");
  });

  test("HTTP/1.1 and HTTP/2 share a port with allowHTTP1", async (t) => {
    const http = createSecureServer({ ...selfSigned(), allowHTTP1: true }, (request, response) => {
      response.end(`${request.httpVersion} ${request.url}`);
    });
    const { server, port, url } = await attached(t, http);
    echo(server);
    const ca = selfSigned().cert;
    const old = await connect(`wss://127.0.0.1:${port}/`, { tls: { ca }, proxy: false });
    assert.equal(await echoed(old, "one"), "one");
    const session = await openSession(t, url);
    const connection = await openWebSocket(session);
    assert.equal(await echoed(connection, "two"), "two");
    const request = httpsRequest({ port, host: "127.0.0.1", path: "/page", ca, agent: false }).end();
    const [response] = await once(request, "response");
    assert.equal(String((await once(response, "data"))[0]), "1.1 /page");
    assert.equal(server.connections.size, 2);
    assert.deepEqual(
      [...server.connections].map(({ route }) => route?.httpVersion),
      [undefined, "2"],
    );
  });

  test("upgrades to other protocols stay ordinary requests with allowHTTP1", async (t) => {
    const http = createSecureServer({ ...selfSigned(), allowHTTP1: true }, (request, response) => {
      response.end(`${request.method} ${request.headers.upgrade}`);
    });
    const { port } = await attached(t, http);
    const ca = selfSigned().cert;
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const headers = { connection: "upgrade", upgrade: "other" };
    // the second one is not the first request of its connection
    for (let i = 0; i < 2; i++) {
      const request = httpsRequest({ port, host: "127.0.0.1", ca, agent, headers }).end();
      const [response] = await once(request, "response");
      let body = "";
      for await (const chunk of response as AsyncIterable<Buffer>) body += chunk.toString();
      assert.equal(body, "GET other");
    }
  });

  for (const http2 of [true, { maxConcurrentStreams: 3 }]) {
    test(`listen({ tls, http2: ${JSON.stringify(http2)} }) speaks both versions`, async (t) => {
      const server = new WebSocketServer();
      echo(server);
      const { port } = (await server.listen({ tls: selfSigned(), http2 })) as AddressInfo;
      t.after(() => server.close());
      const ca = selfSigned().cert;
      const old = await connect(`wss://127.0.0.1:${port}/`, { tls: { ca }, proxy: false });
      assert.equal(await echoed(old, "one"), "one");
      const session = await openSession(t, `https://127.0.0.1:${port}`);
      assert.equal(session.remoteSettings.maxConcurrentStreams, http2 === true ? 1_000 : 3);
      const connection = await openWebSocket(session);
      assert.equal(await echoed(connection, "two"), "two");
      const page = session.request({ ":path": "/" });
      assert.equal((await once(page, "response"))[0][":status"], 405);
      page.resume();
      await Promise.all([old.close(), connection.close()]);
    });
  }

  test("listen({ tls, http2, http }) has pages and WebSockets of both versions", async (t) => {
    const server = new WebSocketServer({ path: "/ws" });
    echo(server);
    let port = 0;
    ({ port } = (await server.listen({
      tls: selfSigned(),
      http2: true,
      http: (request, response) => {
        const isNamed = request.headers.host === `127.0.0.1:${port}`;
        response.end(`${request.httpVersion} ${request.url} ${isNamed}`);
      },
    })) as AddressInfo);
    t.after(() => server.close());
    const ca = selfSigned().cert;
    const session = await openSession(t, `https://127.0.0.1:${port}`);
    const connection = await openWebSocket(session, {}, "/ws");
    assert.equal(await echoed(connection, "two"), "two");
    const page = session.request({ ":path": "/page" });
    assert.equal(String((await once(page, "data"))[0]), "2.0 /page true");
    const request = httpsRequest({ port, host: "127.0.0.1", path: "/page", ca, agent: false }).end();
    const [response] = await once(request, "response");
    assert.equal(String((await once(response, "data"))[0]), "1.1 /page true");
    const old = await connect(`wss://127.0.0.1:${port}/ws`, { tls: { ca }, proxy: false });
    assert.equal(await echoed(old, "one"), "one");
    const other = await extendedConnect(session, { ":path": "/other" });
    assert.deepEqual([other.status, await bodyOf(other)], [404, "no WebSocket server at this path\n"]);
    await Promise.all([old.close(), connection.close()]);
  });

  test("http2 needs tls, and options that are known", async () => {
    const server = new WebSocketServer();
    await assert.rejects(server.listen({ http2: true }), /http2 needs tls/);
    await assert.rejects(
      server.listen({ tls: selfSigned(), http2: "yes" as unknown as boolean }),
      /http2 must be true/,
    );
    const wrong = { maxStreams: 3 } as unknown as boolean;
    await assert.rejects(server.listen({ tls: selfSigned(), http2: wrong }), /http2 must be true/);
  });

  test("ordinary requests, CONNECT included, reach the listeners as without a WebSocketServer", async (t) => {
    const http = createServer((_, response) => response.end("page"));
    const { url } = await attached(t, http);
    const session = await openSession(t, url);
    const tunnel = session.request({ ":method": "CONNECT", ":authority": "example.com:443" });
    assert.equal((await once(tunnel, "response"))[0][":status"], 405, "of node:http2");
    http.once("connect", (_, response) => response.end("tunnel"));
    const other = session.request({ ":method": "CONNECT", ":authority": "example.com:443" });
    assert.equal(String((await once(other, "data"))[0]), "tunnel");
  });

  test("another :protocol gets 501, unless the application has a listener that may answer it", async (t) => {
    const http = createServer((_, response) => response.end("page"));
    const { server, url } = await attached(t, http, { path: "/ws" });
    const refused: string[] = [];
    server.on("refused", (error) => refused.push(error.code));
    const session = await openSession(t, url);
    assert.equal((await extendedConnect(session, { ":protocol": "connect-udp" })).status, 501);
    assert.equal((await extendedConnect(session, { ":path": "/other" })).status, 404);
    assert.deepEqual(refused, ["UNSUPPORTED_PROTOCOL", "PATH_NOT_FOUND"]);
    http.on("stream", (stream, headers) => {
      if (headers[":method"] === "CONNECT" && !stream.headersSent) stream.respond({ ":status": 299 });
    });
    http.prependListener("connect", () => undefined);
    assert.equal((await extendedConnect(session, { ":protocol": "connect-udp" })).status, 299);
    assert.equal((await extendedConnect(session, { ":path": "/other" })).status, 299);
    assert.equal((await extendedConnect(session, { ":path": "/ws" })).status, 200);
  });

  test("refusals are responses with their fields and body", async (t) => {
    const { server, url } = await attached(t, createServer(), {
      allowedHosts: ["example.com"],
      authorize: ({ path }) =>
        path === "/yes"
          ? { headers: { "X-User": "1" }, protocol: "b" }
          : { status: 401, headers: { "WWW-Authenticate": "Basic" }, body: "no" },
    });
    const refused: string[] = [];
    server.on("refused", (error) => refused.push(error.code));
    const session = await openSession(t, url);
    assert.equal((await extendedConnect(session)).status, 421);
    const host = { ":authority": "example.com" };
    const origin = await extendedConnect(session, { ...host, origin: "https://evil.example" });
    assert.equal(origin.status, 403);
    const no = await extendedConnect(session, host);
    assert.deepEqual([no.status, no.headers["www-authenticate"], no.headers.connection], [401, "Basic", undefined]);
    assert.equal(await bodyOf(no), "no");
    const version = await extendedConnect(session, { ...host, "sec-websocket-version": "8" });
    assert.deepEqual([version.status, version.headers["sec-websocket-version"]], [426, "13"]);
    const yes = await extendedConnect(session, { ...host, ":path": "/yes", "sec-websocket-protocol": "a, b" });
    assert.deepEqual([yes.status, yes.headers["x-user"], yes.headers["sec-websocket-protocol"]], [200, "1", "b"]);
    assert.deepEqual(refused, ["HOST_REFUSED", "ORIGIN_REFUSED", "NOT_AUTHORIZED", "UNSUPPORTED_VERSION"]);
  });

  test("header fields that node:http2 cannot send refuse the handshake with 500", async (t) => {
    const { server, url } = await attached(t, createServer(), {
      authorize: () => ({
        headers: [
          ["Location", "/a"],
          ["Location", "/b"],
        ],
      }),
    });
    const errors: unknown[] = [];
    server.on("error", (error) => errors.push(error));
    const session = await openSession(t, url);
    assert.equal((await extendedConnect(session)).status, 500);
    assert.equal(errors.length, 1);
  });

  test("drain: GOAWAY on own ports, 1001 to all, and no new streams", async (t) => {
    const server = new WebSocketServer();
    const { port } = (await server.listen({ tls: selfSigned(), http2: true })) as AddressInfo;
    const session = await openSession(t, `https://127.0.0.1:${port}`);
    const all = await Promise.all([openWebSocket(session), openWebSocket(session)]);
    for (const each of all) each.on("message", () => undefined);
    const goaway = once(session, "goaway");
    const closed = server.close();
    assert.deepEqual((await goaway)[0], 0);
    for (const each of all) assert.deepEqual((await each.closed).code, 1001);
    await closed;
    assert.equal(session.closed, true);
  });

  test("close of an attached server: 503, while pages are served", async (t) => {
    const http = createServer((_, response) => response.end("page"));
    const { server, url } = await attached(t, http);
    const session = await openSession(t, url);
    const connection = await openWebSocket(session);
    connection.on("message", () => undefined);
    await server.close();
    assert.equal((await connection.closed).code, 1001);
    const refused = await extendedConnect(session);
    assert.deepEqual([refused.status, refused.headers["retry-after"]], [503, "5"]);
    assert.equal(String((await once(session.request({}), "data"))[0]), "page");
    server.detach();
    const { connect: connectHttp2 } = await import("node:http2");
    const later = connectHttp2(url);
    t.after(() => later.destroy());
    await once(later, "remoteSettings");
    assert.equal(later.remoteSettings.enableConnectProtocol, false);
  });

  test("listen ends a session that answers no PING while a request is open", async (t) => {
    const clock = new VirtualClock();
    const server = new WebSocketServer({ clock });
    t.after(() => server.close(1001, "", 0));
    let asked = (): void => undefined;
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    const http = (): void => asked(); // never answers
    const address = await server.listen({ port: 0, host: "127.0.0.1", tls: selfSigned(), http2: true, http });
    assert.ok(typeof address === "object");
    const { port } = address;
    const socket = tlsConnect({ host: "127.0.0.1", port, ALPNProtocols: ["h2"], rejectUnauthorized: false });
    t.after(() => socket.destroy());
    socket.on("error", () => undefined).resume();
    const closed = once(socket, "close");
    await once(socket, "secureConnect");
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); // RFC 9113 §3.4
    socket.write(Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0)); // SETTINGS
    // HEADERS of stream 1: GET https://a/ (RFC 7541, static table)
    socket.write(Buffer.of(0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x87, 0x84, 0x41, 1, 0x61));
    await isAsked;
    await clock.advance(30_000);
    await clock.advance(30_000);
    await closed;
  });
});
