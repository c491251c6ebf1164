import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import { accept } from "../../src/server/accept.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { withConnected } from "../support/connected.ts";
import { kinds } from "../support/pairs.ts";
import { upgradeRequest } from "../support/raw.ts";
import { turns } from "../support/server.ts";

const TOTAL = 16 * 1024 * 1024; // bytes
/** Bytes that may be written before timers and I/O run: the limit of a tick, and the buffer. */
const MOST_PER_TICK = 1.5 * 1024 * 1024; // bytes

/** Ways to write as fast as a connection accepts. Each call writes one chunk. */
const WAYS: Readonly<
  Record<string, (connection: WebSocketConnection, chunk: Uint8Array) => Promise<void> | undefined>
> = {
  "write and flush": (connection, chunk) => (connection.write(chunk) ? undefined : connection.flush()),
  send: (connection, chunk) => connection.send(chunk),
  sendStream: (connection, chunk) => connection.sendStream([chunk]),
};

/** Writes that much by `way`, and returns the most that was written without other work. */
async function mostPerTick(connection: WebSocketConnection, way: string, size: number, total: number): Promise<number> {
  const write = WAYS[way] ?? assert.fail();
  const chunk = new Uint8Array(size);
  let most = 0;
  let inTick = 0;
  let ticking = true;
  const tick = (): void => {
    inTick = 0;
    if (ticking) setImmediate(tick);
  };
  await turns(1); // a flush at the end of this tick would end one in between
  setImmediate(tick);
  for (let written = 0; written < total; written += size) {
    inTick += size;
    most = Math.max(most, inTick);
    if (most > total / 2) break; // it would not end
    const pending = write(connection, chunk);
    if (pending !== undefined) await pending;
  }
  ticking = false;
  return most;
}

for (const way of Object.keys(WAYS)) {
  describe(`a loop of ${way} does not starve timers and I/O`, () => {
    for (const kind of kinds) {
      test(`over ${kind.name}, to a reading peer of the same process`, async () => {
        await withConnected(kind, {}, async ({ client, server }) => {
          server.on("message", () => undefined);
          const most = await mostPerTick(client, way, 16 * 1024, TOTAL);
          assert.ok(most <= MOST_PER_TICK, `${most} bytes`);
        });
      });
    }

    test("to a process that reads as fast as possible", async (t) => {
      const net = createServer().listen(0, "127.0.0.1");
      await once(net, "listening");
      const { port } = net.address() as AddressInfo;
      const program = `const socket = require("node:net").connect(${port}, "127.0.0.1");
        socket.write(${JSON.stringify(upgradeRequest())});
        socket.on("data", () => undefined).on("error", () => process.exit());`;
      const reader = spawn(process.execPath, ["-e", program], { stdio: "inherit" });
      const [socket] = (await once(net, "connection")) as [Socket];
      const connection = await accept(socket, { maxFrameSize: 1024 });
      t.after(async () => {
        connection.terminate();
        reader.kill();
        net.close();
        await once(net, "close");
      });
      // small messages, so that the reader keeps up
      const most = await mostPerTick(connection, way, 200, TOTAL);
      assert.ok(most <= MOST_PER_TICK, `${most} bytes`);
    });
  });
}

test("a message of any size is sent completely, and sendStream sends a large source completely", async () => {
  for (const kind of kinds) {
    await withConnected(kind, {}, async ({ client, server }) => {
      const sizes: number[] = [];
      server.on("message", ({ size }) => sizes.push(size));
      await client.send(new Uint8Array(5_000_000));
      await client.sendStream(Array.from({ length: 100 }, () => new Uint8Array(50_000)));
      assert.equal((await client.close()).clean, true);
      assert.deepEqual(sizes, [5_000_000, 5_000_000], kind.name);
    });
  }
});
