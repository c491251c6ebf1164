import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { client } from "../../src/client/client.ts";
import { accept } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { frame, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { turns } from "../support/server.ts";

// For any input of a peer: a reply, then the end; no exception, no unhandled rejection (the test
// runner fails a file for that), no open stream.

const bytes = fc.uint8Array({ maxLength: 300 });

/** Returns valid data with a few bytes changed, removed or inserted. */
function spoiled(right: Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: fc.nat(right.length), without: fc.nat(3), put: fc.uint8Array({ maxLength: 3 }) });
  return fc
    .array(change, { minLength: 1, maxLength: 3 })
    .map((changes) =>
      changes.reduce<Uint8Array>(
        (all, { at, without, put }) => Buffer.concat([all.subarray(0, at), put, all.subarray(at + without)]),
        right,
      ),
    );
}

const frames = Buffer.concat([
  frame(TEXT, "first ", { fin: false }),
  frame(9, "ping"),
  frame(0, "ä€𝄞"),
  frame(2, Buffer.alloc(200)),
  frame(10, ""),
  frame(8, Buffer.from([3, 232, 0x6f, 0x6b])),
]);

/** Sends in two chunks, reads everything, and ends. */
async function say(raw: Raw, said: Uint8Array, cut: number): Promise<void> {
  raw.send(said.subarray(0, cut % (said.length + 1)));
  await turns(1);
  raw.send(said.subarray(cut % (said.length + 1)));
  await turns(2);
  raw.stream.end();
  await raw.until(() => false);
}

describe("random bytes", () => {
  test("as a request", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(bytes, spoiled(Buffer.from(upgradeRequest("/chat?x")))),
        fc.nat(),
        async (said, cut) => {
          const clock = new VirtualClock();
          const [near, far] = memoryPipe();
          const raw = new Raw(near);
          const accepted = accept(far, { clock }).then(
            (connection) => connection.closed,
            (error: Error) => error,
          );
          await say(raw, said, cut);
          await accepted;
          await clock.advance(10_000);
          await turns(2);
          assert.equal(far.destroyed, true);
          assert.match(raw.received.toString("latin1"), /^$|^HTTP\/1\.1 (101|4\d\d|505) /);
          assert.equal(clock.pending, 0);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("as a response", async () => {
    const right = Buffer.from("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nConnection: close\r\n\r\nno!\n");
    await fc.assert(
      fc.asyncProperty(fc.oneof(bytes, spoiled(right)), fc.nat(), async (said, cut) => {
        const clock = new VirtualClock();
        const [near, far] = memoryPipe();
        const connecting = client("ws://localhost/", near, { clock });
        const rejected = assert.rejects(connecting, (error: { code?: unknown }) => typeof error.code === "string");
        const raw = new Raw(far);
        await say(raw, said, cut);
        await rejected;
        await turns(2);
        assert.equal(near.destroyed, true);
        assert.equal(clock.pending, 0);
      }),
      { numRuns: 60 },
    );
  });

  for (const compression of [false, true]) {
    test(`as frames, ${compression ? "with" : "without"} compression`, async () => {
      const request = upgradeRequest(
        "/",
        compression ? { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" } : {},
      );
      await fc.assert(
        fc.asyncProperty(fc.oneof(bytes, spoiled(frames)), fc.nat(), fc.boolean(), async (said, cut, reads) => {
          const clock = new VirtualClock();
          const [near, far] = memoryPipe();
          const raw = new Raw(near);
          const accepting = accept(far, { clock, compression });
          raw.send(request);
          const connection: WebSocketConnection = await accepting;
          if (reads) connection.on("message", (message) => void connection.write(message));
          await say(raw, said, cut);
          const info = await connection.closed;
          assert.equal(info.clean, info.error === undefined);
          assert.equal(far.destroyed, true);
          assert.equal(clock.pending, 0);
        }),
        { numRuns: 80 },
      );
    });
  }
});
