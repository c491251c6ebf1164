import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { selfSigned } from "../support/pairs.ts";
import { frame, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { turns } from "../support/server.ts";
import { answered, HTTP_ROUTES, STREAMED, waiting } from "./support/http-routes.ts";

const { cert } = selfSigned();

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

for (const route of HTTP_ROUTES) {
  describe(`${route.name}: an upgrade pipelined behind other requests`, () => {
    test("is answered behind their responses", async (t) => {
      const raw = Raw.to(t, { port: await route.start(t, true) }, route.tls === true ? cert : undefined);
      raw.send(get("/wait"), get("/b"), upgradeRequest("/a"), frame(TEXT, "early"));
      while (waiting.length === 0) await turns(1);
      await turns(10);
      assert.equal(raw.received.length, 0);
      waiting.shift()?.();
      await raw.until((got) => /sec-websocket-accept|"\/a"/i.test(got.toString("latin1")));
      const all = raw.received.toString("latin1");
      assert.match(all, answered("/wait"));
      const statuses = [...all.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
      // where a framework's route decides, this one answers it as any other request
      assert.deepEqual(statuses, ["200", "200", route.framework === true ? "200" : "101"]);
      assert.ok(all.indexOf('"/wait"') < all.indexOf('"/b"'));
    });

    test("hurts nobody if the client goes meanwhile", async (t) => {
      const port = await route.start(t, true);
      const raw = Raw.to(t, { port }, route.tls === true ? cert : undefined);
      raw.send(get("/wait"), upgradeRequest("/a"));
      while (waiting.length === 0) await turns(1);
      raw.stream.destroy();
      await raw.gone();
      await turns(10);
      waiting.shift()?.();
      const other = Raw.to(t, { port }, route.tls === true ? cert : undefined);
      other.send(get("/b"));
      await other.until((got) => answered("/b").test(got.toString("latin1")));
    });

    if (/Fastify|Hono/.test(route.name)) return;
    test("waits for a response that is written in several parts", async (t) => {
      const raw = Raw.to(t, { port: await route.start(t, true) }, route.tls === true ? cert : undefined);
      raw.send(get("/stream"), upgradeRequest("/a"));
      const size = STREAMED.reduce((sum, { length }) => sum + length, 0);
      const got = await raw.until((all) => /sec-websocket-accept|"\/a"/i.test(all.toString("latin1", size)));
      assert.equal(got.indexOf("HTTP/1.1", 1) > size, true);
      assert.ok(got.includes(Buffer.alloc(50_000, STREAMED.length)));
    });
  });
}
