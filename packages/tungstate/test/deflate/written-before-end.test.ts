// Messages that are being compressed when the connection has to end.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test, type TestContext } from "node:test";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { withConnected } from "../support/connected.ts";
import { kinds } from "../support/pairs.ts";
import { CLOSE, closePayload, frame, type Raw, upgradeRequest } from "../support/raw.ts";
import { type Route, routes } from "../support/routes.ts";

const SIZE = 100_000; // bytes
const COUNT = 20;
const OPTIONS = { compression: { threshold: 100, asyncThreshold: 1024 }, heartbeat: false } as const;
/** It does not become smaller: each message is sent in at least SIZE bytes. */
const MESSAGE = randomBytes(SIZE);

function writeAll(connection: WebSocketConnection): void {
  for (let number = 0; number < COUNT; number++) connection.write(MESSAGE);
}

/** Ways in which the connection of a server has to end after its handler has written. */
const ENDS: Readonly<Record<string, { readonly handler?: () => unknown; readonly peer?: (raw: Raw) => unknown }>> = {
  "the peer closes": { peer: (raw) => raw.send(frame(CLOSE, closePayload(1000))) },
  "the peer ends its sending direction": { peer: (raw) => raw.stream.end() },
  "the handler throws": {
    handler: () => {
      throw new Error("as expected");
    },
  },
  "the handler rejects": { handler: () => Promise.reject(new Error("as expected")) },
};

async function received(t: TestContext, route: Route, { handler, peer }: (typeof ENDS)[string]): Promise<number> {
  const server = await route.start(t, OPTIONS, (connection) => {
    connection.on("error", () => undefined);
    writeAll(connection);
    return handler?.();
  });
  const raw = await server.raw(t);
  raw.send(upgradeRequest("/", { "Sec-WebSocket-Extensions": "permessage-deflate" }));
  await raw.until((got) => got.includes("\r\n\r\n"));
  peer?.(raw);
  await raw.until(() => false);
  return raw.received.length;
}

for (const route of routes) {
  describe(`a server by ${route.name}`, () => {
    for (const [name, end] of Object.entries(ENDS)) {
      if (route.name === "accept" && end.handler !== undefined) continue; // it has no handler
      test(`sends what is being compressed when ${name}`, async (t) => {
        const size = await received(t, route, end);
        assert.ok(size >= COUNT * SIZE, `${size} bytes`);
      });
    }
  });
}

for (const kind of kinds) {
  for (const role of ["client", "server"] as const) {
    describe(`a ${role} over ${kind.name}`, () => {
      for (const way of ["the peer closes", "a listener throws"] as const) {
        test(`sends what is being compressed when ${way}, and its Close after it`, async () => {
          await withConnected(kind, { client: OPTIONS, server: OPTIONS }, async ({ client, server }) => {
            const [near, far] = role === "client" ? [client, server] : [server, client];
            near.on("error", () => undefined);
            near.on("message", () => {
              writeAll(near);
              if (way === "a listener throws") throw new Error("as expected");
              void far.close(4000);
            });
            let messages = 0;
            far.on("message", () => messages++);
            far.write("now");
            const info = await far.closed;
            assert.equal(messages, COUNT);
            assert.equal(info.code, way === "a listener throws" ? 1011 : 4000);
          });
        });
      }
    });
  }
}
