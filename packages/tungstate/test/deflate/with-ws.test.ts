import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import type { WindowBits } from "@tungstate/protocol";
import fc from "fast-check";
import WebSocketOfWs, { type PerMessageDeflateOptions, WebSocketServer as WsServer } from "ws";
import { connect } from "../../src/connect.ts";
import type { CompressionOptions } from "../../src/deflate/settings.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { take } from "../support/connected.ts";

// Any messages, with any parameters that both ends agree to, between a connection of ours and one of the npm package ws.

const bits = fc.integer({ min: 9, max: 15 }); // zlib has no window of 8 bits
const ours: fc.Arbitrary<CompressionOptions> = fc.record({
  contextTakeover: fc.boolean(),
  windowBits: bits as fc.Arbitrary<WindowBits>,
  memoryLevel: fc.integer({ min: 1, max: 9 }),
  level: fc.integer({ min: 1, max: 9 }),
  threshold: fc.constantFrom(0, 32, 1000),
  asyncSize: fc.constantFrom(1024, 65_536),
});
// What ws is told not to do, and what it is told to do otherwise than it is asked, it refuses: that is for the tests of negotiation.
const wish = fc.option(fc.constant(true), { nil: undefined });
const theirs: fc.Arbitrary<PerMessageDeflateOptions> = fc.record({
  serverNoContextTakeover: wish,
  clientNoContextTakeover: wish,
  threshold: fc.constantFrom(0, 1000),
});
const theirWindows = fc.record({ serverMaxWindowBits: fc.option(bits, { nil: undefined }) });
const word = fc.constantFrom("price", "ä€𝄞", '"symbol":', "0123456789", "\n", " ");
const message: fc.Arbitrary<string | Buffer> = fc.oneof(
  fc.array(word, { maxLength: 600 }).map((words) => words.join("")),
  fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 0, max: 300_000 }).map((size) => Buffer.alloc(size, "tungstate")),
);
const messages = fc.array(message, { minLength: 1, maxLength: 12 });

const RUNS = { numRuns: 25, endOnFailure: true };

function shown(data: string | Uint8Array): string {
  return typeof data === "string" ? data : `bytes ${Buffer.from(data).toString("base64")}`;
}

describe("permessage-deflate with ws at the other end", () => {
  test("as a server of ours", async () => {
    await fc.assert(
      fc.asyncProperty(ours, theirs, theirWindows, messages, async (compression, their, windows, sent) => {
        const perMessageDeflate = { ...their, ...windows };
        const server = new WebSocketServer({ compression });
        server.on("connection", (connection) => connection.on("message", (each) => void connection.write(each)));
        const { port } = (await server.listen()) as AddressInfo;
        const client = new WebSocketOfWs(`ws://127.0.0.1:${port}/`, { perMessageDeflate });
        const received: string[] = [];
        const all = new Promise<void>((resolve, reject) => {
          client.on("error", reject);
          client.on("message", (data: Buffer, isBinary) => {
            if (received.push(isBinary ? shown(data) : data.toString()) === sent.length) resolve();
          });
        });
        await once(client, "open");
        assert.match(client.extensions, /permessage-deflate/);
        for (const each of sent) client.send(each);
        await all;
        client.terminate();
        await server.close(1001, "", 10);
        assert.deepEqual(received, sent.map(shown));
      }),
      RUNS,
    );
  });

  test("as a client of ours", async () => {
    await fc.assert(
      fc.asyncProperty(ours, theirs, messages, async (compression, perMessageDeflate, sent) => {
        const server = new WsServer({ port: 0, host: "127.0.0.1", perMessageDeflate });
        server.on("connection", (socket) => {
          socket.on("message", (data: Buffer, isBinary) => socket.send(data, { binary: isBinary }));
        });
        await once(server, "listening");
        const connection = await connect(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, { compression });
        assert.match(connection.extensions, /permessage-deflate/);
        const echoed = take(connection, sent.length);
        for (const each of sent) await connection.send(each);
        assert.deepEqual((await echoed).map(shown), sent.map(shown));
        connection.terminate();
        for (const socket of server.clients) socket.terminate();
        server.close();
      }),
      RUNS,
    );
  });
});
