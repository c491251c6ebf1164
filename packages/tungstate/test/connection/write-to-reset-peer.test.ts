// A write to a peer that has reset its connection may be the only one that reports it: the system
// reports the error once, and reading then finds an ordinary end.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { frame, PING, upgradeRequest } from "../support/raw.ts";
import { routes } from "../support/routes.ts";
import { turns } from "../support/server.ts";

const UNREAD = 512 * 1024; // bytes; more than the peer's socket reads while it is paused

const WRITES: Readonly<Record<string, readonly number[]>> = {
  "one write": [1024],
  "many writes": Array<number>(40).fill(64 * 1024),
  "a write of many parts": [4 * 1024 * 1024],
};

describe("a connection whose peer resets it ends without a time limit", () => {
  for (const { name, start } of routes) {
    for (const [what, sizes] of Object.entries(WRITES)) {
      test(`by ${name}, in the tick of ${what}`, async (t) => {
        const clock = new VirtualClock(); // stands still
        const served = await start(t, { clock, writeBufferSize: 512 });
        const peer = await served.raw(t);
        peer.send(upgradeRequest("/", { Host: "127.0.0.1" }), frame(PING));
        await peer.frames(1);
        await served.until(() => served.accepted.length === 1);
        const [connection] = served.accepted;
        assert.ok(connection);
        // bytes that the peer's socket has not read make closing its socket a reset
        peer.stream.pause();
        connection.on("message", () => undefined);
        connection.write(Buffer.alloc(UNREAD));
        await turns(5);
        const closed = new Promise((resolve) => connection.on("close", resolve));
        peer.stream.destroy();
        for (const size of sizes) connection.write(Buffer.alloc(size));
        await closed;
        assert.equal(connection.bufferedAmount, 0);
      });
    }
  }
});
