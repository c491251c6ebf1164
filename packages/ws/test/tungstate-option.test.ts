// The option `tungstate`: policies of the core that ws does not have.
import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { suite, test, type TestContext } from "node:test";
import WebSocket, { WebSocketServer, type ServerOptions } from "@tungstate/ws";

async function listen(t: TestContext, options: ServerOptions): Promise<{ server: WebSocketServer; port: number }> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", ...options });
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

/** A client that sends its handshake and nothing else. */
function silentClient(t: TestContext, port: number): net.Socket {
  const socket = net.connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.write(
    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  return socket;
}

suite("the option tungstate", () => {
  test("heartbeat destroys the connection of a peer that does not answer", async (t) => {
    const { server, port } = await listen(t, { tungstate: { heartbeat: { interval: 20, timeout: 20 } } });
    const connected = once(server, "connection");
    const client = silentClient(t, port);
    let received = "";
    client.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
    const [peer] = (await connected) as [WebSocket];
    const [code] = (await once(peer, "close")) as [number];
    assert.equal(code, 1006);
    assert.ok(received.endsWith("\r\n\r\n\x89\x00"), "one ping follows the response");
  });

  test("heartbeat keeps the connection of a peer that answers", async (t) => {
    const { server, port } = await listen(t, { tungstate: { heartbeat: { interval: 20, timeout: 10_000 } } });
    const connected = once(server, "connection");
    const client = new WebSocket(`ws://127.0.0.1:${port}`);
    let pings = 0;
    const third = new Promise<void>((resolve) => client.on("ping", () => ++pings === 3 && resolve()));
    const [peer] = (await connected) as [WebSocket];
    await third;
    assert.equal(peer.readyState, WebSocket.OPEN);
    client.terminate();
    await once(client, "close");
  });

  test("maxWriteBufferSize destroys the connection of a peer that does not read", async (t) => {
    const { server, port } = await listen(t, { tungstate: { maxWriteBufferSize: 1024 * 1024 } });
    const connected = once(server, "connection");
    const client = silentClient(t, port);
    client.pause();
    const [peer] = (await connected) as [WebSocket];
    const failed = once(peer, "error");
    const chunk = Buffer.alloc(512 * 1024);
    for (let sent = 0; peer.readyState === WebSocket.OPEN; sent++) {
      assert.ok(sent < 256, "the limit has no effect");
      peer.send(chunk);
    }
    const [error] = (await failed) as [Error];
    assert.match(error.message, /^The peer is too slow: \d+ bytes wait, the limit is 1048576$/);
    assert.equal(((await once(peer, "close")) as [number])[0], 1006);
  });

  for (const [origin, status] of [
    [undefined, 101],
    ["http://elsewhere.test", 403],
  ] as const) {
    test(`origin "same" answers ${origin ?? "a client without an origin"} with ${status}`, async (t) => {
      const { port } = await listen(t, { tungstate: { origin: "same" } });
      const client = new WebSocket(`ws://127.0.0.1:${port}`, origin === undefined ? {} : { origin });
      if (status === 101) await once(client, "open");
      else {
        const [error] = (await once(client, "error")) as [Error];
        assert.equal(error.message, "Unexpected server response: 403");
      }
      client.terminate();
    });
  }

  test("an invalid or unknown policy is an error, for servers and clients", () => {
    for (const [policies, message] of [
      [{ heartbeats: {} }, /unknown option heartbeats of tungstate: did you mean heartbeat\?/],
      [{ heartbeat: { interval: "30s", timeout: 1 } }, /tungstate\.heartbeat\.interval must be an integer/],
      [{ maxWriteBufferSize: -1 }, /tungstate\.maxWriteBufferSize must be a number of bytes/],
      [{ origin: "all" }, /tungstate\.origin must be "same", "any", a list or a function/],
    ] as const) {
      const options = { tungstate: policies } as unknown as ServerOptions;
      assert.throws(() => new WebSocketServer({ noServer: true, ...options }), { code: "INVALID_ARGUMENT", message });
      assert.throws(() => new WebSocket("ws://127.0.0.1:1", options), {
        code: "INVALID_ARGUMENT",
        message,
      });
    }
  });
});
