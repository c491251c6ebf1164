// What programs use beyond ws's documentation: Socket.IO, Next.js, Fastify, libp2p, happy-dom and
// others reach for these members.
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Duplex } from "node:stream";
import { onEach, test, type Socket } from "./support/implementations.ts";
import { closing, event, listen, listenHttp, message, messages, pair, terminateAfter } from "./support/pairs.ts";
import { frame, masked, OPCODE, wireClient } from "./support/wire.ts";

type NetSocket = NonNullable<Socket["_socket"]>;

function socketOf(socket: Socket): NetSocket {
  assert.ok(socket._socket !== null);
  return socket._socket;
}

onEach("_socket", (ws) => {
  test("is null before open", async (t) => {
    const { url } = await listen(t, ws);
    const client = new ws.WebSocket(url);
    assert.equal(client._socket, null);
    await event(client, "open");
    assert.notEqual(client._socket, null);
    client.terminate();
  });

  test("has the addresses and ports of the connection", async (t) => {
    const { client, peer, server } = await pair(t, ws);
    const [ours, theirs] = [socketOf(client), socketOf(peer)];
    const { port } = server.address() as AddressInfo;
    assert.deepEqual([ours.remoteAddress, ours.remotePort, ours.remoteFamily], ["127.0.0.1", port, "IPv4"]);
    assert.deepEqual([theirs.remoteAddress, theirs.remotePort], ["127.0.0.1", ours.localPort]);
    assert.deepEqual([theirs.localAddress, theirs.localPort], ["127.0.0.1", port]);
    assert.deepEqual(theirs.address(), { address: "127.0.0.1", family: "IPv4", port });
  });

  test("is the socket of the request", async (t) => {
    const { server, url } = await listen(t, ws);
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const [peer, incoming] = (await event(server, "connection")) as [Socket, IncomingMessage];
    assert.equal(incoming.socket.remotePort, socketOf(peer).remotePort);
    assert.equal(incoming.socket, peer._socket);
  });

  test("bytesRead and bytesWritten count", async (t) => {
    const { client, peer } = await pair(t, ws, { client: { perMessageDeflate: false } });
    const [written, read] = [socketOf(client).bytesWritten, socketOf(peer).bytesRead];
    const received = message(peer);
    client.send("x".repeat(1000));
    await received;
    assert.equal(socketOf(client).bytesWritten - written, 1000 + 8);
    assert.equal(socketOf(peer).bytesRead - read, 1000 + 8);
  });

  test("write sends bytes after those of send", async (t) => {
    const { client, peer } = await pair(t, ws);
    const received = messages(client, 3);
    peer.send("1");
    socketOf(peer).write(frame(OPCODE.text, "2"));
    peer.send("3");
    assert.deepEqual(await received, ["1", "2", "3"]);
  });

  test("end ends the connection: 1006", async (t) => {
    const { client, peer } = await pair(t, ws);
    const done = Promise.all([closing(client), closing(peer)]);
    socketOf(peer).end();
    for (const { code } of await done) assert.equal(code, 1006);
  });

  test("destroy ends the connection at once: 1006, and no error event", async (t) => {
    const { client, peer } = await pair(t, ws);
    const done = Promise.all([closing(client), closing(peer)]);
    socketOf(peer).destroy(new Error("not emitted"));
    for (const closed of await done) assert.deepEqual(closed, { code: 1006, reason: "", errors: [] });
  });

  test("close, end and error events of the socket", async (t) => {
    const { client, peer } = await pair(t, ws);
    const [ended, closed] = [once(socketOf(peer), "end"), once(socketOf(peer), "close")];
    client.terminate();
    await Promise.all([ended, closed]);
  });

  test("data has the received bytes while messages are emitted as well", async (t) => {
    const { port, server } = await listen(t, ws);
    const connected = event(server, "connection");
    const wire = await wireClient(t, port);
    const [peer] = (await connected) as [Socket];
    const chunks: Buffer[] = [];
    socketOf(peer).on("data", (chunk: Buffer) => chunks.push(chunk));
    const received = messages(peer, 2);
    const bytes = Buffer.concat([masked(OPCODE.text, "1"), masked(OPCODE.text, "2")]);
    const copy = Buffer.from(bytes);
    wire.write(bytes);
    assert.deepEqual(await received, ["1", "2"]);
    assert.equal(Buffer.concat(chunks).length, copy.length);
  });

  test("drain follows a write that returned false", async (t) => {
    const { client, peer } = await pair(t, ws, { client: { perMessageDeflate: false } });
    const socket = socketOf(client);
    const drained = event(socket, "drain");
    const received = message(peer);
    client.send(Buffer.alloc(8 * 1024 * 1024));
    await Promise.all([drained, received]);
    assert.equal(client.bufferedAmount, 0);
  });

  test("isPaused, pause and resume", async (t) => {
    const { client, peer } = await pair(t, ws);
    assert.equal(socketOf(peer).isPaused(), false);
    peer.pause();
    assert.equal(socketOf(peer).isPaused(), true);
    peer.resume();
    assert.equal(socketOf(peer).isPaused(), false);
    socketOf(peer).pause();
    let received = 0;
    peer.on("message", () => received++);
    await new Promise<void>((resolve) => client.send("x", () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(received, 0);
    const arrived = message(peer);
    socketOf(peer).resume();
    await arrived;
  });

  test("ref, unref, setNoDelay, setKeepAlive and setTimeout return the socket", async (t) => {
    const { peer } = await pair(t, ws);
    const socket = socketOf(peer);
    assert.equal(socket.unref(), socket);
    assert.equal(socket.ref(), socket);
    assert.equal(socket.setNoDelay(true), socket);
    assert.equal(socket.setKeepAlive(true, 1000), socket);
    assert.equal(socket.setTimeout(0), socket);
  });

  test("setTimeout emits timeout on an idle connection", async (t) => {
    const { peer } = await pair(t, ws);
    const timedOut = event(socketOf(peer), "timeout");
    socketOf(peer).setTimeout(5);
    await timedOut;
  });

  test("readable, writable, destroyed and writableLength have their values", async (t) => {
    const { peer } = await pair(t, ws);
    const socket = socketOf(peer);
    assert.deepEqual(
      [socket.readable, socket.writable, socket.destroyed, socket.writableLength],
      [true, true, false, 0],
    );
    const done = closing(peer);
    peer.terminate();
    assert.equal(socket.destroyed, true);
    await done;
  });

  test("writableLength and writableNeedDrain show what the peer does not read", async (t) => {
    const { client, peer } = await pair(t, ws, { client: { perMessageDeflate: false } });
    client.pause();
    const chunk = Buffer.alloc(256 * 1024);
    for (let sent = 0; peer.bufferedAmount < 4 * chunk.length; sent++) {
      assert.ok(sent < 256, "bufferedAmount does not grow");
      peer.send(chunk);
    }
    assert.equal(socketOf(peer).writableLength, peer.bufferedAmount);
    assert.equal(socketOf(peer).writableNeedDrain, true);
    const drained = event(socketOf(peer), "drain");
    client.resume();
    await drained;
    assert.equal(peer.bufferedAmount, 0);
    assert.equal(socketOf(peer).writableNeedDrain, false);
  });

  test("after the close, _socket is still there", async (t) => {
    const { client, peer } = await pair(t, ws);
    const done = Promise.all([closing(client), closing(peer)]);
    client.close();
    await done;
    assert.notEqual(peer._socket, null);
  });

  test("is a stream that others can listen to and pipe into", async (t) => {
    const { peer } = await pair(t, ws);
    assert.ok(socketOf(peer) instanceof Duplex);
    assert.ok(socketOf(peer) instanceof EventEmitter);
  });
});

onEach("other members beyond the documentation", (ws) => {
  test("_sender.sendFrame writes encoded frames and calls back", async (t) => {
    const { client, peer } = await pair(t, ws);
    const received = messages(client, 4);
    const frames = ws.Sender.frame(Buffer.from("2"), {
      fin: true,
      opcode: 1,
      mask: false,
      rsv1: false,
      readOnly: true,
    });
    const [first] = ws.Sender.frame(Buffer.alloc(0), {
      fin: true,
      opcode: 2,
      mask: false,
      rsv1: false,
      readOnly: true,
    });
    peer.send("1");
    await new Promise<void>((resolve) => peer._sender.sendFrame(frames, () => resolve()));
    peer._sender.sendFrame([first]);
    peer.send("3");
    assert.deepEqual(await received, ["1", "2", "", "3"]);
  });

  test("_sender.sendFrame to many sockets in one tick", async (t) => {
    const { server, url } = await listen(t, ws);
    const clients = Array.from({ length: 5 }, () => new ws.WebSocket(url));
    for (const client of clients) terminateAfter(t, client);
    await Promise.all(clients.map((client) => event(client, "open")));
    const received = Promise.all(clients.map((client) => messages(client, 2)));
    const frames = ws.Sender.frame(Buffer.from("shared"), {
      fin: true,
      opcode: 1,
      mask: false,
      rsv1: false,
      readOnly: false,
    });
    for (const peer of server.clients ?? []) {
      peer._sender.sendFrame(frames);
      peer.send("own");
    }
    for (const got of await received) assert.deepEqual(got, ["shared", "own"]);
  });

  test("_isServer may be set before setSocket", () => {
    const socket = new ws.WebSocket(null, undefined, {});
    socket._isServer = false;
    assert.equal(socket._isServer, false);
  });

  test("_isServer = false before setSocket makes a client on any stream", async (t) => {
    const [left, right] = duplexPair();
    const client = new ws.WebSocket(null, undefined, { autoPong: true });
    client._isServer = false;
    client.setSocket(left, Buffer.alloc(0), {
      allowSynchronousEvents: true,
      maxPayload: 1024,
      skipUTF8Validation: false,
    });
    terminateAfter(t, client);
    assert.equal(client.readyState, ws.WebSocket.OPEN);
    const received = message(client);
    right.write(frame(OPCODE.text, "unmasked"));
    assert.equal(String((await received).data), "unmasked");
    client.send("masked");
    const [bytes] = (await once(right, "data")) as [Buffer];
    assert.equal(bytes.readUInt8(1) & 128, 128);
  });

  test("setSocket emits open, and receives what the head has", async (t) => {
    const [left] = duplexPair();
    const socket = new ws.WebSocket(null, undefined, {});
    terminateAfter(t, socket);
    const order: string[] = [];
    socket.on("open", () => order.push("open")).on("message", (data: Buffer) => order.push(data.toString()));
    const received = message(socket);
    socket.setSocket(left, masked(OPCODE.text, "head"), { allowSynchronousEvents: true, maxPayload: 0 });
    assert.deepEqual(order, ["open"]);
    await received;
    assert.deepEqual(order, ["open", "head"]);
  });

  test("_req is the request while connecting and null afterwards; _redirects is 0", async (t) => {
    const { url } = await listen(t, ws);
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    assert.equal(typeof client._req?.setHeader, "function");
    assert.equal(client._redirects, 0);
    await event(client, "open");
    assert.equal(client._req, null);
  });

  test("wss._server is the HTTP server", async (t) => {
    const { server } = await listen(t, ws);
    assert.equal(server._server?.listening, true);
    const { http } = await listenHttp(t);
    const attached = new ws.WebSocketServer({ server: http });
    t.after(() => attached.close());
    assert.equal(attached._server, http);
  });

  test("_receiver._maxPayload can be set on a live connection", async (t) => {
    const { client, peer } = await pair(t, ws);
    assert.equal(peer._receiver._maxPayload, 100 * 1024 * 1024);
    peer._receiver._maxPayload = 10;
    assert.equal(peer._receiver._maxPayload, 10);
    const done = closing(peer);
    client.send("x".repeat(11));
    assert.equal((await done).errors[0]?.code, "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH");
  });

  test("_protocol may be set by a subclass of the server's socket", () => {
    const socket = new ws.WebSocket(null, undefined, {});
    socket._protocol = "mine";
    assert.equal(socket.protocol, "mine");
  });

  test("emitClose emits close and sets the state", () => {
    const socket = new ws.WebSocket(null, undefined, {});
    const closes: unknown[][] = [];
    socket.on("close", (...args: unknown[]) => closes.push(args));
    socket.emitClose();
    assert.deepEqual(closes, [[1006, Buffer.alloc(0)]]);
    assert.equal(socket.readyState, ws.WebSocket.CLOSED);
  });

  test("url may be redefined", async (t) => {
    const { peer } = await pair(t, ws);
    Object.defineProperty(peer, "url", { value: "ws://mine/" });
    assert.equal(peer.url, "ws://mine/");
  });

  test("properties may be added to a socket", async (t) => {
    const { peer } = await pair(t, ws);
    const socket = peer as Socket & { isAlive?: boolean };
    socket.isAlive = true;
    assert.equal(socket.isAlive, true);
  });

  test("a WebSocket has a JSON form, as loggers need", async (t) => {
    const { client, peer } = await pair(t, ws);
    for (const socket of [client, peer]) {
      const form = JSON.parse(JSON.stringify({ socket })) as { socket: Record<string, unknown> };
      assert.deepEqual([form.socket["_readyState"], form.socket["_binaryType"]], [1, "nodebuffer"]);
    }
  });

  test("_server of a server without one is undefined", () => {
    const server = new ws.WebSocketServer({ noServer: true });
    assert.equal(server._server, undefined);
    server.close();
    assert.equal(server._server, undefined);
  });

  test("for...in lists the members of the interface of browsers", () => {
    const names: string[] = [];
    for (const name in ws.WebSocket.prototype) names.push(name);
    const states = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];
    const handlers = ["onopen", "onmessage", "onclose", "onerror", "addEventListener", "removeEventListener"];
    for (const name of [...states, ...handlers, "readyState", "send"]) {
      assert.equal(names.includes(name), name !== "send", name);
    }
  });

  test("callbacks of sent messages and frames get null", async (t) => {
    const { peer } = await pair(t, ws);
    const sent = [
      new Promise((resolve) => peer.send("x", resolve)),
      new Promise((resolve) => peer.ping("x", undefined, resolve)),
      new Promise((resolve) => peer._sender.sendFrame([Buffer.from([0x81, 0])], resolve)),
    ];
    assert.deepEqual(await Promise.all(sent), [null, null, null]);
  });

  test("a subclass may override emit and see all events", async (t) => {
    const names: string[] = [];
    class Watched extends ws.WebSocket {
      override emit(name: string | symbol, ...args: unknown[]): boolean {
        names.push(String(name));
        return super.emit(name, ...args);
      }
    }
    const { url, server } = await listen(t, ws);
    server.on("connection", (peer) => {
      peer.send("x");
      peer.close(1000);
    });
    const client = new Watched(url);
    await closing(client);
    assert.deepEqual(
      names.filter((name) => name !== "newListener"),
      ["upgrade", "open", "message", "close"],
    );
  });

  test("a subclass may override send and close", async (t) => {
    class Counting extends ws.WebSocket {
      sent = 0;
      override send(data: unknown, ...rest: never[]): void {
        this.sent++;
        super.send(data, ...rest);
      }
    }
    const { server, url } = await listen(t, ws, { WebSocket: Counting });
    const client = new ws.WebSocket(url);
    const [peer] = (await event(server, "connection")) as [Counting];
    terminateAfter(t, client);
    const received = message(client);
    peer.send("x");
    await received;
    assert.equal(peer.sent, 1);
  });
});

/** Two streams, each of which reads what is written to the other. */
function duplexPair(): [Duplex, Duplex] {
  const make = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        other().push(chunk);
        done();
      },
      final(done) {
        other().push(null);
        done();
      },
    });
  const left: Duplex = make(() => right);
  const right: Duplex = make(() => left);
  return [left, right];
}
