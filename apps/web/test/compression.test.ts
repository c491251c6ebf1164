import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { type CompressionOptions, WebSocketServer } from "tungstate";
import { TestBrowser } from "./support/browser.ts";

const OPTIONS: readonly CompressionOptions[] = [
  {},
  { threshold: 0, windowBits: 9, level: 9 },
  { contextTakeover: true, threshold: 0 },
  { contextTakeover: true, windowBits: 15, memLevel: 1, asyncThreshold: 1024 },
];

const browser = TestBrowser.forTests();

test("permessage-deflate with Chromium returns any message unchanged", async (context) => {
  const http = createServer((_, response) => response.end("<!doctype html><title>empty</title>"));
  const servers = OPTIONS.map((compression, at) => new WebSocketServer({ compression, path: `/${at}` }).attach(http));
  for (const server of servers) {
    server.on("connection", (connection) => connection.on("message", (message) => void connection.write(message)));
  }
  context.after(async () => {
    await Promise.all(servers.map((server) => server.close(1001, "", 100)));
    http.close();
    http.closeAllConnections();
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  const page = await browser.tab(`http://127.0.0.1:${port}/`);
  const words = fc.array(fc.constantFrom("price", "ä€𝄞", '"symbol":', "0123456789", " "), { maxLength: 500 });
  const messages = fc.array(
    fc.oneof(
      words.map((all) => all.join("")),
      fc.string({ unit: "grapheme" }),
    ),
    {
      minLength: 1,
      maxLength: 10,
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: OPTIONS.length - 1 }), messages, fc.nat(100_000), async (at, texts, size) => {
      const sent = [...texts, "tungstate ".repeat(size / 10)];
      const [extensions, received] = await page.evaluate(
        ([url, all]) =>
          new Promise<[string, string[]]>((resolve, reject) => {
            const socket = new WebSocket(url);
            const got: string[] = [];
            socket.onopen = () => {
              for (const each of all) socket.send(each);
            };
            socket.onmessage = ({ data }) => {
              if (got.push(String(data)) < all.length) return;
              socket.close();
              resolve([socket.extensions, got]);
            };
            socket.onerror = () => reject(new Error("it failed"));
          }),
        [`ws://127.0.0.1:${port}/${at}`, sent] as const,
      );
      assert.match(extensions, /permessage-deflate/);
      assert.deepEqual(received, sent);
    }),
    { numRuns: 40, endOnFailure: true },
  );
});
