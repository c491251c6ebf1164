// graphql-ws: its server for ws and its client with ws's WebSocket.
import assert from "node:assert/strict";
import { buildSchema } from "graphql";
import { createClient } from "graphql-ws";
import { useServer } from "graphql-ws/use/ws";
import WebSocket, { WebSocketServer } from "ws";
import { next, scenario } from "./scenario.mjs";

const schema = buildSchema(`
  type Query { hello(name: String!): String }
  type Subscription { count(to: Int!): Int }
`);
const roots = {
  query: { hello: ({ name }) => `hello ${name}` },
  subscription: {
    async *count({ to }) {
      for (let value = 1; value <= to; value++) yield { count: value };
    },
  },
};

await scenario(["graphql-ws"], async ({ check, after }) => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", path: "/graphql" });
  const used = useServer(
    { schema, roots, onConnect: ({ connectionParams }) => connectionParams?.token !== "bad" },
    server,
  );
  after(() => used.dispose());
  await next(server, "listening");
  const url = `ws://127.0.0.1:${server.address().port}/graphql`;
  const client = createClient({ url, webSocketImpl: WebSocket, retryAttempts: 0 });
  after(() => client.dispose());

  const all = async (query, from = client) => {
    const results = [];
    for await (const result of from.iterate({ query })) results.push(result.data);
    return results;
  };
  await check("query", async () => {
    assert.deepEqual(JSON.parse(JSON.stringify(await all('{ hello(name: "x") }'))), [{ hello: "hello x" }]);
  });
  await check("subscription", async () => {
    const counts = (await all("subscription { count(to: 50) }")).map(({ count }) => count);
    assert.deepEqual(
      counts,
      Array.from({ length: 50 }, (_, at) => at + 1),
    );
  });
  await check("20 subscriptions on one connection", async () => {
    const results = await Promise.all(Array.from({ length: 20 }, () => all("subscription { count(to: 10) }")));
    for (const result of results) assert.equal(result.length, 10);
    assert.equal(server.clients.size, 1);
  });
  await check("a refused connection is closed with 4403", async () => {
    const refused = createClient({
      url,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      connectionParams: { token: "bad" },
      onNonLazyError: () => {},
    });
    const error = await all('{ hello(name: "x") }', refused).then(
      () => undefined,
      (reason) => reason,
    );
    assert.equal(error?.code, 4403);
    assert.equal(error?.reason, "Forbidden");
  });
  await check("another subprotocol is not selected", async () => {
    const error = await next(new WebSocket(url, "graphql-ws"), "error");
    assert.equal(error.message, "Server sent no subprotocol");
  });
});
