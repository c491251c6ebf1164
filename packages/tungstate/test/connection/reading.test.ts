import assert from "node:assert/strict";
import { once } from "node:events";
import type { EventEmitter } from "node:events";
import { describe, test } from "node:test";
import type { Message } from "@tungstate/protocol";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { take, withConnected } from "../support/connected.ts";
import { memory } from "../support/pairs.ts";
import { turns } from "../support/server.ts";

type Options = Parameters<typeof withConnected>[1];

const run = (check: (near: WebSocketConnection, far: WebSocketConnection) => Promise<void>, options: Options = {}) =>
  withConnected(memory, options, ({ client, server }) => check(client, server));

function numbers(connection: WebSocketConnection, from: number, to: number): void {
  for (let number = from; number < to; number++) connection.write(String(number));
}

const upTo = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, at) => String(from + at));

describe("listeners", () => {
  test("once receives one message; the others wait", async () => {
    await run(async (near, far) => {
      numbers(near, 0, 5);
      const [first] = (await once(far as unknown as EventEmitter, "message")) as [Message];
      assert.equal(first.text, "0");
      await near.ping();
      const [second] = (await once(far as unknown as EventEmitter, "message")) as [Message];
      assert.equal(second.text, "1");
      assert.deepEqual(await take(far, 2), ["2", "3"]);
      const seen: string[] = [];
      far.on("message", (message) => seen.push(message.text));
      await turns(1);
      assert.deepEqual(seen, ["4"]);
    });
  });

  test("the last one removed within a message leaves the rest", async () => {
    await run(async (near, far) => {
      const seen: string[] = [];
      const listener = (message: Message): void => {
        seen.push(message.text);
        if (seen.length === 3) far.off("message", listener);
      };
      far.on("message", listener);
      numbers(near, 0, 6);
      await near.ping();
      assert.deepEqual(seen, ["0", "1", "2"]);
      assert.deepEqual(await take(far, 3), ["3", "4", "5"]);
    });
  });

  test("added in one tick receive the same messages", async () => {
    await run(async (near, far) => {
      numbers(near, 0, 3);
      await near.ping();
      const seen: [string[], string[]] = [[], []];
      far.on("message", (message) => seen[0].push(message.text));
      far.on("message", (message) => seen[1].push(message.text));
      await turns(1);
      assert.deepEqual(seen, [upTo(0, 3), upTo(0, 3)]);
    });
  });

  test("added and paused in one tick receive nothing until resume", async () => {
    await run(async (near, far) => {
      const seen: string[] = [];
      far.on("message", (message) => seen.push(message.text));
      far.pause();
      far.on("message", () => undefined);
      numbers(near, 0, 3);
      await near.ping();
      assert.deepEqual(seen, []);
      far.resume();
      assert.deepEqual(seen, upTo(0, 3));
    });
  });

  test("that pause and resume for each message receive all of them in order, one at a time", async () => {
    const COUNT = 20_000;
    await run(
      async (near, far) => {
        const seen: string[] = [];
        let depth = 0;
        far.on("message", (message) => {
          assert.equal(++depth, 1);
          far.pause();
          seen.push(message.text);
          far.resume();
          depth--;
        });
        far.pause();
        numbers(near, 0, COUNT);
        await near.ping();
        far.resume();
        assert.deepEqual(seen, upTo(0, COUNT));
        assert.equal(far.state, "open");
      },
      { server: { receiveQueueSize: Infinity } },
    );
  });

  test("added after asynchronous work miss nothing", async () => {
    await run(async (near, far) => {
      const seen: string[] = [];
      far.on("message", async (message) => {
        far.pause();
        await turns(1);
        seen.push(message.text);
        far.resume();
      });
      numbers(near, 0, 30);
      while (seen.length < 30) await turns(1);
      assert.deepEqual(seen, upTo(0, 30));
    });
  });

  test("receive messages before the end, and then the end", async () => {
    await run(async (near, far) => {
      const seen: string[] = [];
      far.on("message", (message) => seen.push(message.text));
      far.on("close", ({ code }) => seen.push(`closed ${code}`));
      far.pause();
      numbers(near, 0, 3);
      const closed = near.close(4000);
      await closed;
      await far.closed;
      assert.deepEqual(seen, ["closed 4000"]);
      far.resume();
      assert.deepEqual(seen, ["closed 4000", "0", "1", "2"]);
    });
  });

  test("are not required for resume", async () => {
    await run(async (near, far) => {
      far.resume();
      numbers(near, 0, 2);
      await near.ping();
      assert.deepEqual(await take(far, 2), upTo(0, 2));
    });
  });
});

describe("iterations", () => {
  test("one that is left leaves the rest to the next", async () => {
    await run(async (near, far) => {
      numbers(near, 0, 10);
      for (let from = 0; from < 10; from += 2) assert.deepEqual(await take(far, 2), upTo(from, from + 2));
    });
  });

  test("two at once share the messages, and both end", async () => {
    await run(async (near, far) => {
      const seen: string[] = [];
      const reading = [1, 2].map(async () => {
        for await (const message of far) seen.push(message.text);
      });
      await turns(1);
      numbers(near, 0, 20);
      await near.ping();
      const closed = near.close();
      await Promise.all([...reading, closed]);
      assert.deepEqual(
        seen.toSorted((a, b) => Number(a) - Number(b)),
        upTo(0, 20),
      );
    });
  });

  test("yield messages received before the end, even if they start after it", async () => {
    await run(async (near, far) => {
      numbers(near, 0, 3);
      await Promise.all([near.close(), far.closed]);
      const all: string[] = [];
      for await (const batch of far.batches()) all.push(...batch.map((message) => message.text));
      assert.deepEqual(all, upTo(0, 3));
      for await (const _ of far) assert.fail("there is no more");
    });
  });

  test("yield messages received before the stream was lost", async () => {
    await run(async (near, far) => {
      numbers(near, 0, 3);
      await near.ping();
      near.terminate();
      await far.closed;
      assert.deepEqual(await take(far, 3), upTo(0, 3));
    });
  });
});

describe("the receive queue", () => {
  for (const receiveQueueSize of [0, 1, 1000, 100_000]) {
    test(`of ${receiveQueueSize} bytes delays the peer, and nothing is lost`, async () => {
      const limits = { receiveQueueSize, readAheadSize: 0, writeBufferSize: 1000 };
      await run(
        async (near, far) => {
          const COUNT = 3000;
          let sent = 0;
          const sending = (async () => {
            for (; sent < COUNT; sent++) await near.send(Buffer.alloc(100, sent));
          })();
          for (let before = -1; sent > before;) {
            before = sent;
            await turns(10);
          }
          // the capacity of the pipe and the two ends
          const most = receiveQueueSize + 2 * 64 * 1024 + 64 * 1024 + 2 * 1000;
          assert.ok(sent * 100 <= most, `${sent} messages left`);
          const before = sent;
          await turns(10);
          assert.equal(sent, before);
          let number = 0;
          for await (const { bytes } of far) {
            assert.equal(bytes[0], number & 0xff);
            if (++number === COUNT) break;
          }
          await sending;
        },
        { client: limits, server: limits },
      );
    });
  }

  test("when full does not hide a Close, even after ours", async () => {
    await run(
      async (near, far) => {
        for (let number = 0; number < 50; number++) near.write(Buffer.alloc(10_000));
        await turns(5);
        void near.close(4001);
        const info = await far.close(4002);
        assert.deepEqual([info.code, info.clean], [4001, true]);
      },
      { server: { receiveQueueSize: 1000 } },
    );
  });
});
