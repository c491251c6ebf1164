import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, connect as connectSocket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { connect } from "../../src/client/connect.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { take } from "../support/connected.ts";
import { selfSigned } from "../support/pairs.ts";
import { Raw } from "../support/raw.ts";
import { end, serve } from "../support/server.ts";
import { until } from "../support/until.ts";

describe("listen", () => {
  test("on a TCP port: any free one of this host by default", async (t) => {
    const served = await serve(t);
    assert.ok(served.port > 0);
    const [client, connection] = await served.pair();
    assert.equal(connection.remoteAddress, "127.0.0.1");
    assert.equal(connection.localAddress, "127.0.0.1");
    client.write("hello");
    assert.deepEqual(await take(connection, 1), ["hello"]);
    await client.close();
  });

  test("on a Unix socket", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "tungstate-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "socket");
    const server = new WebSocketServer();
    t.after(() => end(server));
    assert.equal(await server.listen({ path }), path);
    server.on(
      "connection",
      (connection, request) => void connection.write(`${request.target} ${request.remoteAddress}`),
    );
    for (const resource of ["/chat", "/a:b:/c?d:e"]) {
      const client = await connect(`ws+unix:${path}:${resource}`, { proxy: false });
      assert.deepEqual(await take(client, 1), [`${resource} undefined`]);
      await client.close();
    }
  });

  const abstract = process.platform === "linux" ? {} : { skip: "abstract sockets are Linux's" };
  test("on an abstract Unix socket", abstract, async (t) => {
    const name = `tungstate-${process.pid}`;
    const server = new WebSocketServer();
    t.after(() => end(server));
    await server.listen({ path: `\0${name}` });
    server.on("connection", (connection, request) => void connection.write(request.path));
    const client = await connect(`ws+unix:%00${name}:/chat`, { proxy: false });
    assert.deepEqual(await take(client, 1), ["/chat"]);
    await client.close();
  });

  test("with TLS", async (t) => {
    const { key, cert } = selfSigned();
    const served = await serve(t, {}, { tls: { key, cert } });
    const client = await connect(`wss://localhost:${served.port}/`, { proxy: false, tls: { ca: cert } });
    client.write("secret");
    assert.deepEqual(await take(served.accepted[0]?.connection ?? assert.fail(), 1), ["secret"]);
    assert.equal(served.accepted[0]?.request.encrypted, true);
    await client.close();
  });

  test("a page without TLS has another origin than a server with TLS", async (t) => {
    const { key, cert } = selfSigned();
    const served = await serve(t, {}, { tls: { key, cert } });
    const url = `wss://localhost:${served.port}/`;
    const from = (origin: string) => connect(url, { proxy: false, tls: { ca: cert }, origin });
    await (await from(`https://localhost:${served.port}`)).close();
    await assert.rejects(from(`http://localhost:${served.port}`), { code: "UNEXPECTED_STATUS" });
  });

  test("with TLS, a silent or invalid client is terminated", async (t) => {
    const { key, cert } = selfSigned();
    const served = await serve(t, { handshakeTimeout: 100 }, { tls: { key, cert } });
    const silent = Raw.to(t, served);
    const nonsense = Raw.to(t, served).send("GET / HTTP/1.1\r\n\r\n");
    await Promise.all([silent.gone(), nonsense.gone()]);
    await served.until(() => served.refused.length === 2);
    const codes = served.refused.map(({ code }) => code);
    assert.deepEqual(codes, ["TLS_HANDSHAKE_FAILED", "TLS_HANDSHAKE_FAILED"]);
    assert.deepEqual(served.errors, []);
  });

  test("with TLS, a client that is silent after its handshake gets 408", async (t) => {
    const { key, cert } = selfSigned();
    const clock = new VirtualClock();
    const served = await serve(t, { handshakeTimeout: 60_000, clock }, { tls: { key, cert } });
    const tls = connectTls({ port: served.port, host: "127.0.0.1", ca: cert, servername: "localhost" });
    const quiet = new Raw(tls);
    await once(tls, "secureConnect");
    await until(async () => {
      await clock.advance(60_000);
      return served.refused.length === 1;
    });
    await quiet.until(() => false);
    tls.destroy();
    assert.match(quiet.received.toString(), /^HTTP\/1\.1 408 /);
    assert.equal(served.refused[0]?.code, "ACCEPT_TIMEOUT");
    assert.deepEqual(served.errors, []);
  });

  test("a plain GET gets 426 with the protocol to upgrade to", async (t) => {
    const served = await serve(t);
    const response = await fetch(`http://127.0.0.1:${served.port}/`);
    assert.equal(response.status, 426);
    assert.deepEqual(
      ["upgrade", "sec-websocket-version", "content-type"].map((name) => response.headers.get(name)),
      ["websocket", "13", "text/plain; charset=utf-8"],
    );
    assert.match(await response.text(), /is not an upgrade to WebSocket/);
  });

  test("a port in use rejects", async (t) => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    t.after(() => taken.close());
    const { port } = taken.address() as { port: number };
    const server = new WebSocketServer();
    await assert.rejects(server.listen({ port }), { code: "EADDRINUSE" });
    await server.close();
  });

  test("several times, and close ends them all", async () => {
    const server = new WebSocketServer();
    const ports = await Promise.all([server.listen(), server.listen()]);
    const clients = await Promise.all(
      ports.map((address) => connect(`ws://127.0.0.1:${(address as { port: number }).port}/`, { proxy: false })),
    );
    const closes = clients.map((client) => client.closed);
    await server.close();
    assert.deepEqual(
      (await Promise.all(closes)).map(({ code }) => code),
      [1001, 1001],
    );
    for (const address of ports) {
      const socket = connectSocket((address as { port: number }).port, "127.0.0.1");
      const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
      assert.equal(error.code, "ECONNREFUSED");
    }
    assert.equal(server.connections.size, 0);
  });
});

test("an invalid stream is the caller's error", async () => {
  const server = new WebSocketServer();
  await assert.rejects(server.accept(undefined as never), { code: "INVALID_ARGUMENT" });
  await assert.rejects(server.handleUpgrade({ rawHeaders: [] } as never, {} as never, Buffer.alloc(0)), {
    code: "INVALID_ARGUMENT",
  });
  await server.close();
});
