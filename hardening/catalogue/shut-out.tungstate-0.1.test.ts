// Tungstate 0.1: eight peers that did not read from /echo of tungstate serve filled three quarters
// of its memory budget, and each new connection got 503 while they stayed. History was evicted for
// them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, MemoryBudget, type WebSocketConnection, WebSocketError } from "tungstate";
import { sized } from "./support/cost.ts";
import { Peer, serve } from "./support/ends.ts";
import { request } from "./support/handshakes.ts";
import { Wire } from "./support/wire.ts";

const LIMIT = sized(4_000_000, 64_000_000); // bytes
const MESSAGE = LIMIT / 16;

describe("server: peers that do not read do not lock others out", () => {
  test("a new connection is admitted while they stay, and a cache keeps its reserve", async (t) => {
    const budget = new MemoryBudget(LIMIT);
    const history = budget.part("history", { cache: true, release: (bytes) => (history.add(-bytes), 0) });
    history.set(LIMIT / 32);
    const { server, port } = await serve(t, { memoryBudget: budget });
    server.on("connection", (connection) => {
      connection.on("message", (message) => {
        if (!connection.write(message)) connection.pause();
      });
    });
    const attack = async (): Promise<void> => {
      const wire = await Wire.to(t, port);
      wire.stream.on("error", () => undefined);
      await wire.send(request()).head();
      wire.stream.pause();
      const peer = new Peer(wire, true);
      // what the system takes for a peer that does not read comes on top
      for (let count = 0; count < 40 && !budget.underPressure; count++) {
        peer.send(peer.frame(2, new Uint8Array(MESSAGE)));
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    while (!budget.underPressure) await attack();
    let admitted: WebSocketConnection | undefined;
    while (admitted === undefined) {
      try {
        admitted = await connect(`ws://127.0.0.1:${port}/`, { proxy: false });
      } catch (error) {
        assert.ok(error instanceof WebSocketError);
      }
    }
    admitted.terminate();
    assert.equal(history.held, LIMIT / 32);
    assert.ok(budget.use.ended > 0);
  });
});
