// @nestjs/platform-ws: gateways with the WsAdapter, two paths on one server.
import "reflect-metadata";
import assert from "node:assert/strict";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { WsAdapter } from "@nestjs/platform-ws";
import { SubscribeMessage, WebSocketGateway, WebSocketServer } from "@nestjs/websockets";
import WebSocket from "ws";
import { next, scenario } from "./scenario.mjs";

function gateway(path) {
  class Gateway {
    handleConnection(socket) {
      socket.greeted = true;
    }
    echo(_socket, data) {
      return { event: "echo", data };
    }
    broadcast(_socket, data) {
      for (const client of this.server.clients) client.send(JSON.stringify({ event: "news", data }));
    }
  }
  const { prototype } = Gateway;
  for (const name of ["echo", "broadcast"]) {
    SubscribeMessage(name)(prototype, name, Object.getOwnPropertyDescriptor(prototype, name));
  }
  WebSocketServer()(prototype, "server");
  WebSocketGateway({ path })(Gateway);
  return Gateway;
}

await scenario(["@nestjs/platform-ws"], async ({ check, after }) => {
  class App {}
  Module({ providers: [gateway("/a"), gateway("/b")] })(App);
  const app = await NestFactory.create(App, { logger: false });
  app.useWebSocketAdapter(new WsAdapter(app));
  await app.listen(0, "127.0.0.1");
  after(() => app.close());
  const url = `ws://127.0.0.1:${app.getHttpServer().address().port}`;
  const connect = async (path) => {
    const socket = new WebSocket(url + path);
    await next(socket, "open");
    return socket;
  };
  await check("a message handler replies", async () => {
    for (const path of ["/a", "/b"]) {
      const socket = await connect(path);
      const reply = next(socket, "message");
      socket.send(JSON.stringify({ event: "echo", data: path }));
      assert.deepEqual(JSON.parse(await reply), { event: "echo", data: path });
      socket.close();
      await next(socket, "close");
    }
  });
  await check("a gateway sends to all of its clients", async () => {
    const sockets = [await connect("/a"), await connect("/a")];
    const other = await connect("/b");
    other.on("message", () => assert.fail("another gateway"));
    const news = Promise.all(sockets.map((socket) => next(socket, "message")));
    sockets[0].send(JSON.stringify({ event: "broadcast", data: 1 }));
    for (const text of await news) assert.deepEqual(JSON.parse(text), { event: "news", data: 1 });
    for (const socket of [...sockets, other]) socket.terminate();
  });
  await check("an unknown path is refused", async () => {
    const error = await next(new WebSocket(`${url}/nowhere`), "error");
    assert.match(error.message, /socket hang up|Unexpected server response: 40[04]/);
  });
});
