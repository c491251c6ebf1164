import fastify from "fastify";
import fastifyPlugin from "fastify-plugin";
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../../src/connect.ts";
import { websocket } from "../../src/frameworks/fastify.ts";
import { take } from "../support/connected.ts";
import { Raw } from "../support/raw.ts";
import { portOf } from "./support/apps.ts";

test("the plugin is what fastify-plugin would make of it", () => {
  const made = fastifyPlugin(() => undefined, { name: "tungstate", fastify: ">=5" });
  const symbols = Object.getOwnPropertySymbols(made);
  assert.equal(symbols.length, 3);
  for (const symbol of symbols) assert.deepEqual(Reflect.get(websocket, symbol), Reflect.get(made, symbol));
});

test("options that make no sense fail the registration", async () => {
  const app = fastify();
  await assert.rejects(async () => app.register(websocket, { maxMessageSize: -1 }), { code: "INVALID_ARGUMENT" });
  await app.close();
});

test("WebSocket routes are for GET only", async () => {
  const app = fastify();
  await app.register(websocket);
  assert.throws(() => app.post("/chat", { websocket: true }, () => undefined), /is for GET, got POST for \/chat/);
  await app.close();
});

test("an ordinary route answers an upgrade request as any other", async () => {
  const app = fastify();
  await app.register(websocket);
  app.get("/plain", () => "plain");
  await app.listen({ port: 0, host: "127.0.0.1" });
  await assert.rejects(connect(`ws://127.0.0.1:${portOf(app.server)}/plain`), { code: "UNEXPECTED_STATUS" });
  await app.close();
});

test("an upgrade request with a body does not reach the application, which could not read it", async (t) => {
  const app = fastify();
  await app.register(websocket);
  let asked = 0;
  app.post("/orders", () => String(++asked));
  await app.listen({ port: 0, host: "127.0.0.1" });
  const head =
    "POST /orders HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Type: text/plain\r\n";
  for (const rest of ["Content-Length: 4\r\n\r\nfour", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]) {
    const answer = await Raw.to(t, { port: portOf(app.server) })
      .send(head, rest)
      .answer();
    assert.deepEqual([answer.status, answer.rest.toString()], [400, "a request for an upgrade has no body\n"]);
  }
  const answer = await Raw.to(t, { port: portOf(app.server) })
    .send(head, "\r\n")
    .answer();
  assert.deepEqual([answer.status, answer.rest.toString()], [200, "1"]);
  await app.close();
});

test("routes with parameters, validated; `route, with parameters, validated", async () => {
  const app = fastify();
  await app.register(websocket, { protocols: ["chat"] });
  app.get<{ Params: { room: string } }>(
    "/rooms/:room",
    { websocket: true, schema: { params: { type: "object", properties: { room: { type: "string", maxLength: 5 } } } } },
    (connection, request) => void connection.write(`${request.params.room} ${connection.protocol}`),
  );
  await app.listen({ port: 0, host: "127.0.0.1" });
  const connection = await connect(`ws://127.0.0.1:${portOf(app.server)}/rooms/lobby`, { protocols: ["chat"] });
  assert.deepEqual(await take(connection, 1), ["lobby chat"]);
  await assert.rejects(connect(`ws://127.0.0.1:${portOf(app.server)}/rooms/too-long`), /got 400/);
  await app.close();
});
