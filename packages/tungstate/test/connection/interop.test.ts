import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import WebSocketOfWs, { WebSocketServer as WsServer } from "ws";
import { connect } from "../../src/client/connect.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import type { WebSocketServerOptions } from "../../src/server/options.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { take } from "../support/connected.ts";

// Other implementations on real sockets, as client and as server.

const MiB = "0123456789abcdef".repeat(65_536);
const MESSAGES: readonly (string | Buffer)[] = [
  "",
  "text",
  "ä€𝄞",
  Buffer.from([0, 1, 254, 255]),
  "x".repeat(126),
  "y".repeat(70_000),
  MiB,
];

/** An echo server; a client that sends "close 4001" is closed with that code. */
async function ours(
  options: WebSocketServerOptions = {},
): Promise<{ server: WebSocketServer; url: string; codes: number[] }> {
  const server = new WebSocketServer({ protocols: ["chat", "other"], ...options });
  const codes: number[] = [];
  server.on("connection", (connection) => {
    connection.on("message", (message) => {
      if (message.type === "text" && message.text === "close 4001") void connection.close(4001, "as you wish");
      else connection.write(message);
    });
    connection.on("close", ({ code }) => codes.push(code));
  });
  const address = await server.listen();
  return { server, url: `ws://127.0.0.1:${typeof address === "string" ? "" : address.port}/`, codes };
}

/** Runs a client against another echo server. */
async function talk(url: string, compression: boolean): Promise<WebSocketConnection> {
  const connection = await connect(url, { protocols: ["chat"], compression });
  assert.equal(connection.protocol, "chat");
  for (const message of MESSAGES) await connection.send(message);
  await connection.sendStream(["in ", "three ", "parts"], "text");
  const received = await take(connection, MESSAGES.length + 1);
  assert.deepEqual(
    received.map((message) => (typeof message === "string" ? message : Buffer.from(message))),
    [...MESSAGES, "in three parts"],
  );
  assert.ok((await connection.ping("are you there")) >= 0);
  return connection;
}

describe("the npm package ws", () => {
  for (const compression of [false, true]) {
    const how = compression ? "compressed" : "plain";
    test(`as client, ${how}`, async () => {
      const { server, url, codes } = await ours({ compression });
      const client = new WebSocketOfWs(url, ["chat"], { perMessageDeflate: compression });
      await once(client, "open");
      assert.equal(client.protocol, "chat");
      assert.equal(client.extensions, compression ? "permessage-deflate" : "");
      for (const message of MESSAGES) {
        client.send(message);
        const [data, isBinary] = (await once(client, "message")) as [Buffer, boolean];
        assert.deepEqual(isBinary ? data : data.toString(), message);
      }
      client.send("frag", { fin: false });
      client.ping("between");
      client.send("ments", { fin: true });
      const [[pong], [data]] = (await Promise.all([once(client, "pong"), once(client, "message")])) as [
        [Buffer],
        [Buffer],
      ];
      assert.equal(pong.toString(), "between");
      assert.equal(data.toString(), "fragments");
      client.close(4002, "bye");
      assert.equal((await once(client, "close"))[0], 4002);
      const second = new WebSocketOfWs(url);
      await once(second, "open");
      second.send("close 4001");
      const [code, reason] = (await once(second, "close")) as [number, Buffer];
      assert.deepEqual([code, reason.toString()], [4001, "as you wish"]);
      await server.close();
      assert.deepEqual(codes, [4002, 4001]);
    });

    test(`as server, ${how}`, async () => {
      const server = new WsServer({ port: 0, host: "127.0.0.1", perMessageDeflate: compression });
      await once(server, "listening");
      const closed = new Promise<number>((resolve) => {
        server.on("connection", (socket) => {
          socket.on("message", (data, binary) => socket.send(data, { binary }));
          socket.on("close", resolve);
        });
      });
      const { port } = server.address() as { port: number };
      const connection = await talk(`ws://127.0.0.1:${port}/`, compression);
      assert.equal(connection.extensions.startsWith("permessage-deflate"), compression);
      assert.deepEqual((await connection.close(4003)).code, 4003);
      assert.equal(await closed, 4003);
      server.close();
      await once(server, "close");
    });
  }
});

const noWebSocket = typeof WebSocket === "undefined" && "this Node has no WebSocket of its own (22 and later have)";

test("Node's own WebSocket as client", { skip: noWebSocket }, async () => {
  const { server, url, codes } = await ours({ compression: true });
  const client = new WebSocket(url, ["chat"]);
  client.binaryType = "arraybuffer";
  await once(client, "open");
  assert.equal(client.protocol, "chat");
  for (const message of MESSAGES) {
    client.send(message);
    const [event] = (await once(client, "message")) as [{ readonly data: string | ArrayBuffer }];
    assert.deepEqual(typeof event.data === "string" ? event.data : Buffer.from(event.data), message);
  }
  client.close(4004, "bye");
  const [closed] = (await once(client, "close")) as [{ readonly code: number; readonly wasClean: boolean }];
  assert.deepEqual([closed.code, closed.wasClean], [4004, true]);
  await server.close();
  assert.deepEqual(codes, [4004]);
});

/** Runs a program for Debian's python3-websockets, which prints lines. */
function python(program: string, ...args: string[]): { child: ChildProcess; lines: AsyncIterator<string> } {
  const child = spawn("/usr/bin/python3", ["-c", program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

const PYTHON_SERVER = `
import asyncio, websockets
async def echo(socket, path=None):
    try:
        async for message in socket:
            await socket.send(message)
    finally:
        print("closed", socket.close_code, flush=True)
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, subprotocols=["chat"], max_size=2**24) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
`;

const PYTHON_CLIENT = `
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], subprotocols=["chat"], max_size=2**24) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
        for message in ["", "text", "\\u00e4\\u20ac\\U0001d11e", bytes([0, 1, 254, 255]), "x" * 126, "y" * 70000, "0123456789abcdef" * 65536]:
            await socket.send(message)
            assert await socket.recv() == message, len(message)
        await socket.send(["frag", "ments"])
        assert await socket.recv() == "fragments"
        await (await socket.ping())
        await socket.close(4005, "bye")
        print("closed", socket.close_code, flush=True)
    async with websockets.connect(sys.argv[1]) as socket:
        await socket.send("close 4001")
        try:
            await socket.recv()
        except websockets.ConnectionClosed:
            pass
        print("closed", socket.close_code, socket.close_reason, flush=True)
asyncio.run(main())
`;

describe("Python's websockets", () => {
  for (const compression of [false, true]) {
    const how = compression ? "which offers compression, and gets it" : "which offers compression, and does not get it";
    test(`as client, ${how}`, async () => {
      const { server, url, codes } = await ours({ compression });
      const { child, lines } = python(PYTHON_CLIENT, url);
      assert.equal((await lines.next()).value, "closed 4005");
      assert.equal((await lines.next()).value, "closed 4001 as you wish");
      const [status] = child.exitCode === null ? ((await once(child, "exit")) as [number]) : [child.exitCode];
      assert.equal(status, 0);
      await server.close();
      assert.deepEqual(codes, [4005, 4001]);
    });

    test(`as server, ${compression ? "compressed" : "plain"}`, async () => {
      const { child, lines } = python(PYTHON_SERVER);
      try {
        const port = String((await lines.next()).value);
        const connection = await talk(`ws://127.0.0.1:${port}/`, compression);
        assert.equal(connection.extensions.startsWith("permessage-deflate"), compression);
        assert.equal((await connection.close(4006)).code, 4006);
        assert.equal((await lines.next()).value, "closed 4006");
      } finally {
        child.kill();
      }
    });
  }
});
