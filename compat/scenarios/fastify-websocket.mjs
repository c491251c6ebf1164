// @fastify/websocket: routes, hooks and injectWS, which upgrades over a stream without a socket.
import assert from "node:assert/strict";
import fastifyWebsocket from "@fastify/websocket";
import fastify from "fastify";
import WebSocket from "ws";
import { next, scenario } from "./scenario.mjs";

await scenario(["@fastify/websocket"], async ({ check, after }) => {
  const app = fastify();
  after(() => app.close());
  await app.register(fastifyWebsocket, { options: { maxPayload: 1024 } });
  app.register(async (routes) => {
    routes.addHook("preValidation", async (request, reply) => {
      if (request.headers["x-deny"] === "1") await reply.code(403).send("denied");
    });
    routes.get("/echo", { websocket: true }, (socket, request) => {
      socket.on("message", (data, isBinary) => socket.send(isBinary ? data : `${request.url} ${data}`));
    });
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const url = `ws://127.0.0.1:${app.server.address().port}`;

  await check("a route echoes", async () => {
    const socket = new WebSocket(`${url}/echo`);
    await next(socket, "open");
    const text = next(socket, "message");
    socket.send("hello");
    assert.equal(String(await text), "/echo hello");
    const closed = next(socket, "close");
    socket.close(1000);
    assert.equal(await closed, 1000);
  });
  await check("a hook refuses", async () => {
    const socket = new WebSocket(`${url}/echo`, { headers: { "x-deny": "1" } });
    const error = await next(socket, "error");
    assert.equal(error.message, "Unexpected server response: 403");
  });
  await check("an unknown route is 404", async () => {
    const error = await next(new WebSocket(`${url}/nowhere`), "error");
    assert.equal(error.message, "Unexpected server response: 404");
  });
  await check("maxPayload of the options", async () => {
    const socket = new WebSocket(`${url}/echo`);
    await next(socket, "open");
    const closed = next(socket, "close");
    socket.send("x".repeat(1025));
    assert.equal(await closed, 1009);
  });
  await check("injectWS", async () => {
    const socket = await app.injectWS("/echo");
    const text = next(socket, "message");
    socket.send("injected");
    assert.equal(String(await text), "/echo injected");
    socket.terminate();
  });
});
