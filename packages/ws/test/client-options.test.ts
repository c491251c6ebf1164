// new WebSocket(address, protocols, options): what it validates and what it requests.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, createServer, request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { connect, createConnection, type Socket as NetSocket } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { onEach, test, type Implementation, type Options, type Socket } from "./support/implementations.ts";
import { event, listen, listenHttp, terminateAfter } from "./support/pairs.ts";
import { wireServer } from "./support/wire.ts";

/** Opens a connection and returns the request as the server has seen it. */
async function requestOf(
  t: TestContext,
  ws: Implementation,
  args: { path?: string; protocols?: string | string[]; options?: Options; userinfo?: string } = {},
): Promise<IncomingMessage> {
  const { server, port } = await listen(t, ws);
  const url = `ws://${args.userinfo ?? ""}127.0.0.1:${port}${args.path ?? ""}`;
  const client = new ws.WebSocket(url, args.protocols, args.options);
  terminateAfter(t, client);
  const [, request] = (await once(server, "connection")) as [Socket, IncomingMessage];
  await event(client, "open");
  return request;
}

onEach("new WebSocket", (ws) => {
  for (const [address, pattern] of [
    ["foo", /^SyntaxError: Invalid URL: foo$/],
    ["", /^SyntaxError: Invalid URL: $/],
    [
      "ftp://localhost",
      /^SyntaxError: The URL's protocol must be one of "ws:", "wss:", "http:", "https:", or "ws\+unix:"$/,
    ],
    ["ws+unix:", /^SyntaxError: The URL's pathname is empty$/],
    ["ws://localhost/#foo", /^SyntaxError: The URL contains a fragment identifier$/],
  ] as const) {
    test(`throws for the address ${JSON.stringify(address)}`, () => {
      assert.throws(
        () => new ws.WebSocket(address),
        (error) => pattern.test(String(error)),
      );
    });
  }

  for (const protocols of [[""], ["a", "a"], ["a,b"], ["a b"], [null], [undefined], [0], ["é"]] as unknown[][]) {
    test(`throws for the subprotocols ${JSON.stringify(protocols)}`, () => {
      assert.throws(() => new ws.WebSocket("ws://localhost", protocols as string[]), {
        name: "SyntaxError",
        message: "An invalid or duplicated subprotocol was specified",
      });
    });
  }

  test("throws for protocolVersion 12", () => {
    assert.throws(() => new ws.WebSocket("ws://localhost", { protocolVersion: 12 }), {
      name: "RangeError",
      message: "Unsupported protocol version: 12 (supported versions: 8, 13)",
    });
  });

  test("null as address creates a socket of a server", () => {
    const socket = new ws.WebSocket(null, undefined, {});
    assert.equal(socket.readyState, 0);
    assert.equal(socket._isServer, true);
  });

  test("url is the normalised address", (t) => {
    for (const [address, url] of [
      ["ws://localhost:1", "ws://localhost:1/"],
      ["wss://localhost:1/a?b", "wss://localhost:1/a?b"],
      ["http://localhost:1/x", "ws://localhost:1/x"],
      ["https://localhost:1/x", "wss://localhost:1/x"],
    ] as const) {
      const socket = new ws.WebSocket(address);
      terminateAfter(t, socket);
      socket.on("error", () => {});
      assert.equal(socket.url, url);
    }
  });

  test("accepts a URL object and leaves it unchanged", (t) => {
    const url = new URL("http://localhost:1/x");
    const socket = new ws.WebSocket(url);
    terminateAfter(t, socket);
    socket.on("error", () => {});
    assert.equal(url.href, "http://localhost:1/x");
    assert.equal(socket.url, "ws://localhost:1/x");
  });

  test("the initial properties of a client", (t) => {
    const socket = new ws.WebSocket("ws://localhost:1");
    terminateAfter(t, socket);
    socket.on("error", () => {});
    assert.equal(socket.readyState, ws.WebSocket.CONNECTING);
    assert.equal(socket.binaryType, "nodebuffer");
    assert.equal(socket.bufferedAmount, 0);
    assert.equal(socket.extensions, "");
    assert.equal(socket.isPaused, false);
    assert.equal(socket.protocol, "");
    assert.equal(socket.onopen, null);
    assert.equal(socket.onmessage, null);
    assert.equal(socket.onclose, null);
    assert.equal(socket.onerror, null);
    assert.equal(socket._socket, null);
  });

  test("requests the path and query of the address", async (t) => {
    assert.equal((await requestOf(t, ws, { path: "/some/path?a=1&b=%20" })).url, "/some/path?a=1&b=%20");
  });

  test("the request has the fields of RFC 6455 and offers permessage-deflate", async (t) => {
    const { headers, method } = await requestOf(t, ws);
    assert.equal(method, "GET");
    assert.equal(headers.upgrade, "websocket");
    assert.equal(headers.connection, "Upgrade");
    assert.equal(headers["sec-websocket-version"], "13");
    assert.equal(Buffer.from(String(headers["sec-websocket-key"]), "base64").length, 16);
    assert.equal(headers["sec-websocket-extensions"], "permessage-deflate; client_max_window_bits");
    assert.equal(headers["sec-websocket-protocol"], undefined);
    assert.equal(headers.origin, undefined);
  });

  test("perMessageDeflate: false offers no extension", async (t) => {
    const { headers } = await requestOf(t, ws, { options: { perMessageDeflate: false } });
    assert.equal(headers["sec-websocket-extensions"], undefined);
  });

  for (const [options, offer] of [
    [{ serverNoContextTakeover: true }, "server_no_context_takeover; client_max_window_bits"],
    [{ clientNoContextTakeover: true }, "client_no_context_takeover; client_max_window_bits"],
    [{ serverMaxWindowBits: 10 }, "server_max_window_bits=10; client_max_window_bits"],
    [{ clientMaxWindowBits: 11 }, "client_max_window_bits=11"],
    [{ clientMaxWindowBits: false, serverNoContextTakeover: true }, "server_no_context_takeover"],
  ] as const) {
    test(`perMessageDeflate ${JSON.stringify(options)} offers ${offer}`, async (t) => {
      const { headers } = await requestOf(t, ws, { options: { perMessageDeflate: options } });
      assert.equal(headers["sec-websocket-extensions"], `permessage-deflate; ${offer}`);
    });
  }

  test("protocols may be a string, an array, or an option", async (t) => {
    for (const args of [
      { protocols: "a" },
      { protocols: ["a"] },
      { options: { protocols: "a" } },
      { options: { protocols: ["a"] } },
    ]) {
      const { headers } = await requestOf(t, ws, args);
      assert.equal(headers["sec-websocket-protocol"], "a");
    }
    const { headers } = await requestOf(t, ws, { protocols: ["a", "b"] });
    assert.equal(headers["sec-websocket-protocol"], "a,b");
  });

  test("options may be the second argument", async (t) => {
    const { server, url } = await listen(t, ws);
    const client = new ws.WebSocket(url, { headers: { "X-Test": "1" } });
    terminateAfter(t, client);
    const [, request] = (await once(server, "connection")) as [Socket, IncomingMessage];
    assert.equal(request.headers["x-test"], "1");
  });

  test("headers are sent, and do not replace those of the handshake", async (t) => {
    const { headers } = await requestOf(t, ws, {
      options: { headers: { Authorization: "Bearer x", Cookie: "a=b", Upgrade: "other" } },
    });
    assert.equal(headers.authorization, "Bearer x");
    assert.equal(headers.cookie, "a=b");
    assert.equal(headers.upgrade, "websocket");
  });

  test("the headers of the caller are not changed", async (t) => {
    const headers = { "X-Test": "1" };
    await requestOf(t, ws, { options: { headers } });
    assert.deepEqual(headers, { "X-Test": "1" });
  });

  test("origin is sent as Origin, and as Sec-WebSocket-Origin with protocolVersion 8", async (t) => {
    assert.equal(
      (await requestOf(t, ws, { options: { origin: "https://a.example" } })).headers.origin,
      "https://a.example",
    );
    const old = await requestOf(t, ws, { options: { origin: "https://a.example", protocolVersion: 8 } });
    assert.equal(old.headers["sec-websocket-origin"], "https://a.example");
    assert.equal(old.headers.origin, undefined);
    assert.equal(old.headers["sec-websocket-version"], "8");
  });

  test("auth and the user of the address are sent as Basic authorization; the address has priority", async (t) => {
    const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;
    const fromOption = await requestOf(t, ws, { options: { auth: "foo:bar" } });
    assert.equal(fromOption.headers.authorization, basic("foo:bar"));
    const fromAddress = await requestOf(t, ws, { userinfo: "a%40b:c%3Ad@", options: { auth: "foo:bar" } });
    assert.equal(fromAddress.headers.authorization, basic("a@b:c:d"));
  });

  test("options of http.request that would change the target are ignored", async (t) => {
    const request = await requestOf(t, ws, {
      path: "/path",
      options: { method: "POST", path: "/other", host: "192.0.2.1", hostname: "192.0.2.1", port: 1, timeout: 1 },
    });
    assert.equal(request.method, "GET");
    assert.equal(request.url, "/path");
  });

  test("agent is used", async (t) => {
    const agent = new Agent();
    let created = 0;
    const create = agent.createConnection.bind(agent);
    agent.createConnection = (...args) => {
      created++;
      return create(...args);
    };
    await requestOf(t, ws, { options: { agent } });
    assert.equal(created, 1);
  });

  test("createConnection makes the connection, with the host and port of the address", async (t) => {
    const seen: { host?: string; port?: unknown }[] = [];
    await requestOf(t, ws, {
      options: {
        createConnection(options: { host: string; port: number }): NetSocket {
          seen.push({ host: options.host, port: options.port });
          return createConnection(options);
        },
      },
    });
    assert.equal(seen.length, 1);
    assert.equal(seen[0]?.host, "127.0.0.1");
    assert.match(String(seen[0]?.port), /^\d+$/);
  });

  test("lookup resolves the host", async (t) => {
    const { port } = await listen(t, ws);
    const asked: string[] = [];
    const client = new ws.WebSocket(`ws://name.example:${port}`, {
      lookup(host: string, options: { all?: boolean }, callback: (...args: unknown[]) => void) {
        asked.push(host);
        if (options.all === true) callback(null, [{ address: "127.0.0.1", family: 4 }]);
        else callback(null, "127.0.0.1", 4);
      },
    });
    terminateAfter(t, client);
    await once(client, "open");
    assert.deepEqual(asked, ["name.example"]);
  });

  test("localAddress is bound", async (t) => {
    const request = await requestOf(t, ws, { options: { localAddress: "127.0.0.2" } });
    assert.equal(request.socket.remoteAddress, "127.0.0.2");
  });

  test("finishRequest is called with the request and the socket, and sends the request", async (t) => {
    const { url } = await listen(t, ws);
    let seen: unknown[] = [];
    const client = new ws.WebSocket(url, {
      finishRequest(request: ClientRequest, socket: Socket) {
        seen = [request, socket];
        assert.equal(request.getHeader("upgrade"), "websocket");
        queueMicrotask(() => request.end());
      },
    });
    terminateAfter(t, client);
    assert.equal(seen[1], client);
    assert.equal(seen[0], client._req);
    await once(client, "open");
  });

  test("handshakeTimeout ends the attempt", async (t) => {
    const { url } = await wireServer(t, () => "");
    const client = new ws.WebSocket(url, { handshakeTimeout: 20 });
    const closed = event(client, "close");
    const [error] = (await event(client, "error")) as [Error];
    assert.equal(error.message, "Opening handshake has timed out");
    assert.equal((await closed)[0], 1006);
  });

  test("ws+unix: connects to a socket path and requests the part after the colon", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "tungstate-ws-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "s.sock");
    const http = createServer();
    const server = new ws.WebSocketServer({ server: http });
    http.listen(path);
    await once(http, "listening");
    t.after(() => {
      for (const client of server.clients ?? []) client.terminate();
      http.close();
    });
    for (const [suffix, target] of [
      ["", "/"],
      [":/foo?bar=1", "/foo?bar=1"],
    ] as const) {
      const client = new ws.WebSocket(`ws+unix:${path}${suffix}`);
      terminateAfter(t, client);
      const [, request] = (await once(server, "connection")) as [Socket, IncomingMessage];
      assert.equal(request.url, target);
      await event(client, "open");
    }
  });

  test("an IPv6 address in brackets is accepted", async (t) => {
    const server = new ws.WebSocketServer({ port: 0, host: "::1" });
    t.after(() => server.close());
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const client = new ws.WebSocket(`ws://[::1]:${port}`);
    await once(client, "open");
    client.terminate();
  });

  test("generateMask provides the masking key", async (t) => {
    const { url, next } = await wireServer(t);
    const client = new ws.WebSocket(url, {
      perMessageDeflate: false,
      generateMask(mask: Buffer) {
        assert.equal(mask.length, 4);
        mask.set([9, 8, 7, 6]);
      },
    });
    terminateAfter(t, client);
    const peer = await next();
    await event(client, "open");
    client.send("hello");
    const frame = await peer.next();
    assert.deepEqual([...frame.mask], [9, 8, 7, 6]);
    assert.equal(frame.payload.toString(), "hello");
  });

  test("the request of a browser-like Upgrade through http.request is possible with the same agent", async (t) => {
    // happy-dom and others pass an agent that is also used for other requests
    const { http, port } = await listenHttp(t, (_request, response) => response.end("page"));
    const server = new ws.WebSocketServer({ server: http });
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const [response] = (await once(httpRequest({ port, host: "127.0.0.1", agent }).end(), "response")) as [
      IncomingMessage,
    ];
    response.resume();
    await once(response, "end");
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`, { agent });
    await once(client, "open");
    client.terminate();
    server.close();
  });

  test("a refused connection is an error and a close with 1006", async (t) => {
    const { http, port } = await listenHttp(t);
    http.close();
    await new Promise<void>((resolve) => {
      const probe = connect(port, "127.0.0.1");
      probe.on("connect", () => probe.destroy()).on("close", () => resolve());
      probe.on("error", () => {});
    });
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`);
    const closed = event(client, "close");
    let state = -1;
    client.on("error", () => (state = client.readyState));
    const [error] = (await event(client, "error")) as [Error & { code: string }];
    assert.equal(error.code, "ECONNREFUSED");
    assert.equal(state, ws.WebSocket.CLOSING);
    const [code, reason] = (await closed) as [number, Buffer];
    assert.deepEqual([code, reason], [1006, Buffer.alloc(0)]);
    assert.equal(client.readyState, ws.WebSocket.CLOSED);
  });
});
