// new WebSocketServer(options): modes, live options and events.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { onEach, test, type Socket } from "./support/implementations.ts";
import { closeAfter, closing, event, listen, listenHttp, pair, terminateAfter } from "./support/pairs.ts";
import { exchange, request, wireClient } from "./support/wire.ts";

onEach("new WebSocketServer", (ws) => {
  for (const options of [undefined, {}, { port: 0, noServer: true }, { noServer: true, server: createServer() }]) {
    const given = Object.keys(options ?? {}).join(" and ") || "neither port, server nor noServer";
    test(`throws for ${given}`, () => {
      assert.throws(() => new ws.WebSocketServer(options), {
        name: "TypeError",
        message: 'One and only one of the "port", "server", or "noServer" options must be specified',
      });
    });
  }

  test("the options have ws's defaults", () => {
    const { options } = new ws.WebSocketServer({ noServer: true });
    assert.deepEqual(options, {
      allowSynchronousEvents: true,
      autoPong: true,
      maxBufferedChunks: 262_144,
      maxFragments: 16_384,
      maxPayload: 104_857_600,
      maxPendingAutoPongs: 60,
      skipUTF8Validation: false,
      perMessageDeflate: false,
      handleProtocols: null,
      clientTracking: true,
      closeTimeout: 30_000,
      verifyClient: null,
      noServer: true,
      backlog: null,
      server: null,
      host: null,
      path: null,
      port: null,
      WebSocket: ws.WebSocket,
    });
  });

  test("perMessageDeflate: true is an object in options", () => {
    assert.deepEqual(
      new ws.WebSocketServer({ noServer: true, perMessageDeflate: true }).options["perMessageDeflate"],
      {},
    );
  });

  test("port: listens, emits listening and calls the callback", async (t) => {
    const order: string[] = [];
    const server = new ws.WebSocketServer({ port: 0 }, () => order.push("callback"));
    closeAfter(t, server);
    server.on("listening", () => order.push("listening"));
    await event(server, "listening");
    assert.deepEqual(order.toSorted(), ["callback", "listening"]);
    const address = server.address() as AddressInfo;
    assert.deepEqual(Object.keys(address).toSorted(), ["address", "family", "port"]);
    assert.ok(address.port > 0);
  });

  test("port: a used port is an error event", async (t) => {
    const { port } = await listen(t, ws);
    const server = new ws.WebSocketServer({ port, host: "127.0.0.1" });
    const [error] = (await event(server, "error")) as [Error & { code: string }];
    assert.equal(error.code, "EADDRINUSE");
  });

  test("port: a request without upgrade gets 426", async (t) => {
    const { port } = await listen(t, ws);
    const response = await exchange(t, port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert.match(response, /^HTTP\/1\.1 426 Upgrade Required\r\n/);
    assert.match(response, /\r\nContent-Length: 16\r\n/i);
    assert.match(response, /\r\nContent-Type: text\/plain\r\n/i);
    assert.match(response, /\r\n\r\nUpgrade Required$/);
  });

  test("server: upgrades its connections, and leaves requests to it", async (t) => {
    const { http, port } = await listenHttp(t, (_request, response) => response.end("page"));
    const server = new ws.WebSocketServer({ server: http });
    closeAfter(t, server);
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`);
    terminateAfter(t, client);
    await once(server, "connection");
    assert.match(await exchange(t, port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), /page$/);
    assert.deepEqual(server.address(), http.address());
  });

  test("server: its listening and error events are forwarded", (t) => {
    const http = createServer();
    const server = new ws.WebSocketServer({ server: http });
    const events: unknown[] = [];
    server.on("listening", () => events.push("listening")).on("error", (error) => events.push(error));
    const error = new Error("x");
    http.emit("listening");
    http.emit("error", error);
    assert.deepEqual(events, ["listening", error]);
    t.after(() => server.close());
  });

  test("server: a server that listens already is accepted", async (t) => {
    const { http, port } = await listenHttp(t);
    const server = new ws.WebSocketServer({ server: http });
    closeAfter(t, server);
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`);
    terminateAfter(t, client);
    await event(client, "open");
  });

  test("address() is null before the server listens, and throws with noServer", () => {
    assert.equal(new ws.WebSocketServer({ server: createServer() }).address(), null);
    assert.throws(() => new ws.WebSocketServer({ noServer: true }).address(), {
      message: 'The server is operating in "noServer" mode',
    });
  });

  test("connection has the socket and the request", async (t) => {
    const { server, url } = await listen(t, ws);
    const client = new ws.WebSocket(`${url}/path?x=1`);
    terminateAfter(t, client);
    const [socket, incoming, ...rest] = (await event(server, "connection")) as [Socket, IncomingMessage];
    assert.ok(socket instanceof ws.WebSocket);
    assert.equal(incoming.url, "/path?x=1");
    assert.equal(incoming.socket.remoteAddress, "127.0.0.1");
    assert.equal(socket.readyState, ws.WebSocket.OPEN);
    assert.equal(incoming.method, "GET");
    assert.ok(incoming.rawHeaders.includes("Sec-WebSocket-Key"));
    assert.deepEqual(rest, []);
  });

  test("the properties of a server's socket", async (t) => {
    const { peer } = await pair(t, ws);
    assert.equal(peer.url, undefined);
    assert.equal(peer.protocol, "");
    assert.equal(peer.extensions, "");
    assert.equal(peer.bufferedAmount, 0);
    assert.equal(peer._isServer, true);
  });

  test("clients has the open sockets, and loses one before its listeners of close are called last", async (t) => {
    const { client, peer, server } = await pair(t, ws);
    assert.deepEqual([...(server.clients ?? [])], [peer]);
    const closed = event(peer, "close");
    client.close();
    await closed;
    assert.equal(server.clients?.size, 0);
  });

  test("clientTracking: false has no clients", async (t) => {
    const { server, client } = await pair(t, ws, { server: { clientTracking: false } });
    assert.equal(server.clients, undefined);
    client.terminate();
  });

  test("path: another path is 400; the query does not count", async (t) => {
    const { url } = await listen(t, ws, { path: "/foo" });
    const client = new ws.WebSocket(`${url}/foo?x=1`);
    terminateAfter(t, client);
    await event(client, "open");
    const { errors } = await closing(new ws.WebSocket(`${url}/bar`));
    assert.equal(errors[0]?.message, "Unexpected server response: 400");
  });

  test("shouldHandle can be replaced", async (t) => {
    const { url, server } = await listen(t, ws);
    const seen: (string | undefined)[] = [];
    server.shouldHandle = (incoming) => {
      seen.push((incoming as IncomingMessage).url);
      return false;
    };
    const { errors } = await closing(new ws.WebSocket(`${url}/x`));
    assert.equal(errors[0]?.message, "Unexpected server response: 400");
    assert.deepEqual(seen, ["/x"]);
  });

  test("options are live", async (t) => {
    const { url, server } = await listen(t, ws);
    server.options["path"] = "/live";
    const { errors } = await closing(new ws.WebSocket(url));
    assert.equal(errors[0]?.message, "Unexpected server response: 400");
    server.options["path"] = null;
    server.options["perMessageDeflate"] = { threshold: 0 };
    server.options["maxPayload"] = 10;
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const [peer] = (await event(server, "connection")) as [Socket];
    assert.equal(peer.extensions, "permessage-deflate");
    const done = closing(peer);
    await event(client, "open");
    client.send("x".repeat(11));
    assert.equal((await done).errors[0]?.code, "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH");
    server.options["verifyClient"] = () => false;
    const refused = await closing(new ws.WebSocket(url));
    assert.equal(refused.errors[0]?.message, "Unexpected server response: 401");
  });

  test("the WebSocket option is the class of the sockets", async (t) => {
    class Special extends ws.WebSocket {
      special(): string {
        return `special ${this.readyState}`;
      }
    }
    const { server, url } = await listen(t, ws, { WebSocket: Special });
    const client = new Special(url);
    terminateAfter(t, client);
    const [peer] = (await event(server, "connection")) as [Special];
    assert.ok(peer instanceof Special);
    assert.equal(peer.constructor.name, "Special");
    assert.equal(peer.special(), "special 1");
    await event(client, "open");
    assert.equal(client.special(), "special 1");
  });

  test("WebSocketServer can be subclassed", async (t) => {
    class Mine extends ws.WebSocketServer {
      override shouldHandle(incoming: IncomingMessage): boolean {
        return incoming.url === "/mine";
      }
      override handleUpgrade(...args: Parameters<InstanceType<typeof ws.WebSocketServer>["handleUpgrade"]>): void {
        calls++;
        super.handleUpgrade(...args);
      }
    }
    let calls = 0;
    const server = new Mine({ port: 0, host: "127.0.0.1" });
    closeAfter(t, server);
    await event(server, "listening");
    const { port } = server.address() as AddressInfo;
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}/mine`);
    terminateAfter(t, client);
    await event(client, "open");
    assert.equal(calls, 1);
    await closing(new ws.WebSocket(`ws://127.0.0.1:${port}/other`));
    assert.equal(calls, 2);
  });

  test("headers has the lines of the response, which may be extended, and the request", async (t) => {
    const { server, port } = await listen(t, ws);
    server.on("headers", (lines: string[], incoming: IncomingMessage) => {
      assert.equal(lines[0], "HTTP/1.1 101 Switching Protocols");
      assert.ok(lines.some((line) => line.startsWith("Sec-WebSocket-Accept: ")));
      assert.equal(incoming.url, "/");
      lines.push("X-Mine: 1");
    });
    assert.match((await wireClient(t, port)).head, /\r\nX-Mine: 1$/);
  });

  test("lines that headers adds are sent as UTF-8", async (t) => {
    const { server, url } = await listen(t, ws);
    // U+010D and U+010A are CR and LF where only the lower byte of a character is sent
    const value = "ü\u010d\u010aX-Injected: 1";
    server.on("headers", (lines: string[]) => lines.push(`X-Mine: ${value}`));
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const [response] = (await event(client, "upgrade")) as [IncomingMessage];
    assert.equal(Buffer.from(String(response.headers["x-mine"]), "latin1").toString(), value);
    assert.equal(response.headers["x-injected"], undefined);
  });

  test("backlog and host are used", async (t) => {
    const { server } = await listen(t, ws, { host: "127.0.0.3", backlog: 7 });
    assert.equal((server.address() as AddressInfo).address, "127.0.0.3");
  });
});

onEach("WebSocketServer.close", (ws) => {
  test("stops the server of its own, calls back and emits close; connections stay open", async (t) => {
    const { client, server, url } = await pair(t, ws);
    const events: string[] = [];
    server.on("close", () => events.push("close"));
    const called = new Promise<unknown>((resolve) => server.close((error) => resolve(error)));
    const refused = await closing(new ws.WebSocket(url));
    assert.equal(refused.errors[0]?.code, "ECONNREFUSED");
    assert.equal(client.readyState, ws.WebSocket.OPEN);
    assert.deepEqual(events, []);
    client.terminate();
    assert.equal(await called, undefined);
    assert.deepEqual(events, ["close"]);
  });

  test("leaves an external server alone, and stops upgrading", async (t) => {
    const { http } = await listenHttp(t);
    const counts = (): number[] => ["upgrade", "listening", "error"].map((name) => http.listenerCount(name));
    const before = counts();
    const server = new ws.WebSocketServer({ server: http });
    assert.notDeepEqual(counts(), before);
    const closed = event(server, "close");
    server.close();
    await closed;
    assert.equal(http.listening, true);
    assert.deepEqual(counts(), before);
    assert.equal(server._server, null);
  });

  test("with an external server, close is emitted after the last client", async (t) => {
    const { http, port } = await listenHttp(t);
    const server = new ws.WebSocketServer({ server: http });
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`);
    terminateAfter(t, client);
    const [peer] = (await event(server, "connection")) as [Socket];
    let emitted = false;
    server.on("close", () => (emitted = true));
    server.close();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(emitted, false);
    const closed = event(server, "close");
    peer.terminate();
    await closed;
  });

  test("without clientTracking, and with noServer, close is emitted on the next tick", async () => {
    for (const options of [
      { server: createServer(), clientTracking: false },
      { noServer: true },
      { server: createServer() },
    ]) {
      const server = new ws.WebSocketServer(options);
      const closed = event(server, "close");
      let sync = true;
      server.on("close", () => assert.equal(sync, false));
      server.close();
      sync = false;
      await closed;
    }
  });

  test("a second close calls back with an error after the first, and with close while it runs", async () => {
    const server = new ws.WebSocketServer({ noServer: true });
    const first = new Promise<unknown>((resolve) => server.close((error) => resolve(error)));
    const second = new Promise<unknown>((resolve) => server.close((error) => resolve(error)));
    assert.equal(await first, undefined);
    assert.equal(await second, undefined);
    const third = await new Promise<Error>((resolve) => server.close((error) => resolve(error as Error)));
    assert.equal(third.message, "The server is not running");
  });

  test("upgrades after close are refused with 503", async (t) => {
    const { http, port } = await listenHttp(t);
    const server = new ws.WebSocketServer({ noServer: true });
    server.close();
    http.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) =>
      server.handleUpgrade(incoming, socket, head, () => assert.fail("accepted")),
    );
    assert.match(await exchange(t, port, request()), /^HTTP\/1\.1 503 Service Unavailable\r\n/);
  });
});
