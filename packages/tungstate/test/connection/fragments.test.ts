import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { type Connected, take, withConnected } from "../support/connected.ts";
import { memory } from "../support/pairs.ts";

type Options = Parameters<typeof withConnected>[1];

/** A source that waits for a signal at each part. */
class Source implements AsyncIterable<string> {
  returned = false;
  private give: ((result: IteratorResult<string>) => void) | undefined;
  private asked: (() => void) | undefined;

  [Symbol.asyncIterator](): AsyncIterator<string> {
    return {
      next: () =>
        new Promise((resolve) => {
          this.give = resolve;
          this.asked?.();
        }),
      return: async () => {
        this.returned = true;
        return { done: true, value: undefined };
      },
    };
  }

  async part(value: string): Promise<void> {
    await this.wanted();
    this.answer({ done: false, value });
  }

  async end(): Promise<void> {
    await this.wanted();
    this.answer({ done: true, value: undefined });
  }

  /** Waits until the next part is requested. */
  async wanted(): Promise<void> {
    if (this.give === undefined) await new Promise<void>((resolve) => (this.asked = resolve));
  }

  private answer(result: IteratorResult<string>): void {
    const { give } = this;
    this.give = undefined;
    give?.(result);
  }
}

for (const compression of [false, true]) {
  const run = (options: Options, check: (ends: Connected) => Promise<void>): Promise<void> =>
    withConnected(
      memory,
      {
        client: { compression, ...options.client },
        server: { compression, ...options.server },
      },
      async (ends) => {
        assert.equal(ends.client.extensions !== "", compression);
        await check(ends);
      },
    );

  describe(`a fragmented message, ${compression ? "compressed" : "uncompressed"}`, () => {
    const sources: readonly [
      name: string,
      parts: () => Iterable<string | Uint8Array> | AsyncIterable<string>,
      text: string,
    ][] = [
      ["no part", () => [], ""],
      ["an empty part", () => [""], ""],
      ["one part", () => ["all of it"], "all of it"],
      ["text and bytes", () => ["ä", Buffer.from("€"), "𝄞"], "ä€𝄞"],
      ["a character in two parts", () => ["\ud834", "\udd1e!"], "𝄞!"],
      [
        "half a character before bytes, and at the end",
        () => ["\ud834", Buffer.from("x"), "y\ud834"],
        "\ufffdxy\ufffd",
      ],
      ["a string, which is an iterable, too", () => "abc", "abc"],
      ["parts larger than a frame", () => ["x".repeat(1000), "y".repeat(1000)], "x".repeat(1000) + "y".repeat(1000)],
    ];
    for (const [name, parts, text] of sources) {
      test(name, async () => {
        await run({ client: { maxFrameSize: 300 } }, async ({ client, server }) => {
          await client.sendStream(parts(), "text");
          client.write("next");
          assert.deepEqual(await take(server, 2), [text, "next"]);
          assert.equal(client.stats.messagesSent, 2);
        });
      });
    }

    test("is binary unless declared as text", async () => {
      await run({}, async ({ client, server }) => {
        await client.sendStream(["ab", Buffer.from([0xff])]);
        assert.deepEqual(await take(server, 1), [new Uint8Array([0x61, 0x62, 0xff])]);
      });
    });

    test("from an invalid source is rejected, and nothing is sent", async () => {
      await run({}, async ({ client, server }) => {
        for (const parts of [undefined, null, 5, {}, Buffer.from("bytes"), () => ["part"]]) {
          assert.throws(() => client.sendStream(parts as never), {
            code: "INVALID_ARGUMENT",
            message: /the parts of a message must be an iterable or async iterable of strings or Uint8Arrays, got /,
          });
        }
        assert.throws(() => client.sendStream([], "words" as never), { code: "INVALID_ARGUMENT" });
        client.write("right");
        assert.deepEqual(await take(server, 1), ["right"]);
        assert.equal(client.stats.messagesSent, 1);
      });
    });

    test("with an invalid part closes with 1011", async () => {
      await run({}, async ({ client, server }) => {
        await assert.rejects(client.sendStream(["a", 5 as never]), {
          code: "INVALID_ARGUMENT",
          message: /a part of a message/,
        });
        assert.equal((await server.closed).code, 1011);
      });
    });

    test("is followed by messages written meanwhile, however many", async () => {
      const limits = { maxWriteBufferSize: 10_000, writeBufferSize: 1000 };
      await run({ client: limits }, async ({ client, server }) => {
        const source = new Source();
        const sending = client.sendStream(source, "text");
        await source.part("a".repeat(9000));
        await source.wanted();
        const sent: string[] = [];
        for (;;) {
          const next = String(sent.length).repeat(900);
          try {
            client.write(next);
          } catch (error) {
            assert.equal((error as { code?: string }).code, "WRITE_BUFFER_FULL");
            break;
          }
          sent.push(next);
        }
        assert.ok(sent.length >= 5 && client.bufferedAmount > 4000);
        const received = take(server, sent.length + 1);
        await source.part("b".repeat(9000));
        await source.end();
        await sending;
        assert.deepEqual(await received, ["a".repeat(9000) + "b".repeat(9000), ...sent]);
        await client.flush();
        assert.equal(client.bufferedAmount, 0);
        assert.equal(client.stats.messagesSent, sent.length + 1);
      });
    });

    test("waits for room instead of failing, even if its parts are as large as maxWriteBufferSize", async () => {
      await run({ client: { maxWriteBufferSize: 1000 } }, async ({ client, server }) => {
        const parts = Array.from({ length: 50 }, (_, number) => String(number % 10).repeat(990));
        const received = take(server, 1);
        await client.sendStream(parts, "text");
        assert.deepEqual(await received, [parts.join("")]);
      });
    });

    test("is waited for by close, as are messages written after it", async () => {
      await run({}, async ({ client, server }) => {
        const source = new Source();
        const sending = client.sendStream(source, "text");
        await source.part("first ");
        client.write("behind it");
        const closed = client.close(4000);
        assert.equal(client.write("too late"), false);
        assert.equal(client.state, "closing");
        await source.part("second");
        await source.end();
        await sending;
        assert.deepEqual(await all(server), ["first second", "behind it"]);
        assert.deepEqual([(await closed).clean, (await server.closed).code], [true, 4000]);
      });
    });

    test("is aborted after closeTimeout if its source never ends", async () => {
      await run({ client: { closeTimeout: 60 } }, async ({ client, server }) => {
        const source = new Source();
        const sending = assert.rejects(client.sendStream(source, "text"), { code: "NOT_OPEN" });
        await source.part("first");
        client.write("behind it");
        const info = await client.close();
        assert.deepEqual([info.code, info.clean, info.error?.code], [1006, false, "CLOSE_TIMEOUT"]);
        await sending;
        assert.equal((await server.closed).clean, false);
      });
    });

    test("rejects immediately when the connection is lost, and its source is ended when it continues", async () => {
      await run({}, async ({ client, server }) => {
        const source = new Source();
        const sending = assert.rejects(client.sendStream(source, "text"), { code: "NOT_OPEN" });
        await source.part("first");
        await source.wanted();
        server.terminate();
        await sending;
        await source.part("second");
        while (!source.returned) await new Promise((resolve) => setImmediate(resolve));
      });
    });

    test("waits for the previous one, or is rejected", async () => {
      await run({}, async ({ client, server }) => {
        const source = new Source();
        const first = client.sendStream(source, "text");
        await source.part("first");
        const second = client.sendStream(["second"], "text").then(
          () => "sent",
          (error: { code: string }) => error.code,
        );
        client.write("written");
        await source.end();
        await first;
        const texts = compression ? ["first", "second", "written"] : ["first", "written"];
        assert.equal(await second, compression ? "sent" : "MESSAGE_IN_PROGRESS");
        assert.deepEqual(await take(server, texts.length), texts);
      });
    });

    test("is rejected when the connection is no longer open", async () => {
      await run({}, async ({ client }) => {
        await client.close();
        await assert.rejects(client.sendStream(["late"]), { code: "NOT_OPEN" });
        assert.equal(client.stats.messagesSent, 0);
      });
    });

    test("keeps at most writeBufferSize, and so waits for the reader", async () => {
      const limits = { writeBufferSize: 10_000, receiveQueueSize: 10_000 };
      await run({ client: limits, server: limits }, async ({ client, server }) => {
        let given = 0;
        const PART = 1000;
        const parts = (function* () {
          for (; given < 2000; given++) {
            assert.ok(client.bufferedAmount <= 10_000 + PART + 20);
            yield new Uint8Array(PART).fill(given);
          }
        })();
        const sending = client.sendStream(parts);
        const [message] = await take(server, 1);
        await sending;
        assert.equal(message?.length, 2000 * PART);
      });
    });
  });
}

async function all(connection: WebSocketConnection): Promise<(string | Uint8Array)[]> {
  const messages: (string | Uint8Array)[] = [];
  for await (const message of connection) messages.push(message.data);
  return messages;
}
