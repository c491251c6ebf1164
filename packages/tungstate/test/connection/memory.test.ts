import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import type { ConnectionOptions } from "../../src/connection/options.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { take } from "../support/connected.ts";
import { collectGarbage, memoryInUse } from "../../../../scripts/testing/memory.mjs";
import { kinds } from "../support/pairs.ts";
import { serve, turns } from "../support/server.ts";
import { client } from "../../src/client/client.ts";
import { accept } from "../../src/server/accept.ts";
import { skipPortable } from "../support/portable.ts";

const PAIRS = 60;

async function pairs(
  t: TestContext,
  options: ConnectionOptions,
): Promise<(readonly [WebSocketConnection, WebSocketConnection])[]> {
  const served = await serve(t, options);
  const all: (readonly [WebSocketConnection, WebSocketConnection])[] = [];
  for (let number = 0; number < PAIRS; number++) all.push(await served.pair(options));
  return all;
}

/** Messages of all sizes in both directions, a ping, a fragmented message. */
async function traffic(ends: readonly [WebSocketConnection, WebSocketConnection]): Promise<void> {
  for (const [from, to] of [ends, [ends[1], ends[0]]] as const) {
    const received = take(to, 7);
    for (const size of [0, 4, 100, 3000, 20_000, 200_000]) await from.send(Buffer.alloc(size));
    await from.sendStream(["part".repeat(1000), "part".repeat(2000)], "text");
    await received;
    await from.ping();
    await from.flush();
  }
}

describe("a connection that is idle again", () => {
  for (const compression of [false, true]) {
    test(
      `over TCP uses the memory of one that was never used${compression ? ", compressed" : ""}`,
      { skip: skipPortable },
      async (t) => {
        const all = await pairs(t, { compression });
        // what the process recycles is of as many connections before: it belongs to none of them
        for (const ends of await pairs(t, { compression })) await traffic(ends);
        await turns(5);
        await collectGarbage();
        const before = { all: await memoryInUse(), buffers: process.memoryUsage().arrayBuffers };
        for (const ends of all) await traffic(ends);
        await turns(5);
        const after = { all: await memoryInUse(), buffers: process.memoryUsage().arrayBuffers };
        const each = {
          all: (after.all - before.all) / PAIRS / 2,
          buffers: (after.buffers - before.buffers) / PAIRS / 2,
        };
        // a block has 16 KiB, a read buffer 256: neither may remain for each connection. The pools of
        // the process may grow by a few blocks.
        assert.ok(each.buffers < 4096, `${each.buffers} bytes of buffers each`);
        assert.ok(each.all < 8192, `${each.all} bytes each`);
      },
    );
  }

  test("over every kind of stream releases sent and received messages", async () => {
    for (const kind of kinds) {
      const pair = await kind.make();
      const ends = await Promise.all([client("ws://localhost/", pair.client), accept(pair.server)]);
      const refs: WeakRef<object>[] = [];
      const received = (async () => {
        let count = 0;
        for await (const message of ends[1]) {
          refs.push(new WeakRef(message));
          if (++count === 40) return;
        }
      })();
      for (let number = 0; number < 20; number++) {
        const data = Buffer.alloc(10_000 + number);
        refs.push(new WeakRef(data.buffer));
        await ends[0].send(data);
        await ends[0].send(`text ${number}`);
      }
      await received;
      await ends[0].flush();
      await ends[0].ping();
      await collectGarbage();
      const kept = refs.filter((ref) => ref.deref() !== undefined).length;
      assert.ok(kept <= 3, `${kept} of ${refs.length} are kept over ${kind.name}`);
      for (const end of ends) end.terminate();
      await Promise.all(ends.map((end) => end.closed));
      await pair.cleanup();
    }
  });
});

test("with a slow reader of many small messages keeps little more than them", async (t) => {
  const served = await serve(t, { receiveQueueSize: 1_000_000 });
  const [near, far] = await served.pair();
  const before = await memoryInUse();
  // one of 50 messages is kept: it must not keep the memory of the others
  const kept: unknown[] = [];
  const reading = (async () => {
    let number = 0;
    for await (const message of far) {
      if (number++ % 50 === 0) kept.push(message);
      if (number === 20_000) return;
    }
  })();
  for (let number = 0; number < 20_000; number++)
    await near.send(`a message of some 60 bytes, number ${number}, and so on`);
  await reading;
  const growth = (await memoryInUse()) - before;
  assert.equal(kept.length, 400);
  assert.ok(growth < 400 * 9000, `${growth} bytes for ${kept.length} messages`);
});
