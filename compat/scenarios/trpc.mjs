// tRPC: its adapter for ws and its client with ws's WebSocket.
import assert from "node:assert/strict";
import { createTRPCClient, createWSClient, wsLink } from "@trpc/client";
import { initTRPC } from "@trpc/server";
import { applyWSSHandler } from "@trpc/server/adapters/ws";
import { WebSocket, WebSocketServer } from "ws";
import { next, scenario } from "./scenario.mjs";

await scenario([], async ({ check, after }) => {
  const t = initTRPC.create();
  let value = 0;
  const router = t.router({
    get: t.procedure.query(() => value),
    add: t.procedure.input((given) => given).mutation(({ input }) => (value += input)),
    count: t.procedure
      .input((given) => given)
      .subscription(async function* count({ input }) {
        for (let at = 0; at < input; at++) yield at;
      }),
  });
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  const handler = applyWSSHandler({
    wss: server,
    router,
    createContext: () => ({}),
    keepAlive: { enabled: true, pingMs: 20, pongWaitMs: 5000 },
  });
  after(() => server.close());
  await next(server, "listening");
  const socket = createWSClient({
    url: `ws://127.0.0.1:${server.address().port}`,
    WebSocket,
    retryDelayMs: () => 1,
  });
  after(() => socket.close());
  const client = createTRPCClient({ links: [wsLink({ client: socket })] });

  await check("query and mutation", async () => {
    assert.equal(await client.get.query(), 0);
    assert.equal(await client.add.mutate(5), 5);
    assert.equal(await client.get.query(), 5);
  });
  await check("100 calls at once", async () => {
    const results = await Promise.all(Array.from({ length: 100 }, () => client.add.mutate(1)));
    assert.deepEqual(
      results,
      Array.from({ length: 100 }, (_, at) => at + 6),
    );
  });
  await check("subscription", async () => {
    const values = [];
    await new Promise((onComplete, onError) =>
      client.count.subscribe(20, { onData: (at) => values.push(at), onComplete, onError }),
    );
    assert.deepEqual(
      values,
      Array.from({ length: 20 }, (_, at) => at),
    );
  });
  await check("keepAlive: a ping of the server is answered", async () => {
    const [peer] = server.clients;
    await new Promise((resolve) => peer.on("message", (data) => String(data) === "PONG" && resolve()));
  });
  await check("broadcastReconnectNotification opens a new connection", async () => {
    const again = next(server, "connection");
    handler.broadcastReconnectNotification();
    await again;
    assert.equal(await client.get.query(), 105);
  });
});
