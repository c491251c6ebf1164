import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CloseInfo, WebSocketConnection } from "../../src/connection/types.ts";
import { withConnected } from "../support/connected.ts";
import { kinds } from "../support/pairs.ts";

/** Compresses to more than `asyncThreshold`. */
const LARGE = Array.from({ length: 10_000 }, (_, number) => (number * number) % 10_007).join();

/**
 * Messages of which the first is inflated asynchronously while all others and the peer's Close have
 * arrived.
 */
const MESSAGES: Readonly<Record<string, readonly string[]>> = {
  "a small message": [LARGE, "small"],
  "an empty message": [LARGE, ""],
  "small messages": [LARGE, ...Array.from({ length: 200 }, (_, number) => `small ${number}`)],
  "compressed and small messages": [LARGE, "small", `${LARGE}2`, "compressed on the loop ".repeat(10), "last"],
};

/** Reads the remaining messages of an ended connection. */
async function all(connection: WebSocketConnection): Promise<string[]> {
  const texts: string[] = [];
  for await (const message of connection) texts.push(message.text);
  return texts;
}

const READERS: Readonly<Record<string, (connection: WebSocketConnection) => Promise<string[]>>> = {
  "an iteration": all,
  "a listener": async (connection) => {
    const texts: string[] = [];
    connection.on("message", (message) => texts.push(message.text));
    await connection.closed;
    return texts;
  },
};

/** The receive queue is full after the first message, and nothing is read ahead. */
const FULL = { receiveQueueSize: 1024, readAheadSize: 0 };

for (const kind of kinds) {
  for (const role of ["client", "server"] as const) {
    describe(`a ${role} over ${kind.name}`, () => {
      for (const [what, messages] of Object.entries(MESSAGES)) {
        for (const [reader, read] of Object.entries(READERS)) {
          test(`delivers ${what} between a compressed one and the peer's Close to ${reader}`, async () => {
            const compression = { threshold: 100, asyncThreshold: 1024 };
            const options = { heartbeat: false, compression } as const;
            const ends = { client: options, server: options, [role]: { ...options, ...FULL } };
            await withConnected(kind, ends, async ({ client, server }) => {
              const [near, far] = role === "client" ? [client, server] : [server, client];
              const closed: CloseInfo[] = [];
              near.on("close", (info) => closed.push(info));
              for (const text of messages) far.write(text);
              void far.close(4000, "enough");
              assert.deepEqual(await read(near), messages);
              await near.closed;
              assert.deepEqual(closed, [{ code: 4000, reason: "enough", clean: true, error: undefined }]);
            });
          });
        }
      }
    });
  }
}
