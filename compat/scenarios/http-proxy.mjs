// @fastify/http-proxy with websocket: true: it is a server and a client at once.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import proxy from "@fastify/http-proxy";
import fastify from "fastify";
import { WebSocket, WebSocketServer } from "ws";
import { listen, next, scenario } from "./scenario.mjs";

await scenario(["@fastify/http-proxy"], async ({ check, after }) => {
  const http = createServer((_request, response) => response.end("page"));
  const server = new WebSocketServer({ server: http, handleProtocols: (offered) => [...offered].at(-1) });
  server.on("connection", (socket, request) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on("ping", (data) => socket.emit("pinged", data));
    if (request.url === "/close") socket.close(4000, "from the origin");
  });
  const port = await listen(http);
  after(() => http.close());
  const app = fastify();
  await app.register(proxy, { upstream: `http://127.0.0.1:${port}`, websocket: true });
  await app.listen({ port: 0, host: "127.0.0.1" });
  after(() => app.close());
  const url = `ws://127.0.0.1:${app.server.address().port}`;

  const open = async (path = "/", protocols = []) => {
    const socket = new WebSocket(url + path, protocols);
    await next(socket, "open");
    return socket;
  };
  await check("text and binary messages pass through", async () => {
    const socket = await open();
    for (const [data, options] of [
      ["text", {}],
      [Buffer.alloc(100_000, 3), {}],
      ["", {}],
    ]) {
      const reply = new Promise((resolve) => socket.once("message", (...args) => resolve(args)));
      socket.send(data, options);
      const [received, isBinary] = await reply;
      assert.ok(Buffer.from(data).equals(received));
      assert.equal(isBinary, typeof data !== "string");
    }
    socket.terminate();
  });
  await check("subprotocols pass through", async () => {
    const socket = await open("/", ["a", "b"]);
    assert.ok(["a", "b"].includes(socket.protocol));
    socket.terminate();
  });
  await check("a close of the origin passes through with its code and reason", async () => {
    const socket = new WebSocket(`${url}/close`);
    const [code, reason] = await new Promise((resolve) => socket.on("close", (...args) => resolve(args)));
    assert.deepEqual([code, reason.toString()], [4000, "from the origin"]);
  });
  await check("a ping of the client reaches the origin, and is answered", async () => {
    const socket = await open();
    const pong = next(socket, "pong");
    socket.ping("data");
    assert.equal(String(await pong), "data");
    socket.terminate();
  });
  await check("50 connections", async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => open()));
    const replies = Promise.all(sockets.map((socket) => next(socket, "message")));
    sockets.forEach((socket, at) => socket.send(String(at)));
    assert.deepEqual(
      (await replies).map(String),
      sockets.map((_, at) => String(at)),
    );
    for (const socket of sockets) socket.close();
  });
});
