import express, { type Express, Router } from "express";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test, type TestContext } from "node:test";
import { connect } from "../../src/client/connect.ts";
import { acceptUpgrades, websocket } from "../../src/frameworks/express.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { take } from "../support/connected.ts";
import { end } from "../support/server.ts";
import { echo, portOf } from "./support/apps.ts";

interface Served {
  get(path: string): Promise<[status: number, body: string]>;
  echoes(path: string): Promise<void>;
}

async function serve(t: TestContext, make: (app: Express, server: WebSocketServer) => void): Promise<Served> {
  const app = express();
  const server = new WebSocketServer();
  make(app, server);
  const http = createServer(app);
  acceptUpgrades(http);
  await once(http.listen(0, "127.0.0.1"), "listening");
  const authority = `127.0.0.1:${portOf(http)}`;
  t.after(async () => {
    await end(server);
    http.close();
    http.closeAllConnections();
  });
  return {
    async get(path) {
      const response = await fetch(`http://${authority}${path}`);
      return [response.status, await response.text()];
    },
    async echoes(path) {
      const connection = await connect(`ws://${authority}${path}`, { proxy: false });
      await connection.send("one");
      assert.deepEqual(await take(connection, 1), ["one"]);
      await connection.close();
    },
  };
}

test("without an upgrade the next handler answers, in the same route or a later one", async (t) => {
  const { get, echoes } = await serve(t, (app, server) => {
    app.get("/same", websocket(server, echo), (_request, response) => void response.send("same"));
    app.get("/later", websocket(server, echo));
    app.get("/{*any}", (request, response) => void response.send(`any of ${request.path}`));
  });
  for (let twice = 0; twice < 2; twice++) {
    assert.deepEqual(await get("/same"), [200, "same"]);
    assert.deepEqual(await get("/later"), [200, "any of /later"]);
    await echoes("/same");
    await echoes("/later");
  }
});

test("without another handler the status is 426; other paths get Express's own 404", async (t) => {
  const { get } = await serve(t, (app, server) => {
    const router = Router();
    router.get("/chat", websocket(server, echo));
    app.use("/api", router);
    app.get("/chat", websocket(server, echo));
  });
  for (let twice = 0; twice < 2; twice++) {
    assert.equal((await get("/chat"))[0], 426);
    assert.equal((await get("/api/chat"))[0], 426);
    assert.equal((await get("/nothing"))[0], 404);
  }
});

test("an application's own 404 is kept", async (t) => {
  const { get } = await serve(t, (app, server) => {
    app.get("/chat", websocket(server, echo));
    app.use((_request, response) => void response.status(404).send("not here"));
  });
  assert.deepEqual(await get("/chat"), [404, "not here"]);
});

test("a mounted application passes requests on to its parent", async (t) => {
  const { get, echoes } = await serve(t, (app, server) => {
    const part = express();
    part.get("/chat", websocket(server, echo));
    part.get("/alone", websocket(server, echo));
    app.use("/part", part);
    app.get("/part/chat", (_request, response) => void response.send("of the whole"));
  });
  for (let twice = 0; twice < 2; twice++) {
    assert.deepEqual(await get("/part/chat"), [200, "of the whole"]);
    assert.equal((await get("/part/alone"))[0], 426);
    await echoes("/part/chat");
  }
});

test("writes of middleware to the response after the 101 are dropped", async (t) => {
  const served = await serve(t, (app, server) => {
    app.use((_request, response, next) => {
      next();
      response.write("more");
      response.end("late");
    });
    app.get("/chat", websocket(server, echo));
  });
  await served.echoes("/chat");
});
