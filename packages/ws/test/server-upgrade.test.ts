// Requests that a server refuses, handleUpgrade and completeUpgrade.
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import type { TestContext } from "node:test";
import { onEach, test, type Implementation, type Options, type Server } from "./support/implementations.ts";
import { closeAfter, event, listen, listenHttp, terminateAfter } from "./support/pairs.ts";
import {
  acceptOf,
  exchange,
  frame,
  FrameReader,
  KEY,
  masked,
  OPCODE,
  refusal,
  request,
  wireClient,
} from "./support/wire.ts";

const INVALID_REQUESTS = [
  ["another method", request({}, "POST / HTTP/1.1"), "405 Method Not Allowed", "Invalid HTTP method", ""],
  ["another protocol in Upgrade", request({ Upgrade: "foo" }), "400 Bad Request", "Invalid Upgrade header", ""],
  [
    "no key",
    request({ "Sec-WebSocket-Key": undefined }),
    "400 Bad Request",
    "Missing or invalid Sec-WebSocket-Key header",
    "",
  ],
  [
    "a short key",
    request({ "Sec-WebSocket-Key": "P5l8BJcZwRc=" }),
    "400 Bad Request",
    "Missing or invalid Sec-WebSocket-Key header",
    "",
  ],
  [
    "no version",
    request({ "Sec-WebSocket-Version": undefined }),
    "400 Bad Request",
    "Missing or invalid Sec-WebSocket-Version header",
    "Sec-WebSocket-Version: 13, 8\r\n",
  ],
  [
    "the version 12",
    request({ "Sec-WebSocket-Version": "12" }),
    "400 Bad Request",
    "Missing or invalid Sec-WebSocket-Version header",
    "Sec-WebSocket-Version: 13, 8\r\n",
  ],
  [
    "an invalid subprotocol",
    request({ "Sec-WebSocket-Protocol": "foo;bar" }),
    "400 Bad Request",
    "Invalid Sec-WebSocket-Protocol header",
    "",
  ],
  [
    "a subprotocol twice",
    request({ "Sec-WebSocket-Protocol": "a, a" }),
    "400 Bad Request",
    "Invalid Sec-WebSocket-Protocol header",
    "",
  ],
  [
    "an invalid extension",
    request({ "Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=20" }),
    "400 Bad Request",
    "Invalid or unacceptable Sec-WebSocket-Extensions header",
    "",
  ],
] as const;

onEach("a refused upgrade", (ws) => {
  for (const [title, text, status, body, extra] of INVALID_REQUESTS) {
    test(`${title}: ${status}, and the connection is closed`, async (t) => {
      const { port } = await listen(t, ws, { perMessageDeflate: true });
      assert.equal(await exchange(t, port, text), refusal(status, body, extra));
    });

    test(`${title}: wsClientError has the error, the socket and the request, and replaces the response`, async (t) => {
      const { port, server } = await listen(t, ws, { perMessageDeflate: true });
      server.on("wsClientError", (error: Error, socket: Duplex, incoming: IncomingMessage) => {
        assert.equal(incoming.url, "/");
        socket.end(`mine: ${error.message}`);
      });
      assert.equal(await exchange(t, port, text), `mine: ${body}`);
    });
  }

  test("permessage-deflate in an invalid header is ignored without the perMessageDeflate option", async (t) => {
    const { port } = await listen(t, ws);
    const wire = await wireClient(t, port, { "Sec-WebSocket-Extensions": "permessage-deflate; foo" });
    assert.doesNotMatch(wire.head, /extensions/i);
  });

  test("the response to an accepted request", async (t) => {
    const { port } = await listen(t, ws);
    const wire = await wireClient(t, port);
    assert.equal(
      wire.head,
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(KEY)}`,
    );
  });

  test("the version 8 and another case of Upgrade are accepted", async (t) => {
    const { port } = await listen(t, ws);
    await wireClient(t, port, { "Sec-WebSocket-Version": "8", Upgrade: "WebSocket" });
  });
});

/** Starts an HTTP server whose upgrades go to `upgrade`. */
async function upgrading(
  t: TestContext,
  ws: Implementation,
  upgrade: (server: Server, incoming: IncomingMessage, socket: Duplex, head: Buffer) => void,
  options: Options = {},
): Promise<{ server: Server; port: number }> {
  const { http, port } = await listenHttp(t);
  const server = new ws.WebSocketServer({ noServer: true, ...options });
  closeAfter(t, server);
  http.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) =>
    upgrade(server, incoming, socket, head),
  );
  return { server, port };
}

onEach("handleUpgrade", (ws) => {
  test("calls back with the socket and the request in the same call", async (t) => {
    const order: string[] = [];
    const { port } = await upgrading(t, ws, (server, incoming, socket, head) => {
      server.handleUpgrade(incoming, socket, head, (peer, given) => {
        order.push("callback");
        assert.equal(given, incoming);
        assert.equal(peer.readyState, ws.WebSocket.OPEN);
        peer.send("hello");
      });
      order.push("returned");
    });
    const wire = await wireClient(t, port);
    assert.equal((await wire.next()).payload.toString(), "hello");
    assert.deepEqual(order, ["callback", "returned"]);
  });

  test("does not emit connection by itself; clients has the socket in the callback", async (t) => {
    const { port, server } = await upgrading(t, ws, (wss, incoming, socket, head) =>
      wss.handleUpgrade(incoming, socket, head, (peer) => {
        assert.ok(wss.clients?.has(peer));
        wss.emit("connection", peer, incoming);
      }),
    );
    let connections = 0;
    server.on("connection", () => connections++);
    await wireClient(t, port);
    assert.equal(connections, 1);
  });

  test("frames that arrived with the request are received", async (t) => {
    const { server, port } = await listen(t, ws);
    const text = new Promise<string>((resolve) =>
      server.on("connection", (peer) => peer.on("message", (data: Buffer) => resolve(data.toString()))),
    );
    await wireClient(t, port, {}, masked(OPCODE.text, "early"));
    assert.equal(await text, "early");
  });

  test("throws for a socket that was upgraded before", async (t) => {
    const thrown = new Promise<unknown>((resolve) => {
      void upgrading(t, ws, (server, incoming, socket, head) => {
        server.handleUpgrade(incoming, socket, head, () => {
          try {
            server.handleUpgrade(incoming, socket, head, () => {});
          } catch (error) {
            resolve(error);
          }
        });
      }).then(({ port }) => wireClient(t, port));
    });
    assert.match(
      String(await thrown),
      /server\.handleUpgrade\(\) was called more than once with the same socket, possibly due to a misconfiguration/,
    );
  });

  test("a call that throws leaves the socket to the next call", async (t) => {
    const thrown: unknown[] = [];
    const { port } = await upgrading(t, ws, (server, incoming, socket, head) => {
      server.options["handleProtocols"] = () => {
        throw new Error("no protocol");
      };
      try {
        server.handleUpgrade(incoming, socket, head, () => {});
      } catch (error) {
        thrown.push(error);
      }
      server.options["handleProtocols"] = null;
      server.handleUpgrade(incoming, socket, head, (peer) => peer.send("upgraded"));
    });
    const client = await wireClient(t, port, { "Sec-WebSocket-Protocol": "a" });
    assert.match(client.head, /^HTTP\/1\.1 101 /);
    assert.match(String(thrown), /no protocol/);
  });

  test("several servers share an HTTP server by path", async (t) => {
    const other = new ws.WebSocketServer({ noServer: true });
    closeAfter(t, other);
    const { port } = await upgrading(t, ws, (server, incoming, socket, head) =>
      (incoming.url === "/a" ? server : other).handleUpgrade(incoming, socket, head, (peer) =>
        peer.send(incoming.url === "/a" ? "a" : "other"),
      ),
    );
    for (const [path, text] of [
      ["/a", "a"],
      ["/b", "other"],
    ] as const) {
      const client = new ws.WebSocket(`ws://127.0.0.1:${port}${path}`);
      terminateAfter(t, client);
      assert.equal(String((await event(client, "message"))[0]), text);
    }
  });

  test("completeUpgrade can be replaced to authorize asynchronously", async (t) => {
    const { port, server } = await listen(t, ws);
    const complete = server.completeUpgrade.bind(server);
    server.completeUpgrade = (...args) => void setImmediate(() => complete(...args));
    await wireClient(t, port);
  });

  test("completeUpgrade can be called directly", async (t) => {
    const { port } = await upgrading(t, ws, (server, incoming, socket, head) =>
      server.completeUpgrade({}, KEY, new Set(["x"]), incoming, socket, head, (peer) => peer.send(peer.protocol)),
    );
    assert.equal((await (await wireClient(t, port)).next()).payload.toString(), "x");
  });

  test("perMessageDeflate of options may be replaced around a call", async (t) => {
    const { port } = await upgrading(t, ws, (server, incoming, socket, head) => {
      const kept = server.options["perMessageDeflate"];
      server.options["perMessageDeflate"] = incoming.url === "/compressed";
      server.handleUpgrade(incoming, socket, head, (peer) => peer.send(peer.extensions));
      server.options["perMessageDeflate"] = kept;
    });
    for (const [path, extensions] of [
      ["/compressed", "permessage-deflate"],
      ["/plain", ""],
    ] as const) {
      const client = new ws.WebSocket(`ws://127.0.0.1:${port}${path}`);
      terminateAfter(t, client);
      assert.equal(String((await event(client, "message"))[0]), extensions);
    }
  });

  test("request may be a plain object and the stream any duplex", async () => {
    const server = new ws.WebSocketServer({ noServer: true });
    const written: Buffer[] = [];
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        written.push(chunk);
        done();
      },
    });
    const incoming = {
      method: "GET",
      headers: {
        connection: "upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": KEY,
      },
      httpVersion: "1.1",
      url: "/",
    };
    const received: string[] = [];
    server.handleUpgrade(incoming, socket, Buffer.alloc(0), (peer, given) => {
      assert.equal(given, incoming);
      peer.on("message", (data: Buffer) => {
        received.push(data.toString());
        peer.send(`echo ${data.toString()}`);
      });
    });
    socket.push(masked(OPCODE.text, "hello"));
    const frames = async (): Promise<string> => {
      for (;;) {
        const bytes = Buffer.concat(written);
        const end = bytes.indexOf("\r\n\r\n");
        const [first] = end === -1 ? [] : new FrameReader().push(bytes.subarray(end + 4));
        if (first !== undefined) return first.payload.toString();
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    assert.equal(await frames(), "echo hello");
    assert.deepEqual(received, ["hello"]);
    const [peer] = server.clients ?? [];
    const closed = event(peer, "close");
    socket.push(masked(OPCODE.close, Buffer.from([3, 232])));
    socket.push(null);
    assert.equal((await closed)[0], 1000);
    assert.equal(server.clients?.size, 0);
  });

  test("a stream that is no longer readable is destroyed without a connection", () => {
    const server = new ws.WebSocketServer({ noServer: true });
    const socket = new Duplex({ read() {}, write() {} });
    socket.destroy();
    server.handleUpgrade(
      { method: "GET", headers: { upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": KEY } },
      socket,
      Buffer.alloc(0),
      () => assert.fail("connected"),
    );
    assert.equal(server.clients?.size, 0);
  });

  test("a WebSocket over a duplex of a WebSocket", async (t) => {
    // a tunnel: the stream is no net.Socket
    const { server, url } = await listen(t, ws);
    const inner = new ws.WebSocketServer({ noServer: true });
    server.on("connection", (peer) => {
      const stream = ws.createWebSocketStream(peer);
      inner.handleUpgrade(
        {
          method: "GET",
          url: "/",
          headers: { upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": KEY },
        },
        stream,
        Buffer.alloc(0),
        (socket) => socket.send("inner"),
      );
    });
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const bytes: Buffer[] = [];
    const done = new Promise<void>((resolve) =>
      client.on("message", (data: Buffer) => {
        bytes.push(data);
        if (Buffer.concat(bytes).includes(frame(OPCODE.text, "inner"))) resolve();
      }),
    );
    await done;
    assert.match(Buffer.concat(bytes).toString("latin1"), /^HTTP\/1\.1 101 /);
  });
});
