// Hono is published as an ES module and as CommonJS, which do not share their private symbols.
import assert from "node:assert/strict";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { once } from "node:events";
import type { Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { connect } from "../../src/client/connect.ts";
import { acceptUpgrades, websocket } from "../../src/frameworks/hono.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { take } from "../support/connected.ts";

const commonJs = createRequire(import.meta.url)("hono") as { readonly Hono: typeof Hono };

/** An application with a route for pages and WebSockets, and one for WebSockets only. */
async function start(t: TestContext, Application: typeof Hono): Promise<number> {
  const server = new WebSocketServer();
  const app = new Application();
  app.get(
    "/both",
    websocket(server, (connection) => connection.write("hello")),
    (context) => context.text("page"),
  );
  app.get(
    "/only",
    websocket(server, (connection) => connection.write("hello")),
  );
  const http = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }) as Server;
  await once(http, "listening");
  acceptUpgrades(http);
  t.after(async () => {
    await server.close();
    http.close();
    http.closeAllConnections();
    await once(http, "close");
  });
  return (http.address() as AddressInfo).port;
}

for (const [name, Application] of [
  ["its ES module", Hono],
  ["its CommonJS build", commonJs.Hono],
] as const) {
  describe(`an application of ${name} of Hono`, () => {
    test("serves pages and WebSocket connections on one path", async (t) => {
      const port = await start(t, Application);
      const page = await fetch(`http://127.0.0.1:${port}/both`);
      assert.deepEqual([page.status, await page.text()], [200, "page"]);
      const only = await fetch(`http://127.0.0.1:${port}/only`);
      await only.body?.cancel();
      assert.equal(only.status, 426);
      for (const path of ["/both", "/only"]) {
        const connection = await connect(`ws://127.0.0.1:${port}${path}`, { proxy: false });
        assert.deepEqual(await take(connection, 1), ["hello"]);
        await connection.close();
      }
    });
  });
}
