import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import type { WindowBits } from "@tungstate/protocol";
import fc from "fast-check";
import WebSocketOfWs, { type PerMessageDeflateOptions, WebSocketServer as WsServer } from "ws";
import { connect } from "../../src/client/connect.ts";
import type { CompressionOptions } from "../../src/deflate/settings.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { take } from "../support/connected.ts";

// Any messages with any negotiated parameters, between one of our connections and one of the npm
// package ws.

const bits = fc.integer({ min: 9, max: 15 }); // zlib has no window of 8 bits
const ours: fc.Arbitrary<CompressionOptions> = fc.record({
  contextTakeover: fc.boolean(),
  windowBits: bits as fc.Arbitrary<WindowBits>,
  memLevel: fc.integer({ min: 1, max: 9 }),
  level: fc.integer({ min: 1, max: 9 }),
  threshold: fc.constantFrom(0, 32, 1000),
  asyncThreshold: fc.constantFrom(1024, 65_536),
});
// Our server may request less than a client of ws is configured for, which it then rejects.
const preference = fc.option(fc.constant(true), { nil: undefined });
const theirs: fc.Arbitrary<PerMessageDeflateOptions> = fc.record({
  serverNoContextTakeover: preference,
  clientNoContextTakeover: preference,
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

// A server of ws accepts one of the offers for any configuration. (false: it rejects offers that
// request it.)
const flags = [undefined, true, false];
const limits = [undefined, false, 9, 15];
const anyServer = fc.record({
  serverNoContextTakeover: fc.constantFrom(...flags),
  clientNoContextTakeover: fc.constantFrom(...flags),
  serverMaxWindowBits: fc.oneof(bits, fc.constantFrom(undefined, false)),
  clientMaxWindowBits: fc.oneof(bits, fc.constantFrom(undefined, false)),
  threshold: fc.constantFrom(0, 1000),
});

/** An echo server of ws. */
async function echoServer(perMessageDeflate: object): Promise<{ url: string; close: () => void }> {
  // its types do not permit `false` for a number of bits
  const server = new WsServer({ port: 0, host: "127.0.0.1", perMessageDeflate });
  server.on("connection", (socket) => {
    socket.on("message", (data: Buffer, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await once(server, "listening");
  const close = (): void => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  };
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, close };
}

/** Sends messages through a compressed connection, and expects them back. */
async function echoes(url: string, compression: CompressionOptions, sent: readonly (string | Buffer)[]): Promise<void> {
  const connection = await connect(url, { compression });
  assert.match(connection.extensions, /permessage-deflate/);
  const echoed = take(connection, sent.length);
  for (const each of sent) await connection.send(each);
  assert.deepEqual((await echoed).map(shown), sent.map(shown));
  connection.terminate();
}

function shown(data: string | Uint8Array): string {
  return typeof data === "string" ? data : `bytes ${Buffer.from(data).toString("base64")}`;
}

describe("permessage-deflate with ws at the other end", () => {
  test("as our server", async () => {
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

  test("as our client", async () => {
    await fc.assert(
      fc.asyncProperty(ours, anyServer, messages, async (compression, perMessageDeflate, sent) => {
        const { url, close } = await echoServer(perMessageDeflate);
        try {
          await echoes(url, compression, sent);
        } finally {
          close();
        }
      }),
      RUNS,
    );
  });

  test("as our client, with every kind of setting of the server", async () => {
    // each message resembles the previous one, so that a missing or small window is detected
    const text = "a message that is like the next one, but for its number: ".repeat(20);
    const sent = [1, 2, 3].map((number) => `${text}${number}`);
    const clients: readonly CompressionOptions[] = [
      { threshold: 0 },
      { threshold: 0, windowBits: 9 },
      { threshold: 0, contextTakeover: true },
      { threshold: 0, contextTakeover: true, windowBits: 15 },
    ];
    for (const serverNoContextTakeover of flags) {
      for (const clientNoContextTakeover of flags) {
        for (const serverMaxWindowBits of limits) {
          for (const clientMaxWindowBits of limits) {
            const settings = {
              serverNoContextTakeover,
              clientNoContextTakeover,
              serverMaxWindowBits,
              clientMaxWindowBits,
              threshold: 0,
            };
            const { url, close } = await echoServer(settings);
            try {
              await Promise.all(clients.map((compression) => echoes(url, compression, sent)));
            } catch (error) {
              throw new Error(`with ${JSON.stringify(settings)}`, { cause: error });
            } finally {
              close();
            }
          }
        }
      }
    }
  });

  test("without fallback offers, a server of ws that accepts no other offer rejects the handshake", async () => {
    const { url, close } = await echoServer({ serverNoContextTakeover: false });
    try {
      await assert.rejects(connect(url, { compression: { fallbackOffers: false } }), { code: "UNEXPECTED_STATUS" });
      await echoes(url, {}, ["hello"]);
    } finally {
      close();
    }
  });
});
