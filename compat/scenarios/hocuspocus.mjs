// Hocuspocus (Yjs): two providers edit one document.
import assert from "node:assert/strict";
import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider";
import { Server } from "@hocuspocus/server";
import { WebsocketProvider } from "y-websocket";
import WebSocket from "ws";
import * as Y from "yjs";
import { scenario } from "./scenario.mjs";

await scenario(["@hocuspocus/server"], async ({ check, after }) => {
  const server = new Server({ port: 0, address: "127.0.0.1", quiet: true, stopOnSignals: false });
  await server.listen();
  after(() => server.destroy());
  const url = `ws://127.0.0.1:${server.address.port}`;

  const open = async () => {
    const document = new Y.Doc();
    const websocketProvider = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket });
    const provider = new HocuspocusProvider({ websocketProvider, name: "doc", document });
    provider.attach();
    await new Promise((resolve) => provider.on("synced", resolve));
    after(() => {
      provider.destroy();
      websocketProvider.destroy();
    });
    return { document, provider };
  };
  const updated = (document, done) =>
    new Promise((resolve) => {
      const check = () => done() && resolve();
      document.on("update", check);
      check();
    });

  const first = await open();
  const second = await open();
  await check("an edit reaches the other provider", async () => {
    first.document.getText("t").insert(0, "hello");
    await updated(second.document, () => second.document.getText("t").toString() === "hello");
  });
  await check("200 edits of both converge", async () => {
    for (let at = 0; at < 100; at++) {
      first.document.getArray("a").push([at]);
      second.document.getArray("a").push([at]);
    }
    for (const { document } of [first, second]) await updated(document, () => document.getArray("a").length === 200);
    assert.deepEqual(first.document.getArray("a").toJSON(), second.document.getArray("a").toJSON());
  });
  await check("awareness reaches the other provider", async () => {
    const change = new Promise((resolve) => {
      second.provider.on("awarenessUpdate", ({ states }) => {
        if (states.some(({ user }) => user === "first")) resolve();
      });
    });
    first.provider.setAwarenessField("user", "first");
    await change;
  });
  await check("y-websocket's provider opens a connection with ws", async () => {
    const document = new Y.Doc();
    const provider = new WebsocketProvider(url, "other", document, { WebSocketPolyfill: WebSocket, disableBc: true });
    await new Promise((resolve) => provider.on("status", ({ status }) => status === "connected" && resolve()));
    provider.destroy();
  });
});
