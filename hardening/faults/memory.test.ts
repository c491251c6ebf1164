// Many peers within their own limits that together exceed the memory budget.

import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import { connect, type WebSocketServer } from "tungstate";
import { BINARY, CONTINUATION, frame } from "../catalogue/support/frames.ts";
import { request } from "../catalogue/support/handshakes.ts";
import { leavingNothing } from "./support/leaks.ts";
import { dialPeer, type Peer, until, withServer } from "./support/sockets.ts";

const BUDGET = 16 * 1024 * 1024; // bytes
const PEERS = 40;
// bytes that each peer tries to occupy: five times the budget in total
const EACH = 2 * 1024 * 1024;
const READ = 320 * 1024; // bytes; the most that one read adds before it is counted

async function open(port: number): Promise<Peer> {
  const peer = await dialPeer(port);
  peer.wire.send(request());
  await peer.wire.head();
  return peer;
}

/** A well-behaved client is served, whatever the others do. */
async function served(port: number, work: () => Promise<void>): Promise<void> {
  const good = await connect(`ws://127.0.0.1:${port}/`, { proxy: false });
  await work();
  good.write("still there?");
  for await (const message of good) {
    assert.equal(message.text, "still there?");
    break;
  }
  await good.close();
}

function checkBounds(server: WebSocketServer, buffersBefore: number): void {
  const { memory } = server.stats;
  assert.ok(memory.peak <= BUDGET + READ, `${memory.peak} bytes at most`);
  assert.ok(memory.ended > 0, "the largest were ended");
  const { arrayBuffers } = process.memoryUsage();
  // includes the output of the peers in this process
  assert.ok(
    arrayBuffers - buffersBefore < 2 * BUDGET + PEERS * EACH,
    `${arrayBuffers - buffersBefore} bytes of buffers`,
  );
}

describe("together beyond the budget", () => {
  test("unfinished messages", () =>
    leavingNothing(() =>
      withServer({ memoryBudget: BUDGET }, async (server, port) => {
        server.on("connection", (connection) => connection.on("message", (message) => connection.write(message)));
        const before = process.memoryUsage().arrayBuffers;
        await served(port, async () => {
          const peers = await Promise.all(Array.from({ length: PEERS }, () => open(port)));
          const part = Buffer.alloc(EACH / 16);
          const pouring = peers.map((peer) =>
            peer.wire.pour(
              Array.from({ length: 16 }, (_, at) =>
                frame(at === 0 ? BINARY : CONTINUATION, part, true, { fin: false }),
              ),
            ),
          );
          await Promise.all(pouring);
          await until(() => server.stats.memory.ended > 0);
          checkBounds(server, before);
          for (const peer of peers) peer.kill("end");
          await until(() => server.stats.connections === 1);
        });
        assert.equal(server.stats.memory.held, 0);
      }),
    ));

  test("peers that do not read", () =>
    leavingNothing(() =>
      withServer({ memoryBudget: BUDGET }, async (server, port) => {
        server.on("connection", (connection) => connection.on("message", (message) => connection.write(message)));
        const before = process.memoryUsage().arrayBuffers;
        await served(port, async () => {
          const peers = await Promise.all(Array.from({ length: PEERS }, () => open(port)));
          for (const peer of peers) peer.wire.stream.pause();
          const news = Buffer.alloc(EACH / 4);
          for (let time = 0; time < 24; time++) {
            // separate payloads: a shared one counts for each connection all the same
            for (const connection of [...server.connections].slice(1)) connection.write(Buffer.from(news));
            await new Promise((resolve) => setImmediate(resolve));
          }
          await until(() => server.stats.memory.ended > 0);
          const { peak } = server.stats.memory;
          assert.ok(peak <= BUDGET + news.length + READ, `${peak} bytes at most`);
          assert.ok(process.memoryUsage().arrayBuffers - before < 4 * BUDGET + PEERS * EACH);
          for (const peer of peers) peer.kill("end");
          await until(() => server.stats.connections === 1);
        });
        assert.equal(server.stats.memory.held, 0);
      }),
    ));
});
