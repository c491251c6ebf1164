// Socket.IO over the websocket transport only: acknowledgements, binary data, rooms, recovery. Once
// with the ws that it resolves itself, and once with wsEngine.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { WebSocketServer } from "ws";
import { listen, next, scenario } from "./scenario.mjs";

await scenario(["engine.io", "engine.io-client"], async ({ check, after }) => {
  for (const [title, options] of [
    ["default engine", {}],
    ["wsEngine", { wsEngine: WebSocketServer }],
    ["compression", { perMessageDeflate: { threshold: 0 } }],
  ]) {
    const http = createServer();
    const server = new Server(http, {
      transports: ["websocket"],
      connectionStateRecovery: { maxDisconnectionDuration: 60_000 },
      ...options,
    });
    server.on("connection", (socket) => {
      socket.on("join", async (room, done) => {
        await socket.join(room);
        done();
      });
      socket.on("echo", (data, done) => done(data));
    });
    const port = await listen(http);
    const clients = [];
    const connect = async () => {
      const client = io(`http://127.0.0.1:${port}`, {
        transports: ["websocket"],
        forceNew: true,
        reconnectionDelay: 1,
      });
      clients.push(client);
      await next(client, "connect");
      return client;
    };
    const all = [await connect(), await connect(), await connect()];
    const [first, second, third] = all;

    await check(`${title}: acknowledgement from the server`, async () => {
      assert.deepEqual(await first.emitWithAck("echo", { text: "hé", list: [1, 2] }), { text: "hé", list: [1, 2] });
    });
    await check(`${title}: acknowledgement from the client`, async () => {
      first.once("question", (value, done) => done(value + 1));
      assert.deepEqual(await server.timeout(5000).to(first.id).emitWithAck("question", 41), [42]);
    });
    await check(`${title}: binary data`, async () => {
      for (const size of [0, 10, 70_000]) {
        const data = Buffer.alloc(size, 7);
        const { inner } = await first.emitWithAck("echo", { inner: data });
        assert.ok(data.equals(Buffer.from(inner)));
      }
    });
    await check(`${title}: broadcast to a room`, async () => {
      await Promise.all([first.emitWithAck("join", "room"), second.emitWithAck("join", "room")]);
      const received = Promise.all([next(first, "news"), next(second, "news")]);
      third.once("news", () => assert.fail("not in the room"));
      server.to("room").emit("news", { id: 1 });
      assert.deepEqual(await received, [{ id: 1 }, { id: 1 }]);
    });
    await check(`${title}: broadcast to all, with binary data`, async () => {
      const received = Promise.all(all.map((client) => next(client, "blob")));
      server.emit("blob", Buffer.from("bytes"));
      for (const data of await received) assert.equal(Buffer.from(data).toString(), "bytes");
    });
    await check(`${title}: 200 broadcasts keep their order`, async () => {
      const orders = all.map((client) => {
        const order = [];
        return new Promise((resolve) => client.on("count", (value) => order.push(value) === 200 && resolve(order)));
      });
      for (let value = 0; value < 200; value++) server.emit("count", value);
      const expected = Array.from({ length: 200 }, (_, value) => value);
      for (const order of await Promise.all(orders)) assert.deepEqual(order, expected);
    });
    await check(`${title}: connection state recovery`, async () => {
      const offset = next(first, "before");
      server.emit("before", 1);
      await offset;
      const gone = next(first, "disconnect");
      const missed = next(first, "missed");
      const back = next(first, "connect");
      first.io.engine.close();
      await gone;
      server.emit("missed", "while away");
      await back;
      assert.equal(first.recovered, true);
      assert.equal(await missed, "while away");
    });
    await check(`${title}: disconnect by the server`, async () => {
      const reason = next(second, "disconnect");
      server.in(second.id).disconnectSockets(true);
      assert.ok(["io server disconnect", "transport close"].includes(await reason));
    });
    for (const client of clients) client.close();
    after(() => server.close());
  }
});
