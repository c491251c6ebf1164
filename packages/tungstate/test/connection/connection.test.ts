import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PreparedMessage } from "@tungstate/protocol";
import type { CloseInfo } from "../../src/connection/types.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { take, withConnected } from "../support/connected.ts";
import { filled } from "../support/filled.ts";
import { type Kind, kinds, memory } from "../support/pairs.ts";
import { recordWrites } from "../support/record-writes.ts";
import { until } from "../support/until.ts";

const SIZES = [0, 1, 125, 126, 127, 1024, 2048, 2049, 4096, 4097, 16_384, 65_535, 65_536, 300_000, 2_000_000];

for (const kind of kinds) {
  describe(`over ${kind.name}`, () => {
    test("messages of every size arrive in both directions, in order, unchanged", async () => {
      await withConnected(kind, {}, async (ends) => {
        for (const [from, to] of [
          [ends.client, ends.server],
          [ends.server, ends.client],
        ] as const) {
          const sent: (string | Uint8Array)[] = SIZES.flatMap((size) => [filled(size, size), "ä€𝄞x".repeat(size >> 3)]);
          const received = take(to, sent.length);
          for (const message of sent) await from.send(message);
          assert.deepEqual(
            await received,
            sent.map((each) => (typeof each === "string" ? each : Buffer.from(each))).map(plain),
          );
        }
      });
    });

    test("transferred messages are echoed unchanged, and copies of them remain valid", async () => {
      await withConnected(kind, {}, async ({ client, server }) => {
        const kept: [number, Uint8Array][] = [];
        let count = 0;
        server.on("message", (message) => {
          const number = count++;
          if (number % 5 === 0) kept.push([number, message.bytes]);
          server.write(message, { transfer: true });
          assert.throws(() => message.bytes, { code: "INVALID_STATE" });
        });
        const sizeOf = (number: number): number => [70_000, 20_000, 65_536, 10, 300_000, 65_536][number % 6] ?? 0;
        const sent = Array.from({ length: 120 }, (_, number) => filled(sizeOf(number), number));
        const received = take(client, sent.length);
        for (const message of sent) await client.send(message);
        assert.deepEqual(await received, sent);
        for (const [number, bytes] of kept) assert.deepEqual(bytes, sent[number]);
      });
    });

    test("an echo equals what was sent, also for transferred messages", async () => {
      await withConnected(kind, {}, async ({ client, server }) => {
        server.on("message", (message) => void server.write(message));
        const sent = SIZES.map((size) => filled(size, 7));
        const received = take(client, sent.length);
        for (const message of sent) await client.send(message);
        assert.deepEqual(await received, sent);
      });
    });

    test("the closing handshake carries code and reason, and both ends finish", async () => {
      await withConnected(kind, {}, async ({ client, server }) => {
        const [atClient, atServer] = await Promise.all([client.close(4001, "enough"), server.closed]);
        assert.deepEqual(atServer, { code: 4001, reason: "enough", clean: true, error: undefined });
        assert.deepEqual(atClient, { code: 4001, reason: "", clean: true, error: undefined });
        assert.equal(client.state, "closed");
        assert.equal(client.write("late"), false);
        await assert.rejects(client.send("late"), { code: "NOT_OPEN" });
      });
    });

    test("the server can close as well", async () => {
      await withConnected(kind, {}, async ({ client, server }) => {
        const [, atClient] = await Promise.all([server.close(1001, "going"), client.closed]);
        assert.deepEqual(atClient, { code: 1001, reason: "going", clean: true, error: undefined });
      });
    });

    test("everything written before close arrives", async () => {
      await withConnected(kind, {}, async ({ client, server }) => {
        for (let number = 0; number < 500; number++) client.write(filled(5000, number));
        const closed = client.close();
        const received = await take(server, 500);
        assert.equal(received.length, 500);
        received.forEach((message, number) => assert.deepEqual(message, filled(5000, number)));
        assert.equal((await closed).clean, true);
      });
    });

    test("a terminated stream is 1006 at the other end, with an error that says so", async () => {
      await withConnected(kind, {}, async ({ client, server }) => {
        const errors: string[] = [];
        server.on("error", (error) => errors.push(error.code));
        client.terminate();
        const info = await server.closed;
        assert.equal(info.code, 1006);
        assert.equal(info.clean, false);
        assert.equal(info.error?.code, "CONNECTION_LOST");
        assert.deepEqual(errors, ["CONNECTION_LOST"]);
        assert.equal((await client.closed).clean, false);
      });
    });

    test("write reports when to wait, send waits, and a late reader receives everything", async () => {
      const small = { writeBufferSize: 10_000, receiveQueueSize: 20_000 };
      await withConnected(kind, { client: small, server: small }, async ({ client, server }) => {
        const COUNT = 4000;
        let fulls = 0;
        const writing = (async () => {
          for (let number = 0; number < COUNT; number++) {
            if (!client.write(filled(1000, number))) {
              fulls++;
              await client.flush();
            }
            assert.ok(client.bufferedAmount <= 12_000, `${client.bufferedAmount} bytes wait`);
          }
        })();
        await until(() => fulls > 0 && server.stats.messagesReceived * 1064 > small.receiveQueueSize);
        const received = await take(server, COUNT);
        await writing;
        received.forEach((message, number) => assert.deepEqual(message, filled(1000, number)));
        assert.ok(fulls > 0);
      });
    });

    test("a ping is answered without a reader", async () => {
      await withConnected(kind, {}, async ({ client }) => {
        client.write("unread");
        assert.ok((await client.ping()) >= 0);
        assert.ok((await client.ping("with a payload")) >= 0);
      });
    });

    test("split returns two Web streams", async () => {
      await withConnected(kind, {}, async ({ client, server }) => {
        const near = client.split();
        const far = server.split();
        const writer = near.writable.getWriter();
        const reader = far.readable.getReader();
        await writer.write("one");
        await writer.write("two");
        assert.equal((await reader.read()).value?.text, "one");
        assert.equal((await reader.read()).value?.text, "two");
        await Promise.all([writer.close(), reader.read().then(({ done }) => assert.equal(done, true))]);
        assert.equal((await server.closed).code, 1000);
      });
    });
  });
}

function plain(message: string | Buffer): string | Uint8Array {
  return typeof message === "string" ? message : new Uint8Array(message);
}

describe("a connection", () => {
  test("starts paused: messages received before there is a reader are delivered later", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      client.write("early");
      await client.ping();
      server.on("message", (message) => void server.write(`heard ${message.text}`));
      assert.deepEqual(await take(client, 1), ["heard early"]);
    });
  });

  test("batches yields all waiting messages at once", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      for (let number = 0; number < 100; number++) client.write(String(number));
      await client.ping();
      for await (const batch of server.batches()) {
        assert.deepEqual(
          batch.map((message) => message.text),
          Array.from({ length: 100 }, (_, number) => String(number)),
        );
        break;
      }
    });
  });

  test("iteration is rejected while listeners receive the messages", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      server.on("message", () => undefined);
      await client.ping();
      await assert.rejects(take(server, 1), { code: "INVALID_STATE" });
    });
  });

  test("pause and resume delay messages and lose none", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      const seen: string[] = [];
      server.on("message", (message) => {
        seen.push(message.text);
        if (seen.length === 2) server.pause();
      });
      for (let number = 0; number < 10; number++) client.write(String(number));
      await client.ping();
      assert.deepEqual(seen, ["0", "1"]);
      server.resume();
      assert.equal(seen.length, 10);
    });
  });

  test("a fragmented message is sent as its parts arrive; messages written meanwhile follow it", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      const received = take(server, 3);
      const parts = (async function* () {
        yield "first ";
        client.write("in between");
        yield "second";
        client.write("and this");
      })();
      await client.sendStream(parts, "text");
      assert.deepEqual(await received, ["first second", "in between", "and this"]);
    });
  });

  test("a source of fragments that throws closes with 1011", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      const parts = (async function* () {
        yield "first";
        throw new Error("the file is gone");
      })();
      const [sent, info] = await Promise.all([client.sendStream(parts).catch(String), server.closed]);
      assert.match(String(sent), /the file is gone/);
      assert.equal(info.code, 1011);
    });
  });

  test("a listener that throws or rejects closes with 1011, and the error is reported", async () => {
    for (const listener of [
      () => {
        throw new Error("oops");
      },
      async () => {
        throw new Error("oops");
      },
    ]) {
      await withConnected(memory, {}, async ({ client, server }) => {
        const errors: unknown[] = [];
        server.on("error", (error) => errors.push(error.cause));
        server.on("message", listener);
        client.write("x");
        assert.equal((await client.closed).code, 1011);
        assert.match(String(errors[0]), /oops/);
        assert.equal((await server.closed).error?.code, "HANDLER_FAILED");
      });
    }
  });

  test("close finishes if the peer does not answer", async () => {
    await withConnected(
      memory,
      { client: { closeTimeout: 60 }, server: { receiveQueueSize: 0, readAheadSize: 0 } },
      async ({ client, server }) => {
        // a hung peer: it no longer reads
        client.write("fill");
        client.write("fill");
        await until(() => server.stats.messagesReceived > 0);
        const info = await client.close(1000);
        assert.equal(info.code, 1006);
        assert.equal(info.error?.code, "CLOSE_TIMEOUT");
        server.terminate();
      },
    );
  });

  test("invalid arguments throw synchronously, and nothing is sent", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      const wrong = [undefined, null, 5, {}, [], true] as unknown as string[];
      for (const data of wrong) assert.throws(() => client.write(data), { code: "INVALID_ARGUMENT" });
      assert.throws(() => client.close(1005), { code: "INVALID_ARGUMENT" });
      assert.throws(() => client.close(1000, "x".repeat(124)), { code: "INVALID_ARGUMENT" });
      assert.throws(() => client.ping("x".repeat(126)), { code: "INVALID_ARGUMENT" });
      client.write("right");
      assert.deepEqual(await take(server, 1), ["right"]);
      assert.equal(client.stats.messagesSent, 1);
    });
  });

  test("more than maxWriteBufferSize is rejected as a whole, and accepted messages arrive", async () => {
    await withConnected(memory, { client: { maxWriteBufferSize: 1000 } }, async ({ client, server }) => {
      client.write("a".repeat(900));
      assert.throws(() => client.write("b".repeat(900)), { code: "WRITE_BUFFER_FULL" });
      client.write("c");
      assert.deepEqual(await take(server, 2), ["a".repeat(900), "c"]);
    });
  });

  test("every kind of data is accepted as a message", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      const bytes = filled(10, 3);
      client.write("text");
      client.write(bytes);
      client.write(bytes.buffer as ArrayBuffer);
      client.write(new DataView(bytes.buffer, 2, 4));
      client.write(new PreparedMessage("prepared"));
      client.write(new PreparedMessage(bytes));
      assert.deepEqual(await take(server, 6), ["text", bytes, bytes, bytes.slice(2, 6), "prepared", bytes]);
    });
  });

  test("events.once works, and off removes a listener", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      let calls = 0;
      const count = (): void => void calls++;
      server.on("ping", count);
      await client.ping();
      server.off("ping", count);
      await client.ping();
      assert.equal(calls, 1);
      const [info] = await Promise.all([
        new Promise<CloseInfo>((resolve) => server.once("close", resolve)),
        client[Symbol.asyncDispose](),
      ]);
      assert.equal(info.code, 1000);
    });
  });

  test("an abort signal closes with 1001", async () => {
    const abort = new AbortController();
    await withConnected(memory, { client: { signal: abort.signal } }, async ({ client, server }) => {
      abort.abort(new Error("no longer needed"));
      const [atClient] = await Promise.all([client.closed, server.closed]);
      assert.equal(atClient.error?.code, "CLOSED_BY_SIGNAL");
    });
  });

  test("stats count messages and bytes", async () => {
    await withConnected(memory, {}, async ({ client, server }) => {
      client.write("12345");
      await take(server, 1);
      assert.deepEqual(server.stats.messagesReceived, 1);
      assert.equal(server.stats.bytesReceived, 2 + 4 + 5);
      assert.equal(client.stats.messagesSent, 1);
    });
  });
});

test("messages written in one tick are sent in one write", async () => {
  const written: Uint8Array[] = [];
  const recorded: Kind = {
    ...memory,
    make: () => {
      const [near, far] = memoryPipe();
      recordWrites(near, written);
      return Promise.resolve({ client: near, server: far, cleanup: () => Promise.resolve() });
    },
  };
  await withConnected(recorded, {}, async ({ client, server }) => {
    written.length = 0; // the handshake
    for (let number = 0; number < 50; number++) client.write("0123456789");
    await take(server, 50);
    assert.deepEqual(
      written.map(({ length }) => length),
      [50 * 16],
    );
  });
});
